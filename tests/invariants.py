"""What must be true after every fault: nothing lost, one accepted outcome each, no limit exceeded, nothing left behind.

Each function returns what it found wrong, in words; nothing is well.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from runner import TokenBucket
from runner.keys import GROUP, Keys, Priority
from tests.leftovers import FINAL_STATES, keys_of
from tests.starts import Starts


class Start(NamedTuple):
    """One entry of the log of starts: what was taken of which buckets, at which instant of Redis's clock."""

    job: str
    at_us: int
    costs: Mapping[str, int]


async def unfinished(redis: Redis, queue: str, job_ids: Iterable[str]) -> list[str]:
    """Accepted jobs that have not ended."""
    states = {job_id: await _ask(redis, "HGET", Keys(queue).job(job_id), "state") for job_id in job_ids}
    return [f"job {job_id} is {state!r}" for job_id, state in states.items() if (state or b"").decode() not in FINAL_STATES]


async def settled_twice(redis: Redis, queue: str) -> list[str]:
    """Jobs with more than one accepted outcome."""
    entries = await _ask(redis, "XRANGE", Keys(queue).history, "-", "+")
    outcomes = Counter(fields[b"job"].decode() for _, fields in entries)
    return [f"job {job_id} has {count} outcomes" for job_id, count in outcomes.items() if count > 1]


async def starts_of(redis: Redis, queue: str) -> list[Start]:
    """The log of starts, in order; kept by workers with the setting `record_starts`."""
    entries = await _ask(redis, "XRANGE", Keys(queue).starts, "-", "+")
    starts = [Start(fields[b"job"].decode(), int(fields[b"now"]), _costs(fields[b"limits"].decode())) for _, fields in entries]
    return sorted(starts, key=lambda start: start.at_us)


def over_limit(starts: Sequence[Start], limits: Iterable[TokenBucket], runs: Mapping[str, int] | None = None) -> list[str]:
    """Buckets of which more was taken than the limit's bound, in any window there is.

    A claim whose reply was lost is in the log, but its attempt never began and its tokens went back. Where that can happen
    `runs` tells how often each job's handler really ran: of a job that started more often, the latest starts count.
    """
    taken: dict[str, Starts] = defaultdict(Starts)
    for start in starts if runs is None else _began(starts, runs):
        for bucket, cost in start.costs.items():
            taken[bucket].add(start.at_us, cost)
    policies = {limit.name: limit for limit in limits}
    excess = {bucket: those.excess(policies[bucket.partition("/")[0]]) for bucket, those in taken.items()}
    return [f"{tokens} tokens of {bucket} too many in some window" for bucket, tokens in excess.items() if tokens > 0]


async def left_behind(redis: Redis, queue: str, live: Collection[str] = ()) -> list[str]:
    """Entries, lines, reservations, and traces of workers other than the `live` ones, on a queue with nothing to do."""
    keys, found = Keys(queue), []
    for priority in Priority:
        stream = keys.stream(priority)
        if length := await redis.xlen(stream):
            found.append(f"{length} entries on {stream}")
        for consumer, pending in await _consumers(redis, stream):
            if pending:
                found.append(f"{consumer} holds {pending} entries of {stream}")
            if consumer not in live:
                found.append(f"consumer {consumer} of {stream} is no live worker")
    enlisted = {name.decode() for name in await _ask(redis, "ZRANGE", keys.workers, 0, -1)}
    found += [f"worker {name} is enlisted and does not live" for name in enlisted - set(live)]
    found += [f"worker {name} lives and is not enlisted" for name in set(live) - enlisted]
    for key in await keys_of(redis, queue):
        name = key.removeprefix(keys.prefix)
        if name.startswith(("line:", "lines:", "cancels:")) or name == "scheduled":
            found.append(f"{name} is not empty")
        if name.startswith("bucket:"):
            reserved, released = await _ask(redis, "HMGET", key, "reserved", "released")
            if int(reserved or 0) or int(released or 0):
                found.append(f"{name} has {int(released)} jobs with {int(reserved)} credits reserved")
    return found


async def violations(
    redis: Redis,
    queue: str,
    job_ids: Iterable[str],
    *,
    limits: Iterable[TokenBucket] = (),
    runs: Mapping[str, int] | None = None,
    live: Collection[str] = (),
) -> list[str]:
    """All of the above, for jobs that must have ended."""
    wrong = await unfinished(redis, queue, job_ids)
    wrong += await settled_twice(redis, queue)
    wrong += over_limit(await starts_of(redis, queue), limits, runs) if limits else []
    wrong += await left_behind(redis, queue, live)
    return wrong


async def _ask(redis: Redis, *words: str | int) -> Any:
    return await redis.execute_command(*words)  # type: ignore[no-untyped-call]


async def _consumers(redis: Redis, stream: str) -> list[tuple[str, int]]:
    try:
        return [(row["name"].decode(), row["pending"]) for row in await _ask(redis, "XINFO CONSUMERS", stream, GROUP)]
    except ResponseError:  # no such stream or group: nobody has worked here
        return []


def _costs(limits: str) -> dict[str, int]:
    return {bucket: int(cost) for bucket, _, cost in (need.partition("=") for need in limits.split(";") if need)}


def _began(starts: Sequence[Start], runs: Mapping[str, int]) -> list[Start]:
    left, began = Counter(runs), []
    for start in reversed(starts):
        if left[start.job] > 0:
            left[start.job] -= 1
            began.append(start)
    return began[::-1]
