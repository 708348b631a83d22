"""Schedules, flows, tags and pools beside workers and producers of the format before, which know nothing of them: nothing is lost."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from runner import JobFilter
from tests.app_internals import publish
from tests.chaos.campaign.players.schedules import instants_of, unaccounted
from tests.eventually import eventually
from tests.process.apps import FAST, PATIENT
from tests.process.crew import Crew, WorkerProcess, final
from tests.process.planned_app import PlannedApp
from tests.process.test_mixed_versions import BEFORE, checkout

_BY_NAME = """
import asyncio, sys
from runner import Client
from runner.settings import load_settings

async def main():
    async with Client(sys.argv[2], settings=load_settings(redis_url=sys.argv[1])) as client:
        for task in sys.argv[3:]:
            try:
                handle = await client.submit(task, {"number": 1})
            except Exception as error:
                print(task, type(error).__name__, error)
            else:
                print(task, "accepted", handle.id)

asyncio.run(main())
"""


@pytest.fixture
async def planned(redis_url: str, queue: str, tmp_path: Path) -> AsyncIterator[PlannedApp]:
    app = PlannedApp(redis_url, queue, tmp_path, **FAST, **PATIENT)
    yield app
    await app.runner.close()


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """A commit of format 2."""
    return checkout(BEFORE, tmp_path / "before")


async def leave(worker: WorkerProcess) -> None:
    worker.signal(signal.SIGTERM)
    assert await worker.ended() == 0


@pytest.mark.fault("F42")
async def test_jobs_after_others_that_an_older_worker_has_ended_are_let_go_by_a_newer_one(
    redis: Redis, queue: str, crew: Crew, planned: PlannedApp, before: Path
) -> None:
    old = await crew.start(checkout=before)
    client = planned.runner.client
    parents = await planned.submit(planned.nap, range(3))
    followers = await planned.submit(planned.nap.after(*parents), range(10, 12))
    gone = await planned.submit(planned.nap, range(20, 21), delay=60)
    cancelled = await planned.submit(planned.nap.after(*gone), range(21, 22))
    await final(redis, queue, parents)
    statuses = [await client.job(follower).status() for follower in followers]
    assert {(status.state, status.reason) for status in statuses} == {("waiting", "jobs")}, "code of format 2 tells nobody"

    await client.job(gone[0]).cancel()
    await crew.start(app="PlannedApp")
    await leave(old)
    await final(redis, queue, [*followers, *cancelled])

    assert [(await client.job(follower).status()).state for follower in (*followers, *cancelled)] == ["succeeded"] * 2 + ["cancelled"]
    assert [planned.runs()[job] for job in (*parents, *followers)] == [1] * 5


@pytest.mark.fault("F42")
async def test_schedules_are_fired_while_an_older_worker_leads_and_each_instant_is_in_one_count(
    crew: Crew, planned: PlannedApp, before: Path
) -> None:
    old = await crew.start(checkout=before)
    await crew.start(app="PlannedApp")
    schedules = planned.runner.client.schedules

    async def have_had(instants: int) -> bool:
        statuses = await schedules.list()
        return len(statuses) == 3 and all(instants_of(status) >= instants for status in statuses)

    await eventually(lambda: have_had(4))
    await leave(old)
    await crew.start(checkout=before)
    await eventually(lambda: have_had(10))

    statuses = [await schedules.pause(status.name) for status in await schedules.list()]
    assert [text for status in statuses for text in unaccounted(status, was_paused=False)] == []
    assert all(status.made > 0 for status in statuses)


@pytest.mark.fault("F42")
async def test_jobs_with_tags_that_an_older_worker_runs_are_found_by_them(
    redis: Redis, queue: str, crew: Crew, planned: PlannedApp, before: Path
) -> None:
    await crew.start(checkout=before)
    ids = await planned.submit(planned.nap, range(5), tags=["import-17"])
    await final(redis, queue, ids)

    page = await planned.runner.client.jobs(JobFilter(tag="import-17"))
    assert sorted(job.id for job in page.jobs) == ids
    assert {job.state for job in page.jobs} == {"succeeded"}
    await crew.start(app="PlannedApp")
    bulk = await planned.runner.client.bulk.begin("delete", JobFilter(tag="import-17"))
    bulk = await planned.runner.client.bulk.counted(bulk.id, 20)
    await planned.runner.client.bulk.confirm(bulk.id, 5)
    assert (await planned.runner.client.bulk.wait(bulk.id, 20)).done == 5


@pytest.mark.fault("F42")
async def test_a_producer_of_the_format_before_is_refused_for_a_task_of_a_pool_and_serves_all_others(
    redis_url: str, queue: str, planned: PlannedApp, before: Path
) -> None:
    @planned.runner.task(pool="gpu")
    async def render(number: int) -> None: ...

    await publish(planned.runner)
    command = [sys.executable, "-c", _BY_NAME, redis_url, queue, "render", "nap"]
    said = await asyncio.to_thread(subprocess.run, command, cwd=before, env={"PATH": ""}, capture_output=True, text=True, check=True)
    refused, accepted = said.stdout.splitlines()
    assert refused.startswith("render IncompleteCatalog ")
    assert "'format:3', which is not in the catalog" in refused
    assert accepted.startswith("nap accepted ")
