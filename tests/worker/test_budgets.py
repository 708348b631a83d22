"""Budgets in real workers: hooks are told once, in one of them, and the log and the metrics say so too."""

import asyncio
import logging
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from runner import BudgetWarning, Quota, Runner, current_job
from runner.cli.simulate.document import document
from runner.cli.simulate.live import look
from runner.clock import wall_us
from runner.connection.client import command
from runner.simulation import JobGroup, simulate
from runner.store.keys import Keys
from runner.telemetry import WorkerCounts
from runner.testing import TestQueue
from tests.eventually import eventually
from tests.worker.conftest import Crew, MakeApp

Queues = Callable[..., TestQueue]
USD = Quota("usd", 10_00, per="year", unit="USD", scale=2, warn_at=(0.5, 0.8))


def spender(app: Runner) -> Callable[[int, int], object]:
    @app.task(limits=[USD], cost={"usd": "cents"})
    async def spend(cents: int, really: int) -> None:
        current_job().settle("usd", really)

    return spend.submit


async def is_told(redis: Redis, queue: str) -> bool:
    return not await redis.exists(Keys(queue).warnings)


async def test_of_several_workers_one_tells_its_hooks_once_for_each_share(
    make_app: MakeApp, crew: Crew, redis: Redis, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[BudgetWarning] = []
    apps, counts = [make_app() for _ in range(3)], [WorkerCounts((), ["usd"]) for _ in range(3)]
    for app, counter in zip(apps, counts, strict=True):
        spender(app)

        @app.on_budget
        async def note(warning: BudgetWarning) -> None:
            told.append(warning)

        @app.on_budget
        def plain(warning: BudgetWarning) -> None:
            told.append(warning)

        await crew.start(app, counts=counter)
    with caplog.at_level(logging.WARNING, "runner"):
        for cents in (4_00, 2_00, 1_00, 1_00, 1_00):
            job = await apps[0].tasks["spend"].submit(1, cents)
            await job.result(timeout=30)
        await eventually(lambda: len(told) == 4)
        await eventually(lambda: is_told(redis, queue))

    assert [(one.bucket, one.share, one.spent, one.unit) for one in sorted(told, key=lambda one: one.share)] == [
        *[("usd", 0.5, 6_00, USD.unit)] * 2,
        *[("usd", 0.8, 8_00, USD.unit)] * 2,
    ]
    texts = [record.getMessage() for record in caplog.records if "are spent" in record.getMessage()]
    assert [text.partition("; the next")[0] for text in texts] == [
        "budget usd: 6.00 of 10.00 USD are spent, 60%",
        "budget usd: 8.00 of 10.00 USD are spent, 80%",
    ]
    assert sum(counter.warnings["usd"] for counter in counts) == 2
    lines = [line for line in await apps[0].client.audit() if line.action == "budget warning"]
    assert [(line.target, line.by) for line in lines] == [("limit usd", "budget")] * 2


async def test_a_hook_that_fails_is_told_again_and_the_others_too(
    app: Runner, crew: Crew, redis: Redis, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    @app.on_budget
    def failing(warning: BudgetWarning) -> None:
        told.append(warning.id)
        if len(told) == 1:
            raise ValueError("no mail today")

    spender(app)
    await crew.start(app)
    await (await app.tasks["spend"].submit(6_00, 6_00)).result(timeout=30)
    await eventually(lambda: "hook on_budget of bucket usd failed" in caplog.text)
    (warning,) = await command(redis, "ZRANGE", Keys(queue).warnings, 0, -1)
    await command(redis, "ZADD", Keys(queue).warnings, 1, warning)
    await eventually(lambda: is_told(redis, queue))

    assert told == [warning.decode()] * 2


async def test_a_worker_without_hooks_logs_what_nobody_else_tells(
    app: Runner, crew: Crew, redis: Redis, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    spender(app)
    await crew.start(app)
    await (await app.tasks["spend"].submit(6_00, 6_00)).result(timeout=30)
    (warning,) = await command(redis, "ZRANGE", Keys(queue).warnings, 0, -1)
    parts = warning.decode().split(" ")
    parts[6] = str(int(parts[6]) - 61_000_000)  # a minute ago
    await redis.delete(Keys(queue).warnings)
    await redis.zadd(Keys(queue).warnings, {" ".join(parts): int(parts[6])})

    await eventually(lambda: "budget usd: 6.00 of 10.00 USD are spent, 60%" in caplog.text)
    assert await is_told(redis, queue)


async def test_an_app_without_budgets_asks_nothing(app: Runner, crew: Crew) -> None:
    counts = WorkerCounts()

    @app.task(limits=[Quota("calls", 10, per="day")])
    async def work() -> None: ...

    await crew.start(app, counts=counts)
    await (await work.submit()).result(timeout=30)

    assert "warnings" not in counts.on_loop.calls


async def test_a_test_queue_tells_hooks_in_virtual_time(test_queue: Queues) -> None:
    app = Runner("spending")
    told: list[BudgetWarning] = []
    app.on_budget(told.append)
    spender(app)
    async with test_queue(app) as queue:
        await app.tasks["spend"].submit(1, 9_00)
        await queue.run_until_idle()
        queue_told = [(one.share, one.spent) for one in told]
    assert sorted(queue_told) == [(0.5, 9_00), (0.8, 9_00)]


async def test_a_plan_on_top_of_what_waits_says_when_its_budgets_end(make_app: MakeApp, crew: Crew) -> None:
    app = make_app()
    spender(app)
    await crew.start(app)
    await (await app.tasks["spend"].submit(6_00, 6_00)).result(timeout=30)
    task = app.tasks["spend"].definition
    groups = [JobGroup("a", 2, duration_us=1, cost={"usd": 1_00})]

    found = await asyncio.to_thread(look, make_app(), task.spec, task.limits, groups, 0)

    (pace,) = found.budgets
    assert (pace.limit, pace.left) == ("usd", 4_00)
    assert str(pace).startswith("at the present pace (")
    drain = simulate(task.spec, task.limits, groups, slots=1, window=10, start_us=wall_us(), live=found.live)
    assert document(drain, found.budgets)["budgets"] == [pace.document()]
    assert "budgets" not in document(drain)
