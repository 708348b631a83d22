"""The leader starts due jobs itself, in slots that no claim has reserved: with fewer commands, within its slots, sharing with others."""

import asyncio
from collections import Counter
from typing import cast

import pytest
from redis.asyncio import Redis

from runner import Runner, Settings, TokenBucket
from runner.store import scripts
from runner.store.keys import Keys
from tests import invariants
from tests.eventually import eventually
from tests.proxy import Proxy
from tests.worker.conftest import Crew, MakeApp, a_crew

PACED = TokenBucket("paced", rate="40/s", burst=1)
FAST = TokenBucket("fast", rate="400/s", burst=60)


async def test_a_start_that_waited_costs_its_worker_two_calls(direct_url: str, queue: str) -> None:
    async with Proxy(direct_url) as proxy:
        app = Runner(queue, settings=Settings(redis_url=proxy.url))

        @app.task(limits=[PACED])
        async def work() -> None: ...

        async with a_crew() as crew:
            worker = await crew.start(app)
            jobs = await app.submit_many([work.prepare() for _ in range(120)])
            await jobs[20].wait(timeout=10)
            proxy.passed.clear()
            await jobs[100].wait(timeout=10)
            passed = proxy.passed.copy()
            assert worker.state.leader == worker.id
            await jobs[-1].wait(timeout=10)
            await app.close()

    # A claim and an outcome for each job, and a few calls a second for the lease, the leadership and the reads.
    assert 160 <= passed["EVALSHA"] < 200, passed
    assert passed["XREADGROUP"] < 20, passed


@pytest.mark.parametrize("slots", [1, 2, 5, 40])
async def test_what_is_due_and_what_comes_take_no_more_than_the_slots(
    make_app: MakeApp, redis: Redis, queue: str, crew: Crew, slots: int
) -> None:
    app = make_app(concurrency=slots)
    running, most = 0, 0

    async def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.004)
        running -= 1

    metered, free = app.task(limits=[FAST], name="metered")(work), app.task(name="free")(work)
    worker = await crew.start(app)
    jobs = await app.submit_many([metered.prepare() for _ in range(250)])
    for _ in range(50):
        jobs += await app.submit_many([free.prepare(), metered.prepare()])
        await asyncio.sleep(0.005)
    for job in jobs:
        await job.wait(timeout=20)

    assert most <= slots
    assert await invariants.violations(redis, queue, [job.id for job in jobs], limits=[FAST], live=[worker.id]) == []


async def test_a_busy_leader_leaves_what_is_due_to_the_others(make_app: MakeApp, redis: Redis, queue: str, crew: Crew) -> None:
    app = make_app(concurrency=50)

    @app.task(limits=[PACED])
    async def work() -> None:
        await asyncio.sleep(0.3)

    former, first, second = [await crew.start(app) for _ in range(3)]
    await crew.stop(former)  # the next election tells the new leader that there are two workers
    jobs = await app.submit_many([work.prepare() for _ in range(60)])
    started = Counter[str]()
    for job in jobs:
        await job.wait(timeout=20)
        worker = cast("bytes", await redis.hget(Keys(queue).job(job.id), "worker"))
        started[worker.decode()] += 1

    assert min(started[first.id], started[second.id]) >= 15, started


async def test_a_start_whose_reply_was_lost_is_taken_back_and_made_again(
    make_app: MakeApp, redis: Redis, queue: str, direct_url: str
) -> None:
    claim = scripts.load("claim")
    await redis.script_load(claim.source)
    async with Proxy(direct_url) as proxy, a_crew() as crew:
        app = make_app(redis_url=proxy.url, lease_s=60)

        @app.task(limits=[PACED])
        async def work() -> None: ...

        worker = await crew.start(app)
        jobs = await app.submit_many([work.prepare() for _ in range(60)])
        for place in (10, 25, 40):
            await jobs[place].wait(timeout=10)
            proxy.lose_reply_of("EVALSHA", claim.sha)
        for job in jobs:
            assert (await job.wait(timeout=20)).state == "succeeded"

        assert proxy.lost_replies == 3
        assert await invariants.violations(redis, queue, [job.id for job in jobs], limits=[PACED], live=[worker.id]) == []
        await crew.stop(worker)


async def test_a_leader_that_drains_starts_nothing_more(make_app: MakeApp, redis: Redis, queue: str, crew: Crew) -> None:
    app = make_app()
    started: list[str] = []
    stopped = asyncio.Event()

    @app.task(limits=[PACED])
    async def work() -> None:
        started.append("after" if stopped.is_set() else "before")
        if len(started) == 5:
            await asyncio.sleep(0.6)  # the drain waits for this job while the refill loop goes on

    worker = await crew.start(app)
    jobs = await app.submit_many([work.prepare() for _ in range(40)])
    await eventually(lambda: len(started) > 5)
    worker.stop()
    await asyncio.sleep(0.1)
    stopped.set()
    await crew.ended(worker)
    assert "after" not in started

    stopped.clear()
    second = await crew.start(app)
    for job in jobs:
        await job.wait(timeout=10)
    assert await invariants.violations(redis, queue, [job.id for job in jobs], limits=[PACED], live=[second.id]) == []
