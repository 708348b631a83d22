"""A network that falls silent, loses one side, or passes a byte at a time: what is due starts on time, and nothing is lost."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from runner import JobHandle, Runner, TokenBucket
from runner.store.keys import Keys
from tests import invariants
from tests.eventually import eventually
from tests.proxy import Proxy
from tests.recovery import Recovery
from tests.worker.conftest import a_crew, short_settings

OUTAGE_S = 3.0
PACED = TokenBucket("paced", rate="50/s", burst=5)


class Scene:
    """A worker behind a proxy, and a producer that is not."""

    def __init__(self, proxy: Proxy, app: Runner, redis: Redis, queue: str) -> None:
        self.proxy = proxy
        self.app = app
        self.runs = Counter[int]()
        self._redis = redis
        self._queue = queue

    async def is_well(self, jobs: list[JobHandle[int]], live: list[str]) -> bool:
        return not await invariants.violations(self._redis, self._queue, [job.id for job in jobs], limits=[PACED], live=live)


@asynccontextmanager
async def scene_of(redis: Redis, redis_url: str, queue: str, **settings: object) -> AsyncIterator[Scene]:
    async with Proxy(redis_url) as proxy:
        app = Runner(queue, settings=short_settings(redis_url))
        hidden = Runner(queue, settings=short_settings(proxy.url, **settings))
        scene = Scene(proxy, app, redis, queue)

        async def call(number: int) -> int:
            scene.runs[number] += 1
            return number

        for each in (app, hidden):
            each.task(limits=[PACED])(call)
        async with a_crew() as crew:
            await crew.start(hidden)
            yield scene
            await eventually(lambda: scene.is_well([], crew.ids))
        await app.close()
        await hidden.close()
        await redis.delete(Keys(queue).starts)


async def submit(app: Runner, count: int, delay: float = 0, first: int = 0) -> list[JobHandle[int]]:
    task = app.tasks["call"].with_options(delay=delay)
    return await app.submit_many([task.prepare(number) for number in range(first, first + count)])


@pytest.mark.fault("F16", bound_s=2)
async def test_jobs_due_during_an_outage_start_when_it_ends_and_none_early(
    redis: Redis, redis_url: str, queue: str, recovery: Recovery
) -> None:
    async with scene_of(redis, redis_url, queue) as scene:
        during = await submit(scene.app, 5, delay=1.5)
        after = await submit(scene.app, 5, delay=OUTAGE_S + 1.0, first=5)
        scene.proxy.black_hole()
        await asyncio.sleep(OUTAGE_S)
        assert scene.runs == {}
        recovery.begins()
        scene.proxy.heal()
        for job in during:
            assert (await job.wait(timeout=10)).state == "succeeded"
        recovery.ends()
        for job, delay in [*((job, 1.5) for job in during), *((job, OUTAGE_S + 1.0) for job in after)]:
            status = await job.wait(timeout=10)
            assert status.started_at is not None
            assert status.submitted_at is not None
            assert status.started_at >= status.submitted_at + delay
        assert scene.runs == dict.fromkeys(range(10), 1)


@pytest.mark.fault("X03", bound_s=3.5)
async def test_connections_whose_other_side_is_gone_without_a_word_are_given_up(
    redis: Redis, redis_url: str, queue: str, recovery: Recovery
) -> None:
    """Found by the time-out of the blocking read: 0.5 s, 1 s of margin, and the time to set up again."""
    async with scene_of(redis, redis_url, queue) as scene:
        for job in await submit(scene.app, 3):
            await job.wait(timeout=10)
        assert scene.proxy.freeze_connections() > 2
        jobs = await submit(scene.app, 10, first=3)
        recovery.begins()
        for job in jobs:
            assert (await job.wait(timeout=10)).state == "succeeded"
        recovery.ends()
        assert scene.runs == dict.fromkeys(range(13), 1)


@pytest.mark.fault("X04")
async def test_a_network_that_passes_one_byte_at_a_time_loses_nothing(redis: Redis, redis_url: str, queue: str) -> None:
    async with scene_of(redis, redis_url, queue) as scene:
        for job in await submit(scene.app, 1):
            await job.wait(timeout=10)
        scene.proxy.trickle()
        jobs = await submit(scene.app, 20, first=1)
        for job in jobs:
            assert (await job.wait(timeout=20)).state == "succeeded"
        assert scene.runs == dict.fromkeys(range(21), 1)
        scene.proxy.heal()
