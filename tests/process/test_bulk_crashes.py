"""An act upon many jobs whose leaders are killed before and after their pages: each job has it done once, and none is left out."""

from pathlib import Path

import pytest
from redis.asyncio import Redis

from runner import Client, JobFilter
from runner.jobs import BulkAction, BulkPhase
from tests.eventually import eventually
from tests.process.apps import PATIENT, App
from tests.process.nursery import nursery_of
from tests.recovery import Recovery

SHORT = {"lease_s": 1.0, "renew_s": 0.2, "reclaim_s": 0.3, "block_s": 0.3}
DIED = 70
JOBS = 400
DEATHS = ["bulk:before=exit@2", "bulk:after=exit@2", "bulk:after=exit@3", "bulk:before=exit@4"]
"""At a page that counts or acts: an answer is lost by the second and the third."""
RECOVERY_S = 10.0


@pytest.mark.fault("F10", bound_s=RECOVERY_S)
@pytest.mark.parametrize("action", [BulkAction.cancel, BulkAction.purge])
async def test_leaders_that_are_killed_at_their_pages_do_nothing_twice_and_leave_nothing_out(
    redis: Redis, redis_url: str, queue: str, tmp_path: Path, recovery: Recovery, action: BulkAction
) -> None:
    app = App(redis_url, queue, tmp_path / queue, **SHORT, **PATIENT)
    try:
        client: Client = app.runner.client
        await app.submit(app.counted, range(JOBS), delay=3_600)
        chosen = JobFilter(state="scheduled")
        bulk = await client.bulk.begin(action, chosen)
        bulk = await client.bulk.counted(bulk.id, 20)
        assert bulk.counted == JOBS
        store = client._session.store
        await store.confirm_bulk(bulk.id, JOBS)
        async with nursery_of(redis_url, tmp_path) as nursery:
            for death in DEATHS:
                victim = await nursery.spawn(queue, failpoints=death, **SHORT)
                assert await nursery.ended(victim) == DIED
            recovery.begins()
            await nursery.spawn(queue, **SHORT)

            async def is_over() -> bool:
                return (await client.bulk.status(bulk.id)).phase is BulkPhase.done

            await eventually(is_over)
            recovery.ends()
        bulk = await client.bulk.status(bulk.id)
        assert (bulk.done, bulk.skipped) == (JOBS, 0)
        assert (await client.job_counts()).scheduled == 0
        assert app.runs().total() == 0
    finally:
        await app.runner.close()
