"""The server killed, restarted, disconnected and stopped under load: every accepted job ends, and the same workers go on."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from runner.connection.client import command
from tests.conftest import connect
from tests.eventually import eventually
from tests.process.load import producing, settled, two_workers, work_goes_on
from tests.recovery import Recovery
from tests.servers import Server


@pytest.mark.every_server
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
            await eventually(lambda: len(producer.accepted) > before + 50)
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
        await eventually(lambda: app.runs().total() == 10)
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
                await eventually(lambda: len(producer.accepted) > before + 20)  # noqa: B023 - awaited at once
                await command(redis, "CLIENT", "PAUSE", 2500, what)
            before = len(producer.accepted)
            await eventually(lambda: len(producer.accepted) > before + 20)
        await settled(private_server, app, producer.accepted, most_runs=1)
