"""Queues that share one limit, on a real cluster or on servers of their own, with workers in the test's loop, and a way to their home that loses calls."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast

from typing_extensions import override

from runner import Runner, Task, Worker, load_settings
from runner.clock import MICROSECONDS, wall_us
from runner.connection import command, translated_errors
from runner.errors import StoreUnavailable
from runner.limits import Limit, decode_needs, home_of
from runner.store import Ask, Hand, Home, LeaseAnswer, Told
from tests.eventually import eventually
from tests.servers import Server
from tests.starts import Starts
from tests.topologies import MAIN_SLOTS, Cluster, slot_of

_JOBS = 1_500
OTHER_COST = 60


def name_in(slots: range, prefix: str, of: str = "") -> str:
    """A name whose key space is in one of these slots."""
    return next(name for name in (f"{prefix}{number}" for number in count()) if slot_of(f"{of}{name}") in slots)


FIRST, SECOND, THIRD = range(MAIN_SLOTS), range(MAIN_SLOTS, MAIN_SLOTS + 1), range(MAIN_SLOTS + 1, MAIN_SLOTS + 2)
"""The slots of the three primaries of a `Cluster`."""


class LossyHome(Home):
    """Loses some calls, before or after they are done, and delays some; hears only a part of what it is told."""

    loss = 0.0
    late_s = 0.0
    deaf = 0.0

    @override
    async def lease(self, partition: str, weight: int, hands: Sequence[Hand], asks: Sequence[Ask] = ()) -> LeaseAnswer:
        if random.random() < self.late_s:
            await asyncio.sleep(random.uniform(0, 2 * self.late_s))
        if random.random() >= self.loss:
            return await super().lease(partition, weight, hands, asks)
        if random.random() < 0.5:
            await super().lease(partition, weight, hands, asks)
        raise StoreUnavailable("this call was lost by a test")

    @override
    async def wait_for_word(self, partition: str) -> Told | None:
        told = await super().wait_for_word(partition)
        return None if random.random() < self.deaf else told


@dataclass
class Sharing:
    """The queues, each with its task and its workers."""

    limit: Limit
    other: Limit | None = None
    """Of which each job takes OTHER_COST tokens besides."""
    apps: list[Runner] = field(default_factory=list)
    tasks: list[Task[..., Any]] = field(default_factory=list)
    workers: list[tuple[Worker, "asyncio.Task[None]"]] = field(default_factory=list)
    most_excess: int = 0
    """So many tokens beyond the limit are what is documented of the fault of a test."""

    async def declare(self, queue: str, url: str, shared_url: str | None = None) -> None:
        """One more queue, which has jobs."""
        settings = load_settings(redis_url=url, shared_url=shared_url, record_starts=True, lease_s=6.0, renew_s=1.0)
        app = Runner(queue, settings=settings)

        limits = [self.limit] if self.other is None else [self.limit, self.other]

        @app.task(limits=limits, cost={} if self.other is None else {self.other.name: OTHER_COST})
        async def work(number: int) -> int:
            return number

        self.apps.append(app)
        self.tasks.append(work)
        await self.submit(len(self.apps) - 1)

    async def submit(self, at: int, jobs: int = _JOBS) -> None:
        await self.apps[at].submit_many([self.tasks[at].prepare(number) for number in range(jobs)])

    def start_worker(self, at: int) -> None:
        worker = Worker(self.apps[at])
        self.workers.append((worker, asyncio.create_task(worker.run())))

    async def starts(self, of: Sequence[int] | None = None) -> list[tuple[int, int, int]]:
        """Of these queues, or of all, in the order of their instants: instant, cost, number of the queue."""
        found = []
        for at in range(len(self.apps)) if of is None else of:
            store = self.apps[at]._session.store
            try:
                with translated_errors():
                    rows = await command(store.redis, "XRANGE", store.keys.starts, "-", "+")
            except StoreUnavailable:
                continue  # its server was killed just now
            for _, words in rows:
                fields = dict(zip(words[::2], words[1::2], strict=True))
                costs = {need.bucket: need.cost for need in decode_needs(fields[b"limits"].decode())}
                found.append((int(fields[b"now"]), costs[self.limit.name], at))
        return sorted(found)

    async def progress(self, by: int = 50, *, of: Sequence[int] | None = None) -> None:
        """Until so many more have started, in these queues."""

        async def count_of() -> int:
            return len(await self.starts(of))

        aim = await count_of() + by
        await eventually(lambda: _reached(count_of(), aim), within_s=90)

    async def checked(self) -> float:
        """The part of the limit that was used. Fails if all starts together exceed it, or the other one."""
        found = await self.starts()
        starts, others = Starts(), Starts()
        for at_us, cost, _ in found:
            starts.add(at_us, cost)
            others.add(at_us, OTHER_COST)
        assert starts.excess(self.limit.in_scope(None)) <= self.most_excess
        assert self.other is None or others.excess(self.other.in_scope(None)) <= self.most_excess
        return sum(cost for _, cost, _ in found) / self.limit.bound((found[-1][0] - found[0][0]) / MICROSECONDS)


async def _reached(counted: Any, aim: int) -> bool:
    return cast("int", await counted) >= aim


@asynccontextmanager
async def sharing(
    cluster: Cluster, limit: Limit, queues: int = 4, *, workers: int = 1, other: Limit | None = None
) -> AsyncIterator[Sharing]:
    """Queues on all three primaries of a cluster, and the home on the second; all have jobs. Afterwards their starts are held against the limit."""
    scope = name_in(SECOND, f"scope{wall_us()}-", home_of(""))
    made = Sharing(limit.in_scope(scope), None if other is None else other.in_scope(scope))
    places = [(name_in((FIRST, SECOND, THIRD)[at % 3], f"q{wall_us()}-{at}-"), cluster.url) for at in range(queues)]
    async with _at_work(made, places, workers):
        yield made


@asynccontextmanager
async def sharing_apart(home: Server, servers: Sequence[Server], limit: Limit) -> AsyncIterator[Sharing]:
    """A queue on each of these servers, and the home on one of its own. The same afterwards."""
    made = Sharing(limit.in_scope(f"scope{wall_us()}"))
    places = [(f"q{wall_us()}-{at}", server.url) for at, server in enumerate(servers)]
    async with _at_work(made, places, 1, home.url):
        yield made


@asynccontextmanager
async def _at_work(made: Sharing, places: Sequence[tuple[str, str]], workers: int, shared_url: str | None = None) -> AsyncIterator[None]:
    for queue, url in places:
        await made.declare(queue, url, shared_url)
    for at in range(len(places)):
        for _ in range(workers):
            made.start_worker(at)
    try:
        for at in range(len(places)):
            await made.progress(1, of=[at])
        yield
        await made.checked()
    finally:
        for worker, _ in made.workers:
            worker.stop()
            worker.stop()
        await asyncio.gather(*(task for _, task in made.workers), return_exceptions=True)
        for app in made.apps:
            await app.close()
