"""Jobs that take far longer than a lease: the lease is the worker's and renewed by a thread, so each runs once."""

from typing import Any

import pytest
from redis.asyncio import Redis

from tests import invariants
from tests.eventually import eventually
from tests.process.apps import METERED, App
from tests.process.crew import Crew, final, worker_ids

SHORT: dict[str, Any] = {"lease_s": 0.8, "renew_s": 0.15, "reclaim_s": 0.1, "stall_s": 0.3}


@pytest.mark.fault("F08")
async def test_a_job_of_five_leases_runs_once(app: App, redis: Redis, queue: str, crew: Crew) -> None:
    for _ in range(2):
        await crew.start(**SHORT)
    ids = await app.submit(app.nap, range(4), 4.2)
    ids += await app.submit(app.block, range(4, 8), 4.2)
    await final(redis, queue, ids)

    assert app.runs() == dict.fromkeys(ids, 1)
    assert {(status.state, status.crashes) for status in [await app.runner.client.status(job_id) for job_id in ids]} == {("succeeded", 0)}
    await eventually(lambda: clean(app, redis, queue, ids))


@pytest.mark.fault("F09")
async def test_a_handler_that_blocks_its_loop_for_two_leases_loses_no_job_to_the_other_worker(
    app: App, redis: Redis, queue: str, crew: Crew
) -> None:
    for _ in range(2):
        await crew.start(**SHORT, concurrency=3)
    ids = await app.submit(app.nap, range(4), 0.5)
    ids += await app.submit(app.hog, range(4, 6), 2.0)
    await final(redis, queue, ids)

    assert app.runs() == dict.fromkeys(ids, 1)
    assert {(await app.runner.client.status(job_id)).crashes for job_id in ids} == {0}
    assert any("the event loop was blocked" in worker.log and "time.sleep(seconds)" in worker.log for worker in crew.all)
    await eventually(lambda: clean(app, redis, queue, ids))


async def clean(app: App, redis: Redis, queue: str, ids: list[str]) -> bool:
    live = (await worker_ids(redis, queue)).values()
    return not await invariants.violations(redis, queue, ids, limits=[METERED], runs=app.runs(), live=live)
