"""Limits kept by several workers: the bound of every window, promptness, and fairness between keys."""

from contextlib import suppress
from itertools import pairwise
from statistics import median

import pytest
from redis.asyncio import Redis

from runner import JobHandle, Runner, TokenBucket
from runner.errors import AlreadyFinished
from tests import invariants
from tests.eventually import eventually
from tests.pace import Pace
from tests.worker.conftest import Crew, MakeApp

SMOOTH = TokenBucket("smooth", rate="50/s", burst=5)
INTERVAL = TokenBucket("interval", capacity=10, refill=10, every=0.25)
TENANT = TokenBucket("tenant", rate="20/s", burst=2, key="{tenant}")


@pytest.mark.parametrize("limit", [SMOOTH, INTERVAL], ids=["smooth", "interval"])
async def test_three_workers_keep_a_limit_in_every_window_and_use_every_token(
    app: Runner, redis: Redis, queue: str, crew: Crew, pace: Pace, limit: TokenBucket
) -> None:
    begun_s: list[float] = []

    @app.task(limits=[limit])
    async def call() -> None:
        begun_s.append(pace.now_s)

    for _ in range(3):
        await crew.start(app)
    jobs = await app.submit_many([call.prepare() for _ in range(120)])
    await done(jobs)

    assert begun_s[-1] - begun_s[0] < (120 - limit.capacity) * limit.every_us / limit.refill / 1_000_000 + 1
    assert await invariants.violations(redis, queue, [job.id for job in jobs], limits=[limit], live=crew.ids) == []


async def test_jobs_with_several_limits_and_costs_keep_all_of_them(app: Runner, redis: Redis, queue: str, crew: Crew) -> None:
    weighted = TokenBucket("weighted", rate="100/s", burst=10)

    @app.task(limits=[SMOOTH, weighted, TENANT], cost={"weighted": "size"})
    async def call(tenant: str, size: int) -> None: ...

    for _ in range(2):
        await crew.start(app)
    jobs = await app.submit_many([call.prepare(f"t{number % 4}", number % 6 + 1) for number in range(80)])
    await done(jobs)

    assert await invariants.violations(redis, queue, [job.id for job in jobs], limits=[SMOOTH, weighted, TENANT], live=crew.ids) == []


async def test_an_empty_bucket_delays_no_job_that_does_not_need_it(app: Runner, crew: Crew, pace: Pace) -> None:
    @app.task(limits=[TENANT])
    async def call(tenant: str) -> None: ...

    @app.task
    async def free() -> None: ...

    await crew.start(app)
    flood = await app.submit_many([call.prepare("hot") for _ in range(300)])
    others = await app.submit_many([*(call.prepare(f"cold{number}") for number in range(30)), *(free.prepare() for _ in range(30))])

    submitted_s = pace.now_s
    await done(others)
    assert pace.now_s - submitted_s < 3
    for job in reversed(flood):
        with suppress(AlreadyFinished):
            await job.cancel()


async def test_a_waiting_job_starts_milliseconds_after_its_token_lands(
    app: Runner, redis: Redis, queue: str, crew: Crew, pace: Pace
) -> None:
    limit, begun_s = TokenBucket("paced", rate="10/s", burst=1), list[float]()

    @app.task(limits=[limit])
    async def call() -> None:
        begun_s.append(pace.now_s)

    await crew.start(app)
    await done(await app.submit_many([call.prepare() for _ in range(12)]))

    starts = [start.at_us for start in await invariants.starts_of(redis, queue)]
    assert all(at_us >= starts[0] + number * 100_000 for number, at_us in enumerate(starts))
    # A few milliseconds; without a leader it would be up to two seconds.
    assert median(later - earlier - 0.1 for earlier, later in pairwise(begun_s)) < 0.1


async def test_throttling_uses_no_retries_and_tells_place_and_time(make_app: MakeApp, crew: Crew) -> None:
    app, limit = make_app(), TokenBucket("slow", rate="1/s", burst=1)

    @app.task(limits=[limit], retries=0)
    async def call() -> None: ...

    await crew.start(app)
    jobs = await app.submit_many([call.prepare() for _ in range(3)])
    await jobs[0].wait(timeout=5)
    places = [await job.status() for job in jobs[1:]]

    assert [(status.state, status.reason, status.limit, status.position) for status in places] == [
        ("waiting", "tokens", "slow", place) for place in (1, 2)
    ]
    assert all(status.eta_s is not None and place - 1 <= status.eta_s <= place for place, status in enumerate(places, 1))
    for job in jobs:
        status = await job.wait(timeout=10)
        assert (status.state, status.attempt, status.failures) == ("succeeded", 1, 0)


async def test_a_limit_survives_the_change_of_all_workers(app: Runner, redis: Redis, queue: str, crew: Crew) -> None:
    @app.task(limits=[SMOOTH])
    async def call() -> None: ...

    first = await crew.start(app)
    jobs = await app.submit_many([call.prepare() for _ in range(60)])
    await eventually(lambda: first.state.accepted > 20)
    await crew.stop(first)
    await crew.start(app)
    await done(jobs)

    async def all_is_well() -> bool:
        """A read of the first worker can arrive after it signed off and create its consumer again; then the leader removes it."""
        return not await invariants.violations(redis, queue, [job.id for job in jobs], limits=[SMOOTH], live=crew.ids)

    await eventually(all_is_well)


async def done(jobs: list[JobHandle[None]]) -> None:
    for job in jobs:
        assert (await job.wait(timeout=30)).state == "succeeded"
