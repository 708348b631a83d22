"""What a test may leave behind: the keys that live without a TTL, and no asyncio task."""

import asyncio
from fnmatch import fnmatchcase

from redis.asyncio import Redis

# Names after `runner:{queue}:`. Everything else must expire; a job hash must expire once its state is final.
KEYS_WITHOUT_TTL = (
    "format",
    "limits",
    "keys",
    "keys:used",  # a field goes with its key
    "audit",  # cut to about 100,000 lines
    "specs",
    "catalog",
    "seen",
    "serving",
    "unserved",  # gone with the last job that waits for a worker
    "unserved:*",
    "identity",  # one text
    "leases",  # a bucket leaves it once its home has heard everything
    "pauses",  # a field goes with its pause
    "parked",  # gone with the last job that waits for the end of a pause
    "parked:*",
    "unique",  # a mark goes with its job, or once its time is over
    "sweeps",  # a field goes with what it is the place in
    "schedules",  # a field goes with its schedule
    "schedules:due",
    "schedules:dormant",
    "schedule:*",  # 7 days once its schedule is removed
    "workers",
    "pools",  # forgotten a day after its last use
    "pools:turns",  # a field goes with the last line of its pool
    "stream:*",
    "seq",
    "lines:*",
    "line:*",
    "wakes",
    "scheduled",
    "failed",
    "cancelled",
    "expired",
    "retentions",  # a field goes with its list
    "ended_on_stream",  # one number, which goes when nothing is on the streams
    "cursor_secret",  # one text
    "history",
    "nudge",
    "waiting",  # one number
    "waiting:*",  # gone with the last line of the limit
    "adapting",  # a limit leaves it when its rate is the declared one, or after an hour in which nothing changed that
    "retimes",  # gone with the last page
    "wakes:before",  # the same
    "records",  # a line's field goes with the line
    "claims:*",  # gone with its last claim
    "expiring",  # gone with the last that waits
    "held",  # gone with the last job that waits for others
    "batches",  # a batch leaves it at its end
    "flow:ended",  # empties
)
HELD_BY_JOBS = 2**52
"""The scores of jobs' slots begin here: they do not lapse, but come back when the job ends or its worker is found lost."""
FINAL_STATES = frozenset({"succeeded", "failed", "cancelled", "expired"})


async def keys_of(redis: Redis, queue: str) -> list[str]:
    """Every key of a queue."""
    return sorted([_text(key) async for key in redis.scan_iter(match=f"runner:{{{queue}}}:*", count=1000)])


async def immortal_keys(redis: Redis, queue: str) -> list[str]:
    """The keys of a queue that would stay for ever and have no right to."""
    keys = await keys_of(redis, queue)
    async with redis.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.pttl(key)
        ttls_ms = await pipeline.execute()
    return [key for key, ttl_ms in zip(keys, ttls_ms, strict=True) if ttl_ms == -1 and not await _may_stay(redis, key, queue)]


async def _may_stay(redis: Redis, key: str, queue: str) -> bool:
    name = key.removeprefix(f"runner:{{{queue}}}:")
    if name.startswith("job:"):
        state = await redis.hget(key, "state")
        return _text(state or b"") not in FINAL_STATES
    kind, _, bucket = name.partition(":")
    if kind in {"bucket", "holders", "taken"} and await redis.exists(f"runner:{{{queue}}}:claims:{bucket}"):
        return True  # what claims wait for is known as long as they do
    if kind == "bucket" and await redis.hexists(key, "paused"):
        return True
    if kind in {"bucket", "holders"}:
        # A slot is held as long as its job runs; what only lapses must not stay longer than that.
        last = await redis.zrange(f"runner:{{{queue}}}:holders:{bucket}", -1, -1, withscores=True)
        return bool(last) and int(last[0][1]) >= HELD_BY_JOBS
    if kind in {"after", "followers", "batch"}:
        return await _goes_on(redis, name.partition(":")[2], queue, of_batch=kind == "batch")
    return any(fnmatchcase(name, pattern) for pattern in KEYS_WITHOUT_TTL)


async def _goes_on(redis: Redis, node: str, queue: str, *, of_batch: bool) -> bool:
    """Whether a follower, or a parent, has not ended, or a batch that is sealed."""
    if of_batch or node.startswith("#"):
        sealed, ended = await redis.hmget(f"runner:{{{queue}}}:batch:{node.removeprefix('#')}", "sealed", "ended")
        return sealed is not None and ended is None
    state = await redis.hget(f"runner:{{{queue}}}:job:{node}", "state")
    return state is not None and _text(state) not in FINAL_STATES


async def stray_tasks() -> list[str]:
    """The asyncio tasks still there, the caller apart; one that was just cancelled gets a few turns of the loop to end."""
    for _ in range(10):
        if not asyncio.all_tasks() - {asyncio.current_task()}:
            break
        await asyncio.sleep(0)
    return [repr(task) for task in asyncio.all_tasks() - {asyncio.current_task()}]


def _text(value: bytes | str) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value
