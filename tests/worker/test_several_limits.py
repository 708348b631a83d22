"""Jobs that need slots and a slow rate, beside others that need one of the two: with real workers, in real time, everybody starts."""

import asyncio
from collections import Counter
from contextlib import suppress

import pytest
from redis.asyncio import Redis

from runner import Concurrency, JobHandle, Runner, TokenBucket
from runner.errors import AlreadyFinished
from tests import invariants
from tests.eventually import eventually
from tests.pace import Pace
from tests.worker.conftest import Crew

HELD_S, SECONDS = 0.5, 20.0
ROOM = Concurrency("room", 2)
RATE = TokenBucket("rate", rate="30/m", burst=1)


@pytest.mark.slow
async def test_a_job_that_needs_slots_and_a_slow_rate_gets_its_part_beside_others(
    app: Runner, redis: Redis, queue: str, crew: Crew, pace: Pace
) -> None:
    starts = Counter[str]()

    async def held(name: str) -> None:
        starts[name] += 1
        await asyncio.sleep(HELD_S)

    @app.task(limits=[ROOM, RATE])
    async def both() -> None:
        await held("both")

    @app.task(limits=[ROOM])
    async def room() -> None:
        await held("room")

    @app.task(limits=[RATE])
    async def rate() -> None:
        await held("rate")

    for _ in range(2):
        await crew.start(app)
    jobs = await app.submit_many([task.prepare() for task in (room, rate, both) for _ in range(100)])
    begun_s = pace.now_s
    await eventually(lambda: pace.now_s - begun_s >= SECONDS, within_s=2 * SECONDS)

    # Half a start a second for two, and four for two of which one can use a quarter at most.
    assert starts["both"] >= 4
    assert starts["rate"] >= 4
    assert starts["room"] >= 0.75 * 4 * SECONDS - starts["both"]
    await cancelled(jobs)
    assert await invariants.violations(redis, queue, [job.id for job in jobs], limits=[ROOM, RATE], live=crew.ids) == []


async def cancelled(jobs: list[JobHandle[None]]) -> None:
    """Those that wait do so no longer, those that run have ended."""
    for job in reversed(jobs):
        with suppress(AlreadyFinished):
            await job.cancel()
    for job in jobs:
        await job.wait(timeout=10)
