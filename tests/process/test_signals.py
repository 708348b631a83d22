"""Workers that are told to leave: what runs may finish, what does not goes back, and nothing counts as a failure."""

import signal

import pytest
from redis.asyncio import Redis

from runner import JobStatus
from tests import invariants
from tests.eventually import eventually
from tests.process.apps import METERED, App
from tests.process.crew import Crew, final, worker_ids


@pytest.mark.fault("F06")
async def test_a_signal_lets_running_jobs_finish_and_gives_the_rest_back(app: App, redis: Redis, queue: str, crew: Crew) -> None:
    worker = await crew.start()
    ids = await app.submit(app.nap, range(30), 0.5)
    await eventually(lambda: app.runs().total() >= 5)
    worker.signal(signal.SIGTERM)

    assert await worker.ended() == 0
    await worker.says("stopped")
    statuses = await statuses_of(app, ids)
    begun = app.runs()
    assert {status.id for status in statuses if status.state == "succeeded"} == set(begun)
    assert {status.state for status in statuses} == {"succeeded", "queued"}
    assert await worker_ids(redis, queue) == {}

    await crew.start()
    await final(redis, queue, ids)
    assert app.runs() == dict.fromkeys(ids, 1)
    assert {(status.failures, status.crashes) for status in await statuses_of(app, ids)} == {(0, 0)}


@pytest.mark.fault("F06")
@pytest.mark.fault("F34")
@pytest.mark.parametrize("task", ["nap", "block", "stubborn"])
async def test_a_second_signal_gives_back_at_once_even_what_cannot_be_stopped(
    app: App, redis: Redis, queue: str, crew: Crew, task: str
) -> None:
    worker = await crew.start(drain_s=60)
    ids = await app.submit(getattr(app, task), range(5), 100.0)
    await eventually(lambda: app.runs().total() == 5)
    worker.signal(signal.SIGTERM)
    await eventually(lambda: "draining: 5 jobs" in worker.log)
    worker.signal(signal.SIGTERM)

    assert await worker.ended() == 0
    assert {(status.state, status.failures, status.crashes) for status in await statuses_of(app, ids)} == {("queued", 0, 0)}
    assert await worker_ids(redis, queue) == {}
    assert ("(stubborn) did not end when it was stopped; it is given back" in worker.log) is (task == "stubborn")
    for job_id in ids:
        await app.runner.client.cancel(job_id)
    await crew.start()
    await eventually(lambda: clean(app, redis, queue, ids))


@pytest.mark.fault("F06")
@pytest.mark.fault("F42")
async def test_workers_replaced_one_after_the_other_under_load_run_every_job_once(app: App, redis: Redis, queue: str, crew: Crew) -> None:
    leaving = [await crew.start(), await crew.start()]
    ids = await app.submit(app.metered, range(250), 0.02)
    ids += await app.submit(app.nap, range(1000, 1250), 0.02)
    for _ in range(5):
        done = app.runs().total()
        await eventually(lambda: app.runs().total() > done + 10 or app.runs().total() > 450)  # noqa: B023 - awaited at once
        worker = leaving.pop(0)
        worker.signal(signal.SIGTERM)
        leaving.append(await crew.start())
        assert await worker.ended() == 0
    await final(redis, queue, ids)

    assert app.runs() == dict.fromkeys(ids, 1)
    assert {(status.state, status.failures, status.crashes) for status in await statuses_of(app, ids)} == {("succeeded", 0, 0)}
    await eventually(lambda: clean(app, redis, queue, ids))


async def statuses_of(app: App, ids: list[str]) -> list[JobStatus]:
    return [await app.runner.client.status(job_id) for job_id in ids]


async def clean(app: App, redis: Redis, queue: str, ids: list[str]) -> bool:
    live = (await worker_ids(redis, queue)).values()
    return not await invariants.violations(redis, queue, ids, limits=[METERED], runs=app.runs(), live=live)
