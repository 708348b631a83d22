"""What becomes of a job whose attempt failed, as its worker decides it: which errors are retried, and what the handler says itself."""

import asyncio
from typing import Any

import pytest

from runner import GiveUp, JobFailed, RateLimited, Retry, Runner, Settings
from runner.testing import run
from tests.pages import run_blocks
from tests.worker.conftest import Crew, MakeApp, short_settings, state_of


class Bank:
    """Answers one order after the other with what it was given."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)

    async def charge(self, order_id: str) -> str:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return f"{answer} {order_id}" if answer == "charged" else answer


@pytest.fixture
def page(redis_url: str, queue: str, make_app: MakeApp) -> tuple[Runner, dict[str, Any]]:
    """The app of docs/howto/retries.md on the test's own queue."""
    app = make_app()
    names = run_blocks("retries.md", bank=Bank(ConnectionRefusedError("closed"), "unknown order", "in progress", "charged"))
    page_app: Runner = names["jobs"]
    page_app.queue, page_app.settings = app.queue, short_settings(redis_url)
    assert isinstance(page_app.settings, Settings)
    return page_app, names


async def test_the_page_on_retries_says_what_happens(page: tuple[Runner, dict[str, Any]], crew: Crew) -> None:
    app, names = page
    await crew.start(app)
    refused = await (await names["charge"].submit("o-1")).wait(10)
    unknown = await (await names["charge"].submit("o-2")).wait(10)
    later = await names["charge"].submit("o-3")
    await state_of(app, later.id, "scheduled")

    assert (refused.state, refused.attempt, refused.error and refused.error.type) == ("failed", 1, "ConnectionRefusedError")
    assert (unknown.state, unknown.attempt) == ("failed", 1)
    assert unknown.error is not None
    assert (unknown.error.type, unknown.error.message) == ("GiveUp", "the bank has no order o-2")
    status = await later.status()
    assert (status.reason, status.failures) == ("retry", 1)
    assert status.eta_s is not None
    assert 50 < status.eta_s <= 60
    await later.cancel()
    await app.close()


async def test_a_group_is_told_by_the_member_that_decides(local_app: Runner) -> None:
    async def fail(error: Exception) -> None:
        raise error

    @local_app.task(retries=5)
    async def charge() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail(ConnectionError("away")))
            group.create_task(fail(GiveUp("no such order")))

    with pytest.raises(JobFailed, match="GiveUp: no such order"):
        _ = (await run(charge)).result


async def test_a_retry_that_is_asked_for_ends_with_the_retries(local_app: Runner) -> None:
    @local_app.task(retries=2, retry_on=())
    async def charge() -> None:
        raise Retry("not yet", delay=0)

    ran = await run(charge)

    assert (ran.state, ran.attempts, ran.delays) == ("failed", 3, [0, 0])
    assert ran.error is not None
    assert (ran.error.type, ran.error.message) == ("Retry", "not yet")


async def test_a_limit_that_the_task_does_not_have_is_an_error_like_others(local_app: Runner) -> None:
    @local_app.task(retries=3, retry_on=(ConnectionError,))
    async def charge() -> None:
        raise RateLimited("llm")

    with pytest.raises(JobFailed, match=r"ConfigurationError: .* it uses no limit 'llm'"):
        _ = (await run(charge)).result


async def test_a_time_out_is_a_time_out_error_for_the_policy_too(local_app: Runner) -> None:
    attempts = []

    @local_app.task(timeout=0.01, retries=1, retry_on=(TimeoutError,))
    async def slow() -> int:
        attempts.append(1)
        if len(attempts) == 1:
            await asyncio.Event().wait()
        return len(attempts)

    assert (await run(slow)).result == 2
