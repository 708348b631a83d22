"""A provider says wait, in whatever form: the limit is frozen for all, the job keeps its place, and nothing loops at once or for ever."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from runner import JobHandle, RateLimited, Runner, Settings, TokenBucket, current_job, raise_rate_limited
from runner.testing import TestQueue, run
from tests.eventually import eventually
from tests.worker.conftest import Crew, MakeApp, state_of
from tests.worker.hostile_errors import Headers

LIMIT = TokenBucket("pay", rate="50/s", burst=5)


class ApiError(Exception):
    """Of a provider's own client: it holds the response."""

    def __init__(self) -> None:
        super().__init__("too many requests")
        self.response = httpx.Response(429, headers={"retry-after": "40"})


async def frozen_s(app: Runner, job: JobHandle[Any]) -> float:
    """For how long the limit is frozen after the first attempt of a job."""
    await state_of(app, job.id, "waiting")
    (limit,) = [limit for limit in await app.client.limits() if limit.name == "pay"]
    return limit.buckets[0].frozen_s


def in_one_task(error: Exception) -> Callable[[], Any]:
    async def call() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(10))
            group.create_task(raising(error))

    return call


async def raising(error: Exception) -> None:
    raise error


def said(value: object) -> Callable[[], Any]:
    async def call() -> None:
        raise RateLimited("pay", retry_after=value)

    return call


async def an_instant() -> None:
    raise RateLimited("pay", retry_after=datetime.now(UTC) + timedelta(seconds=40))


async def as_a_cause() -> None:
    raise RuntimeError("no answer") from RateLimited("pay", retry_after=40)


async def with_a_client_that_is_not_async() -> str:
    transport = httpx.MockTransport(lambda _: httpx.Response(429, headers={"retry-after": "40"}, text="slow down"))
    with httpx.Client(transport=transport, event_hooks={"response": [raise_rate_limited("pay")]}) as client:
        return client.get("http://provider/").text  # noqa: ASYNC212 - the client of a plain function, and no network


WORDS: dict[str, Callable[[], Any]] = {
    "text": said("40"),
    "decimal": said(Decimal(40)),
    "datetime": an_instant,
    "error with a response": said(ApiError()),
    "task group": in_one_task(RateLimited("pay", retry_after=40)),
    "group in a group": in_one_task(ExceptionGroup("x", [ValueError("x"), RateLimited("pay", retry_after=40)])),
    "cause": as_a_cause,
    "another limit beside it": in_one_task(ExceptionGroup("x", [RateLimited("other"), RateLimited("pay", retry_after=40)])),
    "httpx.Client": with_a_client_that_is_not_async,
}


@pytest.mark.parametrize("word", WORDS)
async def test_every_way_to_say_wait_is_understood_and_is_no_failure(local_app: Runner, word: str) -> None:
    @local_app.task(limits=[LIMIT], retries=0)
    async def call() -> Any:
        return await WORDS[word]() if current_job().attempt == 1 else "answered"

    ran = await run(call)

    (waited_s,) = ran.throttled
    assert ran.result == "answered"
    assert 30 < waited_s <= 40


async def test_a_wait_freezes_the_limit_for_all(app: Runner, crew: Crew) -> None:
    @app.task(limits=[LIMIT], retries=0)
    async def call() -> Any:
        return await WORDS["httpx.Client"]()

    await crew.start(app)
    job = await call.submit()

    assert 30 < await frozen_s(app, job) <= 40
    status = await job.status()
    assert (status.throttled, status.failures) == (1, 0)


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [("Fri, 31 Dec 99999999999 23:59:59 GMT", 3_600), (10**400, 3_600), (0, 1), ("Sun, 06 Nov 1994 08:49:37 GMT", 1)],
)
async def test_a_word_beyond_reason_is_cut_to_what_is_reasonable(
    local_app: Runner, test_queue: Callable[..., TestQueue], value: object, wait_s: float
) -> None:
    @local_app.task(limits=[LIMIT], retries=0, max_throttled=2)
    async def call() -> None:
        raise RateLimited("pay", retry_after=value)

    async with test_queue(local_app) as queue:
        await call.submit()
        await queue.run_until_idle()
        first, second, third = (start.at for start in queue.starts)

    assert second - first == pytest.approx(wait_s, abs=0.1)
    assert third - second > 1


async def test_a_word_beyond_reason_ends_no_worker_and_makes_none_call_at_once(app: Runner, crew: Crew) -> None:
    calls: list[float] = []

    @app.task(limits=[LIMIT], retries=0)
    async def call() -> None:
        calls.append(asyncio.get_running_loop().time())
        raise RateLimited("pay", retry_after=0)

    worker = await crew.start(app)
    job = await call.submit()

    await eventually(lambda: len(calls) == 2)
    assert calls[1] - calls[0] >= 1  # and not thousands of times
    assert await frozen_s(app, job) > 1
    assert worker.state.is_enlisted


async def test_a_job_is_throttled_as_often_as_its_task_allows_and_then_a_dead_letter_with_the_last_word(
    make_app: MakeApp, crew: Crew
) -> None:
    app = make_app(longest_freeze_s=0.05)
    ends: list[int] = []

    @app.task(limits=[LIMIT], retries=0, max_throttled=2)
    async def call(number: int) -> None:
        if number or len(ends) < 2:
            ends.append(number)
            raise RateLimited("pay", retry_after=7)

    await crew.start(app)
    lucky = await call.submit(0)
    assert (await lucky.wait(timeout=20)).state == "succeeded"
    job = await call.submit(1)
    status = await job.wait(timeout=20)

    assert (status.state, status.throttled, status.failures, status.attempt) == ("failed", 3, 0, 3)
    assert status.error is not None
    assert (status.error.type, status.error.message) == ("Throttled", "the provider behind pay said wait, for 7 s")
    assert "3, of these 3 throttled by the provider" in " ".join(await app.client.explain(status))


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
async def test_headers_that_exit_when_they_are_read_are_unreadable_and_nothing_worse(
    make_app: MakeApp, crew: Crew, caplog: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    app = make_app(freeze_s=20)

    @app.task(limits=[LIMIT], retries=0)
    async def pay() -> None:
        raise RateLimited("pay", retry_after=Headers(error))

    await crew.start(app)
    job = await pay.submit()

    assert 10 < await frozen_s(app, job) <= 20
    assert (await job.status()).throttled == 1
    assert "cannot be read: an object of type Headers" in caplog.text


async def test_one_warning_for_each_freeze_however_many_jobs_are_throttled(
    test_queue: Callable[..., TestQueue], caplog: pytest.LogCaptureFixture
) -> None:
    app = Runner("local", settings=Settings(redis_url="redis://nowhere.invalid:1/0", freeze_s=0.3, concurrency=30))
    there: list[int] = []
    throttle = asyncio.Event()

    @app.task(limits=[TokenBucket("pay", rate="100/s", burst=20)], retries=0)
    async def call(number: int) -> None:
        there.append(number)
        if len(there) == 20:
            throttle.set()
        if len(there) <= 21:
            await throttle.wait()
            raise RateLimited("pay", retry_after="soon")

    with caplog.at_level(logging.DEBUG, logger="runner"):
        async with test_queue(app) as queue:
            await app.submit_many([call.prepare(number) for number in range(20)])
            await queue.run_until_idle()
            assert len(queue.jobs("succeeded")) == 20

    lines = [(record.levelno, record.getMessage()) for record in caplog.records if "said wait" in record.getMessage()]
    warnings = [text for level, text in lines if level == logging.WARNING]
    assert len(lines) == 21
    assert len(warnings) == 2
    assert "the provider behind pay said wait, for a time that cannot be read: 'soon'; nothing starts at pay for 1 s" in warnings[0]
    assert "was throttled: 2; 19 other jobs were told so during the freeze before" in warnings[1]


async def test_a_limit_that_is_no_text_is_an_error_of_the_handler(local_app: Runner) -> None:
    @local_app.task(limits=[LIMIT], retries=0)
    async def call() -> None:
        raise RateLimited(["pay"], retry_after=60)  # type: ignore[arg-type] # the fault under test

    ran = await run(call)

    assert ran.state == "failed"
    assert ran.error is not None
    assert ran.error.type == "ConfigurationError"
    assert "a limit is named by a text, and this is of type list" in ran.error.message
