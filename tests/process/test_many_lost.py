"""Worker processes that come and go without end, half of them killed: the others run all the jobs, and nothing of the lost ones remains."""

import os
import random
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from runner.jobs.job import Priority
from runner.store.keys import GROUP, Keys
from tests import invariants
from tests.eventually import eventually
from tests.process.apps import PATIENT, App
from tests.process.crew import worker_ids
from tests.process.nursery import Nursery, nursery_of
from tests.recovery import Recovery

pytestmark = pytest.mark.slow

RESTARTS = 100
LEASE_S = 1.0
GRACE_S = LEASE_S + 2.0
"""A crash has healed after the lease, one pass of reclaim, and some time for a busy machine."""
SHORT = {"lease_s": LEASE_S, "renew_s": 0.3, "reclaim_s": 0.2, "max_crashes": 100}


@pytest.fixture
async def nursery(redis_url: str, tmp_path: Path) -> AsyncIterator[Nursery]:
    async with nursery_of(redis_url, tmp_path) as nursery:
        yield nursery


@pytest.mark.fault("F24", bound_s=60)
async def test_worker_after_worker_that_is_killed_or_leaves_drops_no_job_and_leaves_no_consumer(
    redis: Redis, redis_url: str, queue: str, tmp_path: Path, nursery: Nursery, recovery: Recovery, fault_repeats: int
) -> None:
    chance = random.Random(24)
    app = App(redis_url, queue, tmp_path / queue, **SHORT, **PATIENT)
    stays = await nursery.spawn(queue, **SHORT, concurrency=2)
    await eventually(lambda: works(redis, queue, stays))
    ids: list[str] = []
    killed_s: list[float] = []
    beyond, held = [], 0
    for number in range(RESTARTS * fault_repeats):
        ids += await app.submit(app.nap, range(4 * number, 4 * number + 4), 0.02)
        comes = await nursery.spawn(queue, **SHORT, concurrency=5)
        await eventually(lambda: works(redis, queue, comes))  # noqa: B023 - awaited at once
        if chance.random() < 0.5:
            await nursery.kill(comes)
            killed_s.append(time.monotonic())
            held += comes in await worker_ids(redis, queue)
        else:
            os.kill(comes, signal.SIGTERM)
            assert await nursery.ended(comes) == 0
            assert comes not in await worker_ids(redis, queue)
        lately = sum(time.monotonic() - at_s < GRACE_S for at_s in killed_s)
        beyond.append(len(await consumers(redis, queue)) - lately - 1)

    recovery.begins()

    async def all_is_well() -> bool:
        live = list((await worker_ids(redis, queue)).values())
        return len(live) == 1 and not await invariants.violations(redis, queue, ids, runs=app.runs(), live=live)

    await eventually(all_is_well)
    recovery.ends()
    assert held == len(killed_s), "a worker that is killed signs nothing off"
    assert max(beyond) <= 0, "consumers that lapsed long ago are still there while others come"
    assert await invariants.ran_too_often(redis, queue, ids, app.runs(), faults=len(killed_s)) == []
    await nursery.kill(stays)
    await app.runner.close()
    await redis.delete(Keys(queue).starts)


async def works(redis: Redis, queue: str, pid: int) -> bool:
    return pid in await worker_ids(redis, queue)


async def consumers(redis: Redis, queue: str) -> set[str]:
    rows = await redis.xinfo_consumers(Keys(queue).stream(Priority.normal), GROUP)
    return {row["name"].decode() for row in rows}
