"""run: one call as a worker runs it, without a server."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

import pytest
from pydantic import BaseModel

from runner import (
    Backoff,
    ConfigurationError,
    Depends,
    JobFailed,
    RateLimited,
    Runner,
    SubmissionRefused,
    TokenBucket,
    current_job,
    injected,
)
from runner.testing import TestQueue, blocking, run


class Receipt(BaseModel):
    order: str
    at: datetime


async def test_arguments_and_results_go_through_json(app: Runner) -> None:
    @app.task
    async def charge(order: str, *, tenant_id: str) -> Receipt:
        assert current_job().attempt == 1
        return Receipt(order=f"{order} of {tenant_id}", at=datetime(2026, 1, 1, tzinfo=UTC))

    ran = await run(charge, "o-17", tenant_id="t7")

    assert (ran.state, ran.attempts, ran.delays, ran.settled) == ("succeeded", 1, [], {})
    assert ran.result == Receipt(order="o-17 of t7", at=datetime(2026, 1, 1, tzinfo=UTC))


async def test_what_could_not_be_submitted_is_refused(app: Runner) -> None:
    @app.task
    async def charge(order: str) -> str:
        return order

    with pytest.raises(SubmissionRefused):
        await run(charge, 17)  # type: ignore[arg-type]


async def test_retries_follow_at_once_and_tell_their_back_offs(app: Runner) -> None:
    @app.task(retries=3, backoff=Backoff(base=10, factor=2, jitter=0))
    async def flaky() -> int:
        if current_job().failures < 2:
            raise ConnectionError("their end")
        return current_job().attempt

    ran = await run(flaky)

    assert (ran.result, ran.attempts, ran.delays, ran.error) == (3, 3, [10, 20], None)


async def test_the_last_error_is_raised_with_its_traceback(app: Runner) -> None:
    @app.task(retries=1)
    async def fail() -> None:
        raise ValueError("no")

    ran = await run(fail)

    assert (ran.state, ran.attempts, len(ran.delays)) == ("failed", 2, 1)
    assert ran.error is not None
    assert ran.error.type == "ValueError"
    with pytest.raises(JobFailed, match=r'(?s)the job failed after 2 attempts: ValueError: no\n.*raise ValueError\("no"\)'):
        _ = ran.result


async def test_what_a_handler_says_of_its_tokens_is_kept(app: Runner) -> None:
    llm, tenant = TokenBucket("llm", rate="100/min"), TokenBucket("tenant", rate="10/s", key="{tenant_id}")

    @app.task(limits=[llm, tenant], cost={"llm": 20})
    async def ask(tenant_id: str) -> None:
        if current_job().attempt < 3:
            raise RateLimited("llm", retry_after=7)
        current_job().settle("llm", 40)
        current_job().refund("tenant")

    ran = await run(ask, "t7")

    assert (ran.state, ran.attempts, ran.throttled, ran.delays) == ("succeeded", 3, [7, 7], [])
    assert ran.settled == {"llm": 40, "tenant/t7": 0}


async def test_one_that_is_throttled_for_ever_is_left_waiting(app: Runner) -> None:
    @app.task(limits=[TokenBucket("llm", rate="100/min")])
    async def ask() -> None:
        raise RateLimited

    ran = await run(ask)

    assert (ran.state, ran.throttled) == ("waiting", [app.settings.freeze_s] * 100)
    with pytest.raises(JobFailed, match="the job waiting after 100 attempts: Throttled"):
        _ = ran.result


async def test_one_that_is_throttled_too_often_fails_after_as_many_attempts_as_in_a_queue(
    app: Runner, test_queue: Callable[..., TestQueue]
) -> None:
    @app.task(limits=[TokenBucket("llm", rate="100/min")], max_throttled=2)
    async def ask() -> None:
        raise RateLimited("llm", retry_after=7)

    ran = await run(ask)
    async with test_queue(app) as queue:
        await ask.submit()
        await queue.run_until_idle()
        (status,) = queue.jobs()

    assert (ran.state, ran.attempts, ran.throttled) == (status.state, status.attempt, [7, 7]) == ("failed", 3, [7, 7])
    assert ran.error is not None
    assert status.error is not None
    assert (ran.error.type, ran.error.message) == (status.error.type, status.error.message)


async def test_a_time_out_ends_an_attempt(app: Runner) -> None:
    @app.task(retries=0, timeout=0.01)
    async def slow() -> None:
        await asyncio.sleep(10)

    ran = await run(slow)

    assert ran.error is not None
    assert "time-out of 0.01 s" in ran.error.message


def test_a_plain_test_runs_either_kind(app: Runner) -> None:
    @app.task
    def plain(n: int) -> int:
        return n + 1

    @app.task
    async def asynchronous(n: int) -> int:
        return n + 2

    assert blocking.run(plain, 1).result == 2
    assert blocking.run(asynchronous, 1).result == 3


async def test_a_plain_run_is_refused_where_a_loop_runs(app: Runner) -> None:
    @app.task
    def plain(n: int) -> int:
        return n + 1

    assert (await run(plain, 1)).result == 2
    with pytest.raises(ConfigurationError, match="await run"):
        blocking.run(plain, 1)


class Provider:
    async def charge(self, order: str) -> str:
        raise NotImplementedError


def provider() -> Provider:
    return Provider()


Injected = Annotated[Provider, Depends(provider, per="worker")]


async def test_dependencies_can_be_replaced(app: Runner, test_queue: Callable[..., TestQueue]) -> None:
    class Fake(Provider):
        async def charge(self, order: str) -> str:
            return f"fake {order}"

    @app.task
    async def charge(order: str, *, provider: Injected = injected) -> str:
        return await provider.charge(order)

    with app.overrides({provider: Fake}):
        assert (await run(charge, "o-1")).result == "fake o-1"
        async with test_queue(app):
            assert await (await charge.submit("o-2")).result() == "fake o-2"


async def test_the_state_of_the_app_is_there(test_queue: Callable[..., TestQueue]) -> None:
    events = []

    @asynccontextmanager
    async def lifespan(_: Runner[str]) -> AsyncIterator[str]:
        events.append("entered")
        yield "opened"
        events.append("left")

    app = Runner("shop", redis_url="redis://nowhere.invalid:1/0", lifespan=lifespan)

    @app.task
    async def work() -> str:
        return app.state

    assert (await run(work)).result == "opened"
    assert events == ["entered", "left"]
    async with test_queue(app) as queue:
        job = await work.submit()
        await queue.run_until_idle()
        assert await job.result() == "opened"
        assert await (await work.submit()).result() == "opened"
        assert events == ["entered", "left", "entered"]
    assert events == ["entered", "left", "entered", "left"]


async def test_what_a_handler_logs_and_says_of_its_progress_is_kept(app: Runner, caplog: pytest.LogCaptureFixture) -> None:
    @app.task(retries=1, backoff=Backoff(base=1, jitter=0))
    async def work(name: str) -> None:
        log = logging.getLogger(f"shop.{name}")
        log.info("attempt %d", current_job().attempt)
        current_job().progress(1, 4, "fetched")
        await asyncio.to_thread(log.warning, "in a thread")
        current_job().progress(4, 4)
        if current_job().attempt == 1:
            raise ValueError("no")

    with caplog.at_level(logging.INFO, "shop"):
        ran, other = await asyncio.gather(run(work, "a"), run(work, "b"))
        logging.getLogger("shop.a").warning("outside")

    assert [(each.done, each.total, each.note) for each in ran.progress] == [(1, 4, "fetched"), (4, 4, "")] * 2
    assert [each.getMessage() for each in ran.log] == ["attempt 1", "in a thread", "attempt 2", "in a thread"]
    assert {each.name for each in ran.log} == {"shop.a"}
    assert {each.name for each in other.log} == {"shop.b"}
    assert not any(type(handler).__name__ == "Heard" for handler in logging.getLogger().handlers)


def test_progress_and_log_of_a_plain_task_are_kept_too(app: Runner) -> None:
    @app.task
    def work() -> None:
        for number in range(3):
            current_job().progress(number)
        logging.getLogger("shop").error("enough")

    ran = blocking.run(work)

    assert [each.done for each in ran.progress] == [0, 1, 2]
    assert [each.getMessage() for each in ran.log] == ["enough"]
