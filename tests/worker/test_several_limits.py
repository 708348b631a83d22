"""Jobs that need slots and a slow rate, beside others that need one of the two: everybody starts, in virtual time and with real workers."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from redis.asyncio import Redis

from runner import Concurrency, JobHandle, Runner, Task, TokenBucket
from runner.errors import AlreadyFinished
from runner.testing import TestQueue
from tests import invariants
from tests.eventually import eventually
from tests.worker.conftest import Crew

SECONDS = 60
ROOM = Concurrency("room", 2)
RATE = TokenBucket("rate", rate="30/m", burst=1)
FAST = TokenBucket("rate", rate="10/s", burst=1)


def tasks_of(app: Runner, rate: TokenBucket, held_s: float) -> tuple[Counter[str], list[Task[[], None]]]:
    """Tasks of the room, the rate, and both, that hold what they have so long; and how many of each have started."""
    starts = Counter[str]()

    async def held(name: str) -> None:
        starts[name] += 1
        await asyncio.sleep(held_s)

    @app.task(limits=[ROOM, rate])
    async def both() -> None:
        await held("both")

    @app.task(limits=[ROOM])
    async def room() -> None:
        await held("room")

    @app.task(limits=[rate])
    async def rated() -> None:
        await held("rate")

    return starts, [room, rated, both]


async def test_a_job_that_needs_slots_and_a_slow_rate_gets_its_part_beside_others(
    local_app: Runner, test_queue: Callable[..., TestQueue]
) -> None:
    starts, tasks = tasks_of(local_app, RATE, 0.5)
    async with test_queue(local_app, workers=2, virtual_sleep=True) as queue:
        await local_app.submit_many([task.prepare() for task in tasks for _ in range(300)])
        await queue.advance(SECONDS)

        # Half a start a second for two, and four for two of which one can use a quarter at most.
        assert starts["both"] + starts["rate"] == SECONDS / 2 + 1
        assert min(starts["both"], starts["rate"]) >= 12
        assert starts["room"] >= 0.95 * 4 * SECONDS - starts["both"]


async def test_real_workers_start_all_kinds_and_keep_both_limits(app: Runner, redis: Redis, queue: str, crew: Crew) -> None:
    starts, tasks = tasks_of(app, FAST, 0.1)
    for _ in range(2):
        await crew.start(app)
    jobs = await app.submit_many([task.prepare() for task in tasks for _ in range(100)])

    await eventually(lambda: min(starts[name] for name in ("both", "rate", "room")) >= 4)

    await cancelled(jobs)
    assert await invariants.violations(redis, queue, [job.id for job in jobs], limits=[ROOM, FAST], live=crew.ids) == []


async def cancelled(jobs: list[JobHandle[None]]) -> None:
    """Those that wait do so no longer, those that run have ended."""
    for job in reversed(jobs):
        with suppress(AlreadyFinished):
            await job.cancel()
    for job in jobs:
        await job.wait(timeout=10)
