"""Workers and a producer at work while a test injects a fault, and what must be true of every job they were given."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from runner import StoreUnavailable, TokenBucket
from tests import invariants
from tests.conftest import connect
from tests.eventually import eventually
from tests.process.apps import METERED, App
from tests.process.crew import Crew, crew_of, final, worker_ids

QUEUE = "faults"
LEASE = {"lease_s": 10, "renew_s": 1}
"""Settings for faults that take the queue to another server: all are over within a lease, so nobody may lose its own."""


class Place(Protocol):
    """A server, or several that are one place."""

    @property
    def url(self) -> str: ...

    @property
    def direct_url(self) -> str: ...


@asynccontextmanager
async def two_workers(server: Place, folder: Path, **settings: Any) -> AsyncIterator[tuple[App, Crew]]:
    """An app with two workers, which must be the same two at the end."""
    app = App(server.url, QUEUE, folder)
    async with crew_of(server.url, QUEUE, folder) as crew:
        await asyncio.gather(crew.start(**settings), crew.start(**settings))
        yield app, crew
        assert len(crew.alive) == 2
    await app.runner.close()


class Producer:
    """Submits jobs all the time, each again under its id until it is answered."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._over = asyncio.Event()
        self.accepted: list[str] = []

    async def run(self, longest: int) -> None:
        for number in range(longest):
            task = self._app.metered if number % 2 else self._app.nap
            while True:
                try:
                    self.accepted += await self._app.submit(task, range(number, number + 1), 0.05)
                    break
                except StoreUnavailable:
                    await asyncio.sleep(0.05)
            if self._over.is_set():
                return
            await asyncio.sleep(0.005)

    def stop(self) -> None:
        self._over.set()


@asynccontextmanager
async def producing(app: App) -> AsyncIterator[Producer]:
    producer = Producer(app)
    async with asyncio.TaskGroup() as group:
        group.create_task(producer.run(100_000))
        await eventually(lambda: app.runs().total() > 20)
        yield producer
        producer.stop()


async def goes_on(producer: Producer, jobs: int = 20) -> None:
    """Wait until so many more jobs were accepted."""
    before = len(producer.accepted)
    await eventually(lambda: len(producer.accepted) > before + jobs)


async def work_goes_on(app: App, producer: Producer) -> None:
    """A job that is submitted from now on is accepted, and runs."""
    await goes_on(producer, 1)
    accepted = producer.accepted[-1]
    await eventually(lambda: app.runs()[accepted] > 0)


def kept_their_leases(crew: Crew) -> bool:
    return not any("continuing under a new id" in worker.log for worker in crew.all)


async def settled(server: Place, app: App, accepted: list[str], *, most_runs: int, limits: Sequence[TokenBucket] = (METERED,)) -> None:
    """Every accepted job has ended, as it must. More than one run is the price of a fault that loses acknowledged starts."""
    wrong: list[str] = []
    async with connect(server.direct_url) as redis:
        await final(redis, QUEUE, accepted)

        async def nothing_is_wrong() -> bool:
            live = (await worker_ids(redis, QUEUE)).values()
            wrong[:] = await invariants.violations(
                redis, QUEUE, accepted, limits=limits, runs=app.runs() if most_runs == 1 else None, live=live
            )
            return not wrong

        try:
            await eventually(nothing_is_wrong)
        except AssertionError as error:
            raise AssertionError(f"still wrong: {wrong[:20]}") from error
    runs = app.runs()
    assert {job_id for job_id in accepted if not 1 <= runs[job_id] <= most_runs} == set()
