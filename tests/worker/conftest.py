"""Fixtures of the worker tests: apps with short times, and real workers as tasks of the test's own loop."""

import asyncio
import importlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import Runner, Settings, Worker, load_settings
from runner.store.failpoints import failpoints
from runner.store.keys import Keys
from runner.telemetry import WorkerCounts
from tests.eventually import PATIENCE_S, eventually
from tests.invariants import settled_twice
from tests.worker.heavy import APP, Heavy, Serve

MakeApp = Callable[..., Runner]
_numbers = count()


class Crew:
    """The workers of one test. Every worker that was started is stopped at its end, and any error of its own fails the test."""

    def __init__(self) -> None:
        self._running: dict[Worker, asyncio.Task[None]] = {}

    async def start(self, app: Runner, *, counts: WorkerCounts | None = None) -> Worker:
        """Start a worker and wait until it works. counts: where it counts what it does."""
        worker = Worker(app)
        worker.counts = counts
        task = self._running[worker] = asyncio.create_task(worker.run(), name="worker")
        working = asyncio.create_task(worker.wait_until_working())
        await asyncio.wait({task, working}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        if working.cancel():
            await task
            raise AssertionError("the worker does not get to work")
        return worker

    async def stop(self, worker: Worker) -> None:
        """Drain one worker and wait until it has signed off."""
        worker.stop()
        await self.ended(worker)

    async def ended(self, worker: Worker) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self._running.pop(worker)

    async def stop_all(self) -> None:
        for worker in self._running:
            worker.stop()
            worker.stop()
        for worker in list(self._running):
            await self.ended(worker)

    @property
    def ids(self) -> list[str]:
        """The present ids of the workers that have not stopped."""
        return [worker.id for worker in self._running]


@asynccontextmanager
async def a_crew() -> AsyncIterator[Crew]:
    crew = Crew()
    try:
        yield crew
    finally:
        await crew.stop_all()


@pytest.fixture
async def make_app(redis: Redis, redis_url: str, queue: str) -> AsyncIterator[MakeApp]:
    """Makes apps of the test's queue with other settings; afterwards no job may have two outcomes."""
    apps = []
    failpoints.cache_clear()  # the counters of failpoints begin anew in each test

    def make(**settings: object) -> Runner:
        apps.append(Runner(queue, settings=short_settings(**{"redis_url": redis_url, **settings})))
        return apps[-1]

    yield make
    for app in apps:
        await app.close()
    twice = await settled_twice(redis, queue)
    await redis.delete(Keys(queue).starts)
    assert not twice, twice


@pytest.fixture
def app(make_app: MakeApp) -> Runner:
    return make_app()


@pytest.fixture
def local_app() -> Runner:
    """For what a handler does, whoever runs it: the testing kit, at once or in virtual time. It names no server."""
    return Runner("local", redis_url="redis://nowhere.invalid:1/0")


@pytest.fixture
async def crew(make_app: MakeApp) -> AsyncIterator[Crew]:
    async with a_crew() as crew:
        yield crew


def short_settings(redis_url: object, **settings: object) -> Settings:
    """Times short enough for a fault to heal within a test, and long enough for a busy machine."""
    short = {"concurrency": 10, "lease_s": 4.0, "renew_s": 0.5, "block_s": 0.5, "reclaim_s": 0.3, "drain_s": 10.0, "record_starts": True}
    return Settings.model_validate({"redis_url": redis_url, **short, **settings})


async def state_of(app: Runner, job_id: str, state: str, within_s: float = PATIENCE_S) -> None:
    """Wait until the job is in this state."""

    async def reached() -> bool:
        return (await app.client.status(job_id)).state == state

    await eventually(reached, within_s)


async def stuck_slots(app: Runner) -> int:
    """How many slots of the queue's workers are taken by attempts that should have stopped."""
    return sum(worker.stuck for worker in await app.client.workers())


async def nothing_is_stuck(app: Runner) -> bool:
    return await stuck_slots(app) == 0


@pytest.fixture
def heavy(redis_url: str, queue: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Begins a worker of the app, with these children."""
    monkeypatch.syspath_prepend(str(tmp_path))

    @asynccontextmanager
    async def serve(children: str = "size=1", *, source: str = APP, concurrency: int = 20, **words: Any) -> AsyncIterator[Heavy]:
        name = f"heavy_{os.getpid()}_{next(_numbers)}"
        (tmp_path / f"{name}.py").write_text(source.format(queue=queue, children=children, **words))
        runner: Runner = importlib.import_module(name).jobs
        runner.settings = load_settings(redis_url=redis_url, concurrency=concurrency, drain_s=0.5)
        worker = Worker(runner)
        working = asyncio.create_task(worker.run())
        try:
            await eventually(lambda: worker.state.is_working or working.done())
            if not working.done():
                yield Heavy(runner, tmp_path / f"{name}.py")
        finally:
            worker.stop()
            await working
            await runner.close()

    return serve
