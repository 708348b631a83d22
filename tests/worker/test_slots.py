"""What runs when: slots, priorities, delays, and outcomes that go to Redis together."""

import asyncio
from collections import Counter

import pytest
from redis.asyncio import Redis

from runner import Runner
from runner.jobs.job import Outcome
from runner.store.answers import FinishAnswer
from runner.store.job_store import JobStore
from tests import invariants
from tests.eventually import eventually
from tests.pace import Pace
from tests.worker.conftest import Crew, MakeApp


class Gauge:
    """How many handlers run at once."""

    def __init__(self) -> None:
        self.now = self.most = self.runs = 0

    async def pass_through(self, seconds: float = 0) -> None:
        self.now += 1
        self.runs += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(seconds)
        self.now -= 1


@pytest.mark.parametrize("slots", [1, 2, 5])
async def test_no_more_run_than_there_are_slots_when_all_priorities_arrive_at_once(
    make_app: MakeApp, redis: Redis, queue: str, crew: Crew, slots: int
) -> None:
    app, gauge = make_app(concurrency=slots), Gauge()

    @app.task
    async def work(number: int) -> None:
        await gauge.pass_through(0.001)

    worker = await crew.start(app)
    jobs = []
    for number in range(30):
        jobs += await app.submit_many(
            [work.with_options(priority=priority).prepare(number) for priority in ("low", "normal", "high", "low", "high")]
        )
        await asyncio.sleep(0.002)
    for job in jobs:
        await job.wait(timeout=10)

    assert (gauge.most, gauge.runs) == (slots, 150)
    assert await invariants.violations(redis, queue, [job.id for job in jobs], live=[worker.id]) == []


async def test_every_slot_is_used(make_app: MakeApp, crew: Crew) -> None:
    app, gauge, release = make_app(concurrency=25), Gauge(), asyncio.Event()

    @app.task
    async def work() -> None:
        gauge.now += 1
        await release.wait()

    await crew.start(app)
    jobs = await app.submit_many([work.prepare() for _ in range(40)])

    await eventually(lambda: gauge.now == 25)
    release.set()
    for job in jobs:
        assert (await job.wait(timeout=10)).state == "succeeded"
    assert gauge.now == 40


async def test_higher_priorities_start_first_and_equal_ones_in_order(make_app: MakeApp, crew: Crew) -> None:
    app, order = make_app(concurrency=1), list[str]()

    @app.task
    async def work(name: str) -> None:
        order.append(name)

    jobs = await app.submit_many(
        [
            work.with_options(priority=priority).prepare(f"{priority}{number}")
            for number in range(3)
            for priority in ("low", "normal", "high")
        ]
    )
    await crew.start(app)
    for job in jobs:
        await job.wait(timeout=10)

    assert order == [f"{priority}{number}" for priority in ("high", "normal", "low") for number in range(3)]


async def test_a_job_of_high_priority_passes_a_backlog(make_app: MakeApp, crew: Crew) -> None:
    app, order = make_app(concurrency=2), list[str]()

    @app.task
    async def work(name: str) -> None:
        order.append(name)
        await asyncio.sleep(0.005)

    await app.submit_many([work.prepare(f"n{number}") for number in range(200)])
    await crew.start(app)
    await eventually(lambda: len(order) > 10)
    ahead = len(order)
    await (await work.with_options(priority="high").submit("urgent")).wait(timeout=10)

    assert order.index("urgent") <= ahead + 6
    await eventually(lambda: len(order) == 201)


async def test_a_delayed_job_starts_when_it_is_due_and_not_before(app: Runner, crew: Crew, pace: Pace) -> None:
    submitted_s, begun_s = dict[float, float](), dict[float, float]()

    @app.task
    async def work(delay: float) -> None:
        begun_s[delay] = pace.now_s

    await crew.start(app)
    jobs = {}
    for delay in (0.8, 0.2, 0.5):
        submitted_s[delay] = pace.now_s
        jobs[delay] = await work.with_options(delay=delay).submit(delay)
    for delay, job in jobs.items():
        status = await job.wait(timeout=10)
        assert status.started_at is not None
        assert status.submitted_at is not None
        assert status.started_at - status.submitted_at >= delay
        assert begun_s[delay] - submitted_s[delay] < delay + 0.5


async def test_an_earlier_job_interrupts_the_wait_for_a_later_one(app: Runner, crew: Crew, pace: Pace) -> None:
    @app.task
    async def work() -> None: ...

    await crew.start(app)
    late = await work.with_options(delay=600).submit()
    submitted_s = pace.now_s
    await (await work.with_options(delay=0.1).submit()).wait(timeout=10)

    assert pace.now_s - submitted_s < 1
    await late.cancel()


async def test_outcomes_that_gather_during_a_call_go_in_one(make_app: MakeApp, crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    app, finish, calls = make_app(concurrency=200), JobStore.finish, list[int]()

    async def slow_finish(store: JobStore, worker: str, outcomes: list[object]) -> list[FinishAnswer]:
        calls.append(len(outcomes))
        await asyncio.sleep(0.05)
        return await finish(store, worker, outcomes)  # type: ignore[arg-type] # passed on as they came

    @app.task
    async def work() -> None: ...

    monkeypatch.setattr(JobStore, "finish", slow_finish)
    await crew.start(app)
    jobs = await app.submit_many([work.prepare() for _ in range(400)])
    for job in jobs:
        assert (await job.wait(timeout=20)).state == "succeeded"

    assert len(calls) < 20
    assert sum(calls) == 400


async def test_large_outcomes_go_a_few_at_a_time_and_one_that_no_call_can_carry_is_a_dead_letter(
    make_app: MakeApp, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, finish, sizes = make_app(concurrency=40, result_ttl_s=5), JobStore.finish, list[int]()

    async def measured_finish(store: JobStore, worker: str, outcomes: list[Outcome]) -> list[FinishAnswer]:
        sizes.append(sum(len(outcome.payload) for outcome in outcomes))
        return await finish(store, worker, outcomes)

    @app.task
    async def work(size: int) -> str:
        return "x" * size

    monkeypatch.setattr(JobStore, "finish", measured_finish)
    await crew.start(app)
    jobs = await app.submit_many([work.prepare(size) for size in [70_000_000, *[1_000_000] * 30]])

    status = await jobs[0].wait(timeout=20)
    assert (status.state, status.error and status.error.type) == ("failed", "ResultTooLarge")
    for job in jobs[1:]:
        assert (await job.wait(timeout=20)).state == "succeeded"
    assert max(sizes) < 9_000_000


async def test_a_slot_is_free_while_the_outcome_is_on_its_way(make_app: MakeApp, crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    app, finish, deliver = make_app(concurrency=1), JobStore.finish, asyncio.Event()
    ran = []

    async def held_finish(store: JobStore, worker: str, outcomes: list[object]) -> list[FinishAnswer]:
        await deliver.wait()
        return await finish(store, worker, outcomes)  # type: ignore[arg-type] # passed on as they came

    @app.task
    async def work(number: int) -> None:
        ran.append(number)

    monkeypatch.setattr(JobStore, "finish", held_finish)
    await crew.start(app)
    jobs = await app.submit_many([work.prepare(number) for number in range(3)])

    await eventually(lambda: len(ran) == 3)
    deliver.set()
    assert {(await job.wait(timeout=5)).state for job in jobs} == {"succeeded"}


async def test_several_workers_share_the_work_and_run_each_job_once(make_app: MakeApp, redis: Redis, queue: str, crew: Crew) -> None:
    app, runs = make_app(concurrency=5), Counter[int]()

    @app.task
    async def work(number: int) -> None:
        runs[number] += 1
        await asyncio.sleep(0.002)

    workers = [await crew.start(app) for _ in range(3)]
    jobs = await app.submit_many([work.prepare(number) for number in range(300)])
    for job in jobs:
        await job.wait(timeout=20)

    assert set(runs.values()) == {1}
    counts = [worker.state.accepted for worker in workers]
    assert sum(counts) == 300
    assert min(counts) > 20
    assert await invariants.violations(redis, queue, [job.id for job in jobs], live=crew.ids) == []
