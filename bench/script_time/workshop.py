"""A queue that is prepared at its worst: jobs on streams, in lines and in workers' hands, tokens taken, all at an instant of our own."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

from redis.asyncio import Redis

from bench.script_time.stopwatch import Act, Stopwatch
from runner import Concurrency, SlidingWindow, TokenBucket
from runner.jobs import StartedJob, Submission
from runner.store import ClaimRequest, JobStore, LeaseStore, Look
from tests.store.builders import Clock, job

WORKER = "w"
WINDOW_S = 60.0
_AT_ONCE = 1_000
_PLENTY = 1_000_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Workshop:
    """One empty queue. `size` is what there is a lot of: waiting jobs, buckets, slots."""

    url: str
    redis: Redis
    store: JobStore
    stopwatch: Stopwatch
    clock: Clock
    size: int
    _numbers: "count[int]" = field(default_factory=count)

    def number(self) -> int:
        """Another one each time, for names."""
        return next(self._numbers)

    async def publish(self, *limits: Any) -> None:
        await self.store.publish({}, limits)

    async def submit(self, jobs: Sequence[Submission]) -> None:
        for group in _groups(jobs):
            await self.store.submit(group)

    def lease(self) -> LeaseStore:
        """What the heartbeat's thread asks with, watched."""
        lease = LeaseStore(self.url, self.store.keys.queue, self.store.settings)
        self.stopwatch.watch_in_thread(lease._redis)  # noqa: SLF001 - it takes no other client
        return lease

    # Jobs that can start

    async def ready(self, jobs: int, *, limits: int) -> None:
        """Jobs on the streams, each with so many limits of its own key."""
        for name in _NAMES[:limits]:
            await self.publish(TokenBucket(name, rate="1000/s", burst=_PLENTY, key="{k}"))
        await self.submit(self.keyed(jobs, _NAMES[:limits]))

    def keyed(self, jobs: int, names: Sequence[str], **fields: Any) -> list[Submission]:
        """Jobs with a bucket of their own at each of these limits."""
        return [job(f"k{n}", needs=[f"{name}/{n}" for name in names], **fields) for n in (self.number() for _ in range(jobs))]

    async def running(self, jobs: int, *, limits: int) -> list[StartedJob]:
        """Jobs in the hands of `WORKER`."""
        await self.ready(jobs, limits=limits)
        await self.enlist()
        started: list[StartedJob] = []
        while len(started) < jobs:
            started += await self.claim(jobs - len(started))
        return started

    async def enlist(self, worker: str = WORKER) -> None:
        await self.store.enlist(worker, "{}")

    async def claim(self, free: int, look: Look = Look.no) -> list[StartedJob]:
        return (await self.store.claim(WORKER, ClaimRequest(free, look=look, read_more=True))).jobs

    # Jobs in lines; they are submitted before the limit is published, so that none starts

    async def line(self, name: str, jobs: int) -> None:
        """One line at an unpublished bucket."""
        await self.submit([job(f"l{self.number()}", needs=[name]) for _ in range(jobs)])

    async def lines(self, lines: int, *buckets: str) -> None:
        """Lines of one job each that wait at the first of these buckets."""
        await self.submit([job(f"s{n}", needs=buckets, share=f"t{n}") for n in (self.number() for _ in range(lines))])

    async def pairs(self, jobs: int, **fields: Any) -> None:
        """Lines of one job each that need a bucket of their own at `own`, and the one of `shared`."""
        await self.submit([job(f"p{n}", needs=[f"own/{n}", "shared"], **fields) for n in (self.number() for _ in range(jobs))])

    async def buckets(self, name: str, buckets: int) -> list[str]:
        """Buckets of one limit, a job waiting at each: the ids of the jobs."""
        jobs = self.keyed(buckets, [name])
        await self.submit(jobs)
        return [one.id for one in jobs]

    async def let_go(self, *names: str, key: str | None = None) -> None:
        """Publish these limits with plenty of tokens: all that waits for them is due, at each of their buckets."""
        await self.publish(*(TokenBucket(name, rate="1000/s", burst=_PLENTY, key=key) for name in names))
        await self.turn_pages()
        self.clock.advance(2)

    async def turn_pages(self) -> None:
        """A change of limits reaches all their buckets."""
        while await self.store.retime():
            pass

    async def due_buckets(self) -> None:
        """Many buckets of the limit `k`, a job waiting at each, and tokens for all of them."""
        await self.buckets("k", self.size)
        await self.let_go("k", key="{k}")

    # Tokens that were taken one by one

    async def started_in_window(self, bucket: str, starts: int) -> None:
        """A sliding window (published) full of starts, all at this instant."""
        await self._taken(bucket, starts, "taken", self.clock.now_us)

    async def held_slots(self, bucket: str, slots: int, lapse_s: float) -> None:
        """Slots of a concurrency (published) that all lapse at once."""
        await self._taken(bucket, slots, "holders", self.clock.now_us + round(lapse_s * 1_000_000))

    async def _taken(self, bucket: str, tokens: int, kind: str, instant_us: int) -> None:
        """One ticket takes all the tokens, then as many single holders stand in its place."""
        ticket, key = f"take:{self.number()}", f"{self.store.keys.prefix}{kind}:{bucket}"
        mark = "!" if kind == "holders" else ""
        await self.store.take(ticket, f"{bucket}={tokens}{mark}", bucket, lapse_us=1 if mark else 0)
        if not await self.redis.zrem(key, f"{tokens}:{ticket}"):
            raise RuntimeError(f"{bucket} had not {tokens} tokens")
        for group in _groups(range(tokens)):
            await self.redis.zadd(key, {f"1:{ticket}-{n}": instant_us for n in group})


_NAMES = ("a", "b", "c")

Prepare = Callable[[Workshop], Awaitable[Act]]
WORST_CASES: dict[str, dict[str, Prepare]] = {}
"""By script and by name: makes the queue what the script finds worst, and returns what its caller does then."""


def worst_case(script: str, name: str) -> Callable[[Prepare], Prepare]:
    def register(prepare: Prepare) -> Prepare:
        WORST_CASES.setdefault(script, {})[name] = prepare
        return prepare

    return register


def window(name: str, capacity: int) -> SlidingWindow:
    return SlidingWindow(name, capacity, per=WINDOW_S)


def slots(name: str, capacity: int) -> Concurrency:
    return Concurrency(name, capacity)


def _groups(many: Sequence[T]) -> Iterator[Sequence[T]]:
    return (many[begin : begin + _AT_ONCE] for begin in range(0, len(many), _AT_ONCE))
