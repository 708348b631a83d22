"""Metered calls as a user writes them, with real workers: throttling, settling, slots, shares, time to wait, and an honest ETA."""

import asyncio
from collections import Counter, defaultdict
from typing import Any

import pytest

from runner import (
    Concurrency,
    ConfigurationError,
    JobHandle,
    RateLimited,
    Runner,
    TakeRefused,
    TokenBucket,
    current_job,
)
from tests.eventually import eventually
from tests.worker.conftest import Crew, MakeApp, state_of


async def ended(jobs: list[JobHandle[Any]], within_s: float = 30) -> list[str]:
    return [str((await job.wait(timeout=within_s)).state) for job in jobs]


async def test_a_limit_the_job_does_not_use_is_an_error_of_the_handler(app: Runner, crew: Crew) -> None:
    @app.task(limits=[TokenBucket("pay", rate="50/s")], retries=0)
    async def call() -> None:
        raise RateLimited("other", retry_after=60)

    await crew.start(app)
    job = await call.submit()

    assert await ended([job]) == ["failed"]
    status = await job.status()
    assert "uses no limit 'other'" in ((status.error and status.error.message) or "")


async def test_handlers_settle_and_refund_in_coroutines_and_in_threads(app: Runner, crew: Crew) -> None:
    limit = TokenBucket("tokens", rate="1/day", burst=1_000)

    @app.task(limits=[limit], cost={"tokens": "estimate"})
    async def used_less(estimate: int) -> None:
        current_job().settle("tokens", 30)

    @app.task(limits=[limit], cost={"tokens": "estimate"})
    def used_none(estimate: int) -> None:
        current_job().refund("tokens")

    @app.task(limits=[limit], cost={"tokens": "estimate"}, retries=0)
    def used_more(estimate: int) -> None:
        current_job().settle("tokens", 250)
        raise ValueError("after the call")

    @app.task(limits=[limit], cost={"tokens": "estimate"})
    async def used_for_nothing(estimate: int) -> int:
        current_job().settle("tokens", 20)
        return "no number"  # type: ignore[return-value] # the fault under test

    await crew.start(app)
    tasks = (used_less, used_none, used_more, used_for_nothing)
    jobs: list[JobHandle[Any]] = [await task.submit(100) for task in tasks]

    assert await ended(jobs) == ["succeeded", "succeeded", "failed", "failed"]
    status = await app.client.control.show("tokens")
    # Tokens that were refilled while a job ran are not given back: less than one here.
    used = 30 + 0 + 250 + 20
    assert 1_000 - used - 2 <= status.buckets[0].tokens <= 1_000 - used


async def test_a_refused_settlement_is_an_error_of_the_handler_and_settles_nothing(app: Runner, crew: Crew) -> None:
    @app.task(limits=[TokenBucket("tokens", rate="1/day", burst=100)], cost={"tokens": 10}, retries=0)
    async def call(actual: int) -> None:
        current_job().settle("tokens", actual)

    await crew.start(app)
    job = await call.submit(-5)

    assert await ended([job]) == ["failed"]
    assert (await app.client.control.show("tokens")).buckets[0].tokens == 90


async def test_no_more_run_at_once_than_the_limit_says_over_all_workers(app: Runner, crew: Crew) -> None:
    running: Counter[str] = Counter()
    most: Counter[str] = Counter()

    @app.task(limits=[Concurrency("each", 2, key="{customer}"), Concurrency("all", 5)])
    async def report(customer: str) -> None:
        for name in (customer, "all"):
            running[name] += 1
            most[name] = max(most[name], running[name])
        await asyncio.sleep(0.03)
        for name in (customer, "all"):
            running[name] -= 1

    for _ in range(3):
        await crew.start(app)
    jobs = await app.submit_many([report.prepare(f"c{number % 4}") for number in range(60)])

    assert await ended(jobs) == ["succeeded"] * 60
    assert most["all"] == 5
    assert max(most[f"c{number}"] for number in range(4)) == 2


async def test_a_frozen_limit_is_shown_and_can_be_released(make_app: MakeApp, crew: Crew) -> None:
    app = make_app(freeze_s=60.0)
    calls: defaultdict[str, int] = defaultdict(int)

    @app.task(limits=[TokenBucket("pay", rate="50/s", burst=5)], retries=0)
    async def call() -> None:
        calls["all"] += 1
        if calls["all"] == 1:
            raise RateLimited

    await crew.start(app)
    job = await call.submit()
    await state_of(app, job.id, "waiting")
    status = await job.status()
    assert (status.reason, status.limit) == ("frozen", "pay")
    assert status.eta_s is not None
    assert 50 < status.eta_s <= 60

    await app.client.control.release("pay")

    assert await ended([job]) == ["succeeded"]


async def test_a_slot_cannot_be_taken_without_being_given_back(app: Runner) -> None:
    limit = app.limit(Concurrency("gpu", 1))
    with pytest.raises(ConfigurationError, match=r"use `async with jobs\.slot"):
        await app.take(limit)

    for _ in range(3):
        async with app.slot(limit, wait=0):
            with pytest.raises(TakeRefused):
                async with app.slot(limit, wait=0):
                    raise AssertionError("two hold it")


async def test_a_wrong_number_of_tokens_ends_no_worker_and_its_log_says_what_is_not_charged(
    app: Runner, crew: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    @app.task(limits=[TokenBucket("wrong", rate="1/s", burst=5)])
    async def call(used: int) -> int:
        current_job().settle("wrong", used)
        return used % 7

    await crew.start(app)
    handle = await call.submit(10**30)

    assert await handle.result(timeout=5) == 10**30 % 7
    await eventually(lambda: f"job {handle.id} has settled" in caplog.text)
    assert "tokens more than the debt that bucket wrong may have" in caplog.text
    await app.client.control.reset("wrong", "a wrong number")
    assert await (await call.submit(1)).result(timeout=5) == 1


async def test_a_limit_of_cost_nothing_is_settled_and_frozen_like_any_other(app: Runner, crew: Crew) -> None:
    tokens = TokenBucket("tokens", capacity=10, refill=10, every=3600, key="{tenant}")
    throttled: list[str] = []

    @app.task(limits=[tokens], cost={"tokens": 0}, retries=0)
    async def counts(tenant: str) -> None:
        current_job().settle("tokens", 4)

    @app.task(limits=[tokens], cost={"tokens": 0}, retries=0)
    async def told_to_wait(tenant: str) -> None:
        throttled.append(tenant)
        if len(throttled) == 1:
            raise RateLimited(retry_after=0.1)

    await crew.start(app)
    await (await counts.submit("t")).result(10)
    told = await told_to_wait.submit("u")
    await told.result(10)

    assert throttled == ["u", "u"]
    assert (await told.status()).throttled == 1
    with pytest.raises(TakeRefused):
        await app.take("tokens", {"tenant": "t"}, cost=7)
    await app.take("tokens", {"tenant": "t"}, cost=6)
