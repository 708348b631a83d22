"""The server killed, restarted, disconnected and stopped under load: every accepted job ends, and the same workers go on."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from runner import StoreUnavailable
from runner.redis_client import command
from tests import invariants
from tests.conftest import connect
from tests.eventually import eventually
from tests.process.apps import METERED, App
from tests.process.crew import PROGRESS_S, Crew, crew_of, final, worker_ids
from tests.recovery import Recovery
from tests.servers import Server

pytestmark = [pytest.mark.process, pytest.mark.slow]

QUEUE = "faults"


@asynccontextmanager
async def two_workers(server: Server, folder: Path, **settings: Any) -> AsyncIterator[tuple[App, Crew]]:
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
        await eventually(lambda: app.runs().total() > 20, PROGRESS_S)
        yield producer
        producer.stop()


async def work_goes_on(app: App, producer: Producer) -> None:
    """A job that is submitted from now on is accepted, and runs."""
    before = len(producer.accepted)
    await eventually(lambda: len(producer.accepted) > before + 1, PROGRESS_S)
    accepted = producer.accepted[-1]
    await eventually(lambda: app.runs()[accepted] > 0, PROGRESS_S)


async def settled(server: Server, app: App, accepted: list[str], *, most_runs: int) -> None:
    """Every accepted job has ended, as it must."""
    async with connect(server.url) as redis:
        await final(redis, QUEUE, accepted, within_s=20)

        async def nothing_is_wrong() -> bool:
            live = (await worker_ids(redis, QUEUE)).values()
            return not await invariants.violations(redis, QUEUE, accepted, limits=[METERED], runs=app.runs(), live=live)

        await eventually(nothing_is_wrong, within_s=10)
    runs = app.runs()
    assert {job_id for job_id in accepted if not 1 <= runs[job_id] <= most_runs} == set()


@pytest.mark.fault("F02", bound_s=5)
async def test_a_server_killed_under_load_and_started_again_loses_nothing(
    private_server: Server, tmp_path: Path, recovery: Recovery
) -> None:
    async with two_workers(private_server, tmp_path, lease_s=10, renew_s=1) as (app, _):
        async with producing(app) as producer:
            private_server.kill()
            await asyncio.sleep(2)
            private_server.start()
            recovery.begins()
            await work_goes_on(app, producer)
            recovery.ends()
            before = len(producer.accepted)
            await eventually(lambda: len(producer.accepted) > before + 50, PROGRESS_S)
        await settled(private_server, app, producer.accepted, most_runs=1)


@pytest.mark.fault("F02", bound_s=5)
async def test_a_server_that_dies_again_and_again_loses_nothing(
    private_server: Server, tmp_path: Path, recovery: Recovery, fault_repeats: int
) -> None:
    async with two_workers(private_server, tmp_path, lease_s=10, renew_s=1) as (app, _):
        async with producing(app) as producer:
            for _ in range(fault_repeats):
                for _ in range(5):  # within 3 s, as far as the machine is quick enough
                    private_server.kill()
                    private_server.start()
                    await asyncio.sleep(0.4)
                recovery.begins()
                await work_goes_on(app, producer)
                recovery.ends()
        await settled(private_server, app, producer.accepted, most_runs=1)


async def test_an_outage_longer_than_the_lease_costs_no_worker_its_jobs(private_server: Server, tmp_path: Path) -> None:
    async with two_workers(private_server, tmp_path, lease_s=1.5, renew_s=0.3) as (app, _):
        ids = await app.submit(app.nap, range(10), 5.0)
        await eventually(lambda: app.runs().total() == 10, PROGRESS_S)
        private_server.kill()
        await asyncio.sleep(2.5)
        private_server.start()
        await settled(private_server, app, ids, most_runs=1)


@pytest.mark.fault("F03", bound_s=5)
async def test_connections_cut_again_and_again_lose_nothing(private_server: Server, tmp_path: Path, recovery: Recovery) -> None:
    async with two_workers(private_server, tmp_path, lease_s=10, renew_s=1) as (app, _), connect(private_server.url) as redis:
        async with producing(app) as producer:
            for _ in range(15):
                await command(redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                recovery.begins()
                await work_goes_on(app, producer)
                recovery.ends()
        await settled(private_server, app, producer.accepted, most_runs=1)


async def test_a_server_that_hangs_for_a_while_makes_no_job_run_twice(private_server: Server, tmp_path: Path) -> None:
    async with two_workers(private_server, tmp_path, lease_s=10, renew_s=1) as (app, _), connect(private_server.url) as redis:
        async with producing(app) as producer:
            os.kill(private_server.pid, signal.SIGSTOP)
            await asyncio.sleep(2.5)
            os.kill(private_server.pid, signal.SIGCONT)
            for what in ("WRITE", "ALL"):
                before = len(producer.accepted)
                await eventually(lambda: len(producer.accepted) > before + 20, PROGRESS_S)  # noqa: B023 - awaited at once
                await command(redis, "CLIENT", "PAUSE", 2500, what)
            before = len(producer.accepted)
            await eventually(lambda: len(producer.accepted) > before + 20, PROGRESS_S)
        await settled(private_server, app, producer.accepted, most_runs=1)
