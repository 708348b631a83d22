"""Builders for the tests of the scripts: stores whose time is passed in, submissions, claims and outcomes."""

import itertools
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from runner.clock import MICROSECONDS, milliseconds
from runner.connection.client import command
from runner.jobs.job import Ending, Outcome, Priority, StartedJob
from runner.jobs.submission import Submission
from runner.limits import Limit, Need, TokenBucket, encode_needs
from runner.settings import Settings
from runner.store.claimed import HeldEntry, held_entries
from runner.store.claims import ClaimRequest
from runner.store.job_store import JobStore
from runner.store.keys import GROUP
from runner.store.portions import portions
from tests.leftovers import immortal_keys, keys_of
from tests.topologies import queue_name

# The year 2096: Redis expires keys by its own clock, so time passed in must stay ahead of it or a bucket would be full too early.
START_US = 4_000_000_000_000_000


@dataclass
class Clock:
    """Time as the scripts are told it."""

    now_us: int = START_US

    def advance(self, seconds: float) -> None:
        self.now_us += round(seconds * MICROSECONDS)

    def advance_us(self, microseconds: int) -> None:
        self.now_us += microseconds


def make_store(redis_url: str, queue: str, clock: Clock, **settings: object) -> JobStore:
    """A store that takes its time from `clock`."""
    return JobStore(redis_url, queue, Settings.model_validate(settings), now_us=lambda: clock.now_us)


@asynccontextmanager
async def fresh_store(redis: Redis, redis_url: str, clock: Clock, **settings: object) -> AsyncIterator[JobStore]:
    """A store on a queue of its own, for a test that needs many; its keys are checked and deleted as the fixture `queue` does."""
    name = queue_name()
    store = make_store(redis_url, name, clock, **settings)
    try:
        yield store
        immortal = await immortal_keys(redis, name)
        assert not immortal, f"keys without a TTL: {immortal}"
    finally:
        await store.close()
        if keys := await keys_of(redis, name):
            await redis.delete(*keys)


_numbers = itertools.count(1)


def job(
    job_id: str | None = None,
    *,
    needs: Iterable[str | tuple[str, int] | Need] = (),
    share: str = "",
    weight: int = 1,
    priority: Priority = Priority.normal,
    delay: float = 0,
    max_wait: float = 0,
    on_expiry: str = "expire",
    deadline: float = 0,
    task: str = "work",
    args: bytes = b"{}",
) -> Submission:
    """A submission; `needs` are bucket names, or (bucket name, cost); of a `Concurrency` limit `slot(name)`."""
    wanted = [Need(need, 1) if isinstance(need, str) else Need(*need) for need in needs]
    limits, line = encode_needs(wanted, share, weight, priority)
    name = f"j{next(_numbers)}" if job_id is None else job_id
    delay_us, max_wait_us = round(delay * MICROSECONDS), round(max_wait * MICROSECONDS)
    return Submission(name, args, task, limits, line, int(priority), delay_us, max_wait_us, on_expiry, round(deadline * MICROSECONDS))


def unique(job_id: str, mark: str = "work/m", mode: str = "end", duplicate: str = "return", **fields: Any) -> Submission:
    """A job with a mark. Of `fields` those of a mark go there, the others are of the job."""
    told: dict[str, Any] = {"mark": mark, "mode": mode, "duplicate": duplicate}
    told |= {name: fields.pop(name) for name in ("until_us", "max_delay_us") if name in fields}
    return job(job_id, **fields)._replace(has_call=3, call=f"call of {job_id}", features=json.dumps({"unique": told}))


def replacing(job_id: str, mark: str = "work/m", **fields: Any) -> Submission:
    return unique(job_id, mark, "start", "replace", **fields)


def slot(bucket: str, cost: int = 1) -> Need:
    """What a job holds of a concurrency limit until it ends."""
    return Need(bucket, cost, given_back=True)


def jobs(count: int, prefix: str = "j", **fields: Any) -> list[Submission]:
    """`count` submissions named prefix0, prefix1, ..."""
    return [job(f"{prefix}{number}", **fields) for number in range(count)]


def interval(name: str = "x", capacity: int = 1, refill: int = 1, every: float = 1, key: str | None = None) -> TokenBucket:
    """A bucket that refills in whole intervals."""
    return TokenBucket(name, capacity=capacity, refill=refill, every=every, key=key)


async def publish(store: JobStore, *limits: Limit) -> int:
    """Put limits into the catalog; how many changed."""
    return len((await store.publish({}, limits)).changed)


async def enlist(store: JobStore, *workers: str) -> None:
    for worker in workers:
        await store.enlist(worker, f'{{"name":"{worker}"}}')


async def claim(
    store: JobStore, free: int = 100, worker: str = "w", held: Sequence[HeldEntry] = (), *, more: bool = True
) -> list[StartedJob]:
    """Start what can start; the worker is enlisted or renewed first, so that its lease is never what a test is about."""
    await store.enlist(worker, "{}")
    return (await store.claim(worker, ClaimRequest(free, held, read_more=more, alone=True))).jobs


async def read(store: JobStore, worker: str, count: int, block_s: float = 0.1) -> list[HeldEntry]:
    """What a worker holds after a blocking read whose claim never ran: ready jobs, up to `count` of each priority."""
    streams = {store.keys.stream(priority).encode(): int(priority) for priority in Priority}
    words: list[str | int] = ["XREADGROUP", "GROUP", GROUP, worker, "COUNT", count, "BLOCK", milliseconds(block_s)]
    return held_entries(await command(store.redis, *words, "STREAMS", *streams, ">", ">", ">"), streams)


def ids(started: Iterable[StartedJob]) -> list[str]:
    return [one.id for one in started]


KEPT_MS = 3_600_000
"""How long jobs are kept that a history asks for at its end: longer than it takes on any machine."""


def succeeded(started: StartedJob, payload: bytes = b"1", ttl_ms: int = 60_000) -> Outcome:
    return Outcome(started, Ending.succeeded, payload, 0, ttl_ms)


async def finish_all(store: JobStore, started: Sequence[StartedJob], worker: str = "w") -> None:
    """End these attempts well; every outcome must be accepted."""
    for part in portions(started):
        assert set(await store.finish(worker, [succeeded(one) for one in part])) == {"accepted"}


PLAIN_ENDINGS = [ending for ending in Ending if ending not in (Ending.amended, Ending.busy)]
"""An amended job goes back with other needs, which its payload has to name; only one that was not started finds its worker busy."""


async def end(
    store: JobStore,
    started: StartedJob,
    ending: Ending = Ending.succeeded,
    *,
    delay: float = 0,
    settled: str = "",
    freeze: str = "",
    most: int = 0,
) -> str:
    """End one attempt of worker `w`: its answer."""
    outcome = Outcome(started, ending, b"{}", round(delay * MICROSECONDS), 60_000, settled, freeze, most)
    return (await store.finish("w", [outcome]))[0]


async def crash(store: JobStore, worker: str = "w") -> tuple[int, int, int]:
    """The lease of a worker lapses, and the leader takes back what it holds."""
    await command(store.redis, "ZADD", store.keys.workers, 1, worker)
    return await store.reclaim()


async def fail_all(store: JobStore, started: Sequence[StartedJob], worker: str = "w") -> None:
    """End these attempts for good, as dead letters that are kept for a minute."""
    answers = await store.finish(worker, [Outcome(one, Ending.failed, b'{"type":"E","message":"no"}', 0, 60_000) for one in started])
    assert set(answers) <= {"accepted"}
