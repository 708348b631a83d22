"""What must be true after every fault, I1 to I8: nothing lost, one accepted outcome each, no limit exceeded, nothing left behind.

Each function returns what it found wrong, in words; nothing is well. `violations` asks all of them. I6, that work drains in
time, is asked by the fixture `recovery`, which holds the time until all this is true against a bound.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from runner.connection.client import command
from runner.jobs.job import Priority
from runner.limits import Limit
from runner.names import DEFAULT_POOL
from runner.store.keys import GROUP, Keys
from tests.history import Ending, Start, began, endings_of, starts_of
from tests.leftovers import FINAL_STATES, immortal_keys, keys_of
from tests.starts import Starts

__all__ = ["Record", "began", "endings_of", "starts_of", "violations"]

_PAGE = 500

_EMPTY_AT_REST = ("line:", "lines:", "cancels:", "claims:", "waiting:", "holders:")
_NOT_THERE_AT_REST = frozenset(
    {"scheduled", "records", "wakes", "wakes:before", "retimes", "expiring", "parked", "pauses", "held", "flow:ended", "batches"}
)

_MEMORY_SLACK_BYTES = 256 * 1024
"""Room for what a server keeps for itself: hash tables it has not shrunk yet, a client's buffers."""


class Record(NamedTuple):
    """What a job's hash says of it."""

    state: str
    worker: str
    attempt: int
    crashes: int
    other_starts: int
    """Attempts that failed and were retried, or whose provider said wait: starts that cost no lease."""


async def unfinished(redis: Redis, queue: str, job_ids: Iterable[str]) -> list[str]:
    """I1, nothing lost: accepted jobs that have not ended."""
    records = await records_of(redis, queue, job_ids)
    return [f"job {job_id} is {record.state!r}" for job_id, record in records.items() if record.state not in FINAL_STATES]


async def ran_too_often(redis: Redis, queue: str, job_ids: Iterable[str], runs: Mapping[str, int], faults: int | None = None) -> list[str]:
    """I2: jobs whose handler began more often than once, once more for each worker lost under it, and for each retry.

    `faults` is how many leases were lost in all, where that is known: no job may have been hit more often.
    """
    records, wrong = await records_of(redis, queue, job_ids), []
    for job_id, record in records.items():
        if runs.get(job_id, 0) > 1 + record.crashes + record.other_starts:
            wrong.append(f"job {job_id} ran {runs[job_id]} times, with {record.crashes} workers lost and {record.other_starts} retries")
        if faults is not None and record.crashes > faults:
            wrong.append(f"job {job_id} has lost {record.crashes} workers in {faults} faults")
    return wrong


def over_limit(
    starts: Sequence[Start], limits: Iterable[Limit], runs: Mapping[str, int] | None = None, endings: Iterable[Ending] = ()
) -> list[str]:
    """I3: buckets of which more was taken than the limit's bound in any window there is, or more at once than a concurrency allows.

    With `runs` only as many starts of each job count as its handler ran, see `began`. `endings` tell when a slot came back; that of
    an attempt which did not end its job is taken for instantaneous, so a finding is never a false one.
    """
    ended_us = {(ending.job, ending.attempt): ending.at_us for ending in endings}
    taken: dict[str, Starts] = defaultdict(Starts)
    for start in starts if runs is None else began(starts, runs):
        for bucket, cost in start.costs.items():
            taken[bucket].add(start.at_us, cost, max(start.at_us, ended_us.get((start.job, start.attempt), 0)))
    policies = {limit.name: limit for limit in limits}
    excess = {bucket: those.excess(policies[bucket.partition("/")[0]]) for bucket, those in taken.items()}
    return [f"{tokens} tokens of {bucket} too many in some window" for bucket, tokens in excess.items() if tokens > 0]


async def settled_twice(redis: Redis, queue: str) -> list[str]:
    """I4: jobs with more than one accepted outcome."""
    outcomes = Counter(ending.job for ending in await endings_of(redis, queue))
    return [f"job {job_id} has {count} outcomes" for job_id, count in outcomes.items() if count > 1]


async def left_behind(redis: Redis, queue: str, live: Collection[str] = ()) -> list[str]:
    """I5, clean: entries, lines, reservations, traces of workers other than the `live` ones, and keys that would stay for ever."""
    keys, found = Keys(queue), []
    pools = [DEFAULT_POOL, *(name.decode() for name in await command(redis, "ZRANGE", keys.pools, 0, -1))]
    for priority, pool in product(Priority, pools):
        stream = keys.stream(priority, pool)
        if length := await redis.xlen(stream):
            found.append(f"{length} entries on {stream}")
        for consumer, pending in await _consumers(redis, stream):
            if pending:
                found.append(f"{consumer} holds {pending} entries of {stream}")
            if consumer not in live:
                found.append(f"consumer {consumer} of {stream} is no live worker")
    enlisted = {name.decode() for name in await command(redis, "ZRANGE", keys.workers, 0, -1)}
    found += [f"worker {name} is enlisted and does not live" for name in enlisted - set(live)]
    found += [f"worker {name} lives and is not enlisted" for name in set(live) - enlisted]
    for key in await keys_of(redis, queue):
        name = key.removeprefix(keys.prefix)
        if name.startswith(_EMPTY_AT_REST) or name in _NOT_THERE_AT_REST:
            found.append(f"{name} is not empty")
        if name.startswith("bucket:"):
            reserved, released, plans = await command(redis, "HMGET", key, "reserved", "released", "claims")
            if int(reserved or 0) or int(released or 0):
                found.append(f"{name} has {int(released)} jobs with {int(reserved)} credits reserved")
            claims, aside, until_us = map(int, (plans or b"0 0 0").split())
            if claims or (aside and until_us > await _now_us(redis)):
                found.append(f"{name} has {claims} claims, and {aside} tokens are set aside")
    found += [f"mark {mark} is held by no job" for mark in await marks_of_nobody(redis, queue)]
    found += [f"{key} has no time to live" for key in await immortal_keys(redis, queue) if key != keys.starts]
    return found


async def marks_of_nobody(redis: Redis, queue: str) -> list[str]:
    """Marks of unique jobs that have ended, or that there are not; those whose period is not over are not among them."""
    keys, now_us = Keys(queue), await _now_us(redis)
    held = {mark.decode(): value.decode().partition(" ") for mark, value in _pairs(await command(redis, "HGETALL", keys.unique))}
    records = await records_of(redis, queue, [job_id for _, _, job_id in held.values()])
    return [
        mark for mark, (until_us, _, job_id) in held.items() if int(until_us) <= now_us and records[job_id].state in {"", *FINAL_STATES}
    ]


async def untrue(redis: Redis, queue: str, job_ids: Iterable[str]) -> list[str]:
    """I7, status is true: jobs `running` under a lease that has lapsed, or ended without an accepted outcome that says so."""
    keys, wrong = Keys(queue), []
    leases = await command(redis, "ZRANGEBYSCORE", keys.workers, await _now_us(redis), "+inf")
    accepted = {(ending.job, ending.attempt, ending.state) for ending in await endings_of(redis, queue)}
    for job_id, record in (await records_of(redis, queue, job_ids)).items():
        if record.state == "running" and record.worker.encode() not in leases:
            wrong.append(f"job {job_id} is 'running' at {record.worker}, which holds no lease")
        if record.state in FINAL_STATES and (job_id, record.attempt, record.state) not in accepted:
            wrong.append(f"job {job_id} is {record.state!r} by attempt {record.attempt}, of which the history knows nothing")
    return wrong


async def bytes_unaccounted(redis: Redis, queue: str) -> int:
    """Memory of the server's data that is in no key of this queue. Take it when the scripts have run once: a server keeps their texts."""
    # The dataset is what is left of used_memory without clients, scripts and the append-only buffer. A server looks at its clients about once a
    # second: what it takes off for them can be a large command that has long been answered, so they are asked for what they have now.
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.execute_command("MEMORY", "STATS")
        for kind in ("normal", "pubsub"):
            pipeline.execute_command("CLIENT", "LIST", "TYPE", kind)
        stats, *clients = await pipeline.execute()
    named = _named(stats)
    dataset: int = named["dataset.bytes"] + named["clients.normal"] - sum(map(_bytes_of_clients, clients))
    kept = 0
    names = await keys_of(redis, queue)
    for start in range(0, len(names), _PAGE):
        async with redis.pipeline(transaction=False) as pipeline:
            for name in names[start : start + _PAGE]:
                pipeline.memory_usage(name, samples=0)
            kept += sum(size or 0 for size in await pipeline.execute())
    return dataset - kept


def _bytes_of_clients(listed: Any) -> int:
    """What the clients in a reply of CLIENT LIST take, parsed by the library or not."""
    if isinstance(listed, bytes):
        return sum(map(int, re.findall(rb" tot-mem=(\d+)", listed)))
    return sum(int(client["tot-mem"]) for client in listed)


async def memory_grown(redis: Redis, queue: str, before_bytes: int) -> list[str]:
    """I8: memory that came back neither to what it was, within 5 %, nor into a key that is kept on purpose."""
    now_bytes = await bytes_unaccounted(redis, queue)
    most = before_bytes * 1.05 + _MEMORY_SLACK_BYTES
    return [f"{now_bytes} bytes are in no key, and {before_bytes} were"] if now_bytes > most else []


async def violations(
    redis: Redis,
    queue: str,
    job_ids: Iterable[str],
    *,
    limits: Iterable[Limit] = (),
    runs: Mapping[str, int] | None = None,
    live: Collection[str] = (),
) -> list[str]:
    """All of the above, for jobs that must have ended."""
    job_ids = list(job_ids)
    wrong = await unfinished(redis, queue, job_ids)
    wrong += await ran_too_often(redis, queue, job_ids, runs) if runs is not None else []
    wrong += over_limit(await starts_of(redis, queue), limits, runs, await endings_of(redis, queue)) if limits else []
    wrong += await settled_twice(redis, queue)
    wrong += await left_behind(redis, queue, live)
    wrong += await untrue(redis, queue, job_ids)
    return wrong


async def records_of(redis: Redis, queue: str, job_ids: Iterable[str]) -> dict[str, Record]:
    """What the hash of each job says; the state of one that is not there is empty."""
    keys, found, names = Keys(queue), {}, list(job_ids)
    for start in range(0, len(names), _PAGE):
        page = names[start : start + _PAGE]
        async with redis.pipeline(transaction=False) as pipeline:
            for name in page:
                pipeline.hmget(keys.job(name), ["state", "worker", "attempt", "crashes", "failures", "throttled"])
            rows = await pipeline.execute()
        for name, (state, worker, attempt, crashes, failures, throttled) in zip(page, rows, strict=True):
            found[name] = Record(
                (state or b"").decode(),
                (worker or b"").decode(),
                int(attempt or 0),
                int(crashes or 0),
                int(failures or 0) + int(throttled or 0),
            )
    return found


async def _now_us(redis: Redis) -> int:
    seconds, micros = await command(redis, "TIME")
    return int(seconds) * 1_000_000 + int(micros)


async def _consumers(redis: Redis, stream: str) -> list[tuple[str, int]]:
    try:
        rows: list[Any] = await command(redis, "XINFO", "CONSUMERS", stream, GROUP)
    except ResponseError:  # no such stream or group: nobody has worked here
        return []
    return [(row["name"].decode(), row["pending"]) for row in map(_named, rows)]


def _pairs(fields: Any) -> list[tuple[bytes, bytes]]:
    """Fields and values of a hash, however the client gives them."""
    return list(fields.items()) if isinstance(fields, dict) else list(zip(fields[::2], fields[1::2], strict=True))


def _named(fields: Any) -> dict[str, Any]:
    """Names and values of one reply, which the library gives as a dict and a client without its callbacks as a flat list."""
    pairs = fields.items() if isinstance(fields, dict) else zip(fields[::2], fields[1::2], strict=True)
    return {(name.decode() if isinstance(name, bytes) else name): value for name, value in pairs}
