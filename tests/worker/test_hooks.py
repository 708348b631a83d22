"""Hooks in real workers: what they are told and when, and that an error in one changes nothing."""

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

import pytest

from runner import (
    ConfigurationError,
    DeadLetter,
    FailedAttempt,
    Finished,
    JobFailed,
    NewJob,
    Runner,
    State,
    current_job,
)
from runner.worker import hook_calls
from tests.eventually import eventually
from tests.worker.conftest import Crew, MakeApp

told: list[Any] = []
trace: ContextVar[str] = ContextVar("trace", default="")


@pytest.fixture(autouse=True)
def fresh() -> None:
    told.clear()


async def test_what_on_submit_adds_travels_with_the_job(app: Runner, crew: Crew) -> None:
    @app.on_submit
    def traced(job: NewJob) -> None:
        job.metadata["trace"] = trace.get()
        told.append((job.id, job.task, job.args, job.options.priority, dict(job.metadata)))

    @app.task(retries=1)
    async def work(order: str) -> dict[str, str]:
        if not current_job().failures:
            raise ValueError
        return current_job().metadata

    @work.on_submit
    def own(job: NewJob) -> None:
        job.metadata["own"] = "é"

    @app.task
    async def other() -> dict[str, str]:
        return current_job().metadata

    await crew.start(app)
    trace.set("t-1")
    job = await work.with_options(id="j1", priority="high").submit("o")
    assert told == [("j1", "work", {"order": "o"}, "high", {"trace": "t-1"})]
    assert await job.result(timeout=10) == {"trace": "t-1", "own": "é"}
    handles = await app.submit_many([other.prepare(), other.prepare()])
    assert [await handle.result(timeout=5) for handle in handles] == [{"trace": "t-1"}] * 2
    blocking = await asyncio.to_thread(other.blocking.submit)
    assert await app.client.result(blocking.id, timeout=5) == {"trace": "t-1"}


async def test_an_on_submit_that_fails_gives_nothing_and_stops_nothing(app: Runner, crew: Crew, caplog: pytest.LogCaptureFixture) -> None:
    @app.on_submit
    def broken(job: NewJob) -> None:
        job.metadata["lost"] = "x"
        raise ValueError("no tracer")

    @app.on_submit
    def too_much(job: NewJob) -> None:
        job.metadata["much"] = "x" * 4_096

    @app.on_submit
    def no_json(job: NewJob) -> None:
        job.metadata["number"] = float("inf")

    @app.task
    async def work() -> dict[str, str]:
        return current_job().metadata

    await crew.start(app)
    job = await work.submit()
    assert await job.result(timeout=5) == {}
    assert caplog.text.count(f"hook on_submit of job {job.id} failed, and gives it nothing") == 3
    assert "metadata has 4107 bytes of JSON, and may have 4096" in caplog.text
    assert "metadata 'number' is inf: give by name what JSON has" in caplog.text


async def test_failures_dead_letters_and_ends_are_told(app: Runner, crew: Crew) -> None:
    @app.on_failure
    async def failed(attempt: FailedAttempt) -> None:
        told.append((attempt.job.id, current_job().attempt, repr(attempt.error), attempt.retry_in is None))

    @app.on_dead_letter
    def dead(letter: DeadLetter) -> None:
        told.append((letter.id, letter.task, letter.error.type, letter.attempts, threading.current_thread().name[:11]))

    @app.task(retries=1)
    async def fail() -> None:
        raise ValueError("no")

    @app.task
    async def work() -> int:
        await asyncio.sleep(0.05)
        return 1

    @fail.on_finish
    @work.on_finish
    async def finished(job: Finished) -> None:
        told.append((job.id, job.task, job.state, job.attempt, job.ran_s >= 0.04, job.waited_s >= 0))

    await crew.start(app)
    job = await fail.with_options(id="bad").submit()
    with pytest.raises(JobFailed):
        await job.result(timeout=15)
    await eventually(lambda: len(told) == 4)
    assert told[:2] == [("bad", 1, "ValueError('no')", False), ("bad", 2, "ValueError('no')", True)]
    assert sorted(told[2:], key=str) == [
        ("bad", "fail", "ValueError", 2, "runner-task"),
        ("bad", "fail", State.failed, 2, False, True),
    ]
    told.clear()
    assert await (await work.with_options(id="good").submit()).result(timeout=5) == 1
    await eventually(lambda: told == [("good", "work", State.succeeded, 1, True, True)])


async def test_a_result_that_does_not_fit_is_a_failure_with_what_stands_for_it(app: Runner, crew: Crew) -> None:
    @app.on_failure
    def failed(attempt: FailedAttempt) -> None:
        told.append((str(attempt.error)[:14], attempt.retry_in))

    @app.task
    async def work() -> int:
        return "text"  # type: ignore[return-value]

    await crew.start(app)
    await (await work.submit()).wait(timeout=5)
    await eventually(lambda: told == [("InvalidResult:", None)])


async def test_an_error_in_a_hook_is_logged_with_the_job_and_changes_nothing(
    app: Runner, crew: Crew, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook_calls, "_LONGEST_S", 0.2)

    @app.on_finish
    async def broken(_: Finished) -> None:
        raise SystemExit(3)

    @app.on_finish
    async def hangs(_: Finished) -> None:
        await asyncio.sleep(60)

    @app.on_finish
    def plain(_: Finished) -> None:
        raise KeyError("plain")

    @app.task
    async def work() -> int:
        return 1

    await crew.start(app)
    job = await work.submit()
    assert await job.result(timeout=5) == 1
    await eventually(lambda: caplog.text.count(f"hook on_finish of job {job.id} failed") == 3)
    for kind in ("SystemExit: 3", "TimeoutError", "KeyError: 'plain'"):
        assert kind in caplog.text
    assert await (await work.submit()).result(timeout=5) == 1


async def test_hooks_that_are_too_many_are_dropped_and_counted(
    app: Runner, crew: Crew, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook_calls, "_MOST_PENDING", 2)
    go_on = asyncio.Event()

    @app.on_failure
    async def waits(_: FailedAttempt) -> None:
        await go_on.wait()
        told.append(1)

    @app.task(retries=0)
    async def fail(_: int) -> None:
        raise ValueError

    await crew.start(app)
    handles = await app.submit_many([fail.prepare(n) for n in range(5)])
    for handle in handles:
        await handle.wait(timeout=5)
    go_on.set()
    await eventually(lambda: len(told) == 2)
    assert "1 calls of hooks were dropped, as 2 are under way" in caplog.text


async def test_the_end_of_a_worker_waits_for_hooks(make_app: MakeApp, crew: Crew) -> None:
    app = make_app()

    @app.on_finish
    async def slow(job: Finished) -> None:
        await asyncio.sleep(0.3)
        told.append(job.id)

    @app.task
    async def work() -> int:
        return 1

    worker = await crew.start(app)
    job = await work.submit()
    await job.result(timeout=5)
    await crew.stop(worker)
    assert told == [job.id]


def test_what_cannot_be_a_hook_is_refused() -> None:
    app = Runner("hooks")

    async def asynchronous(_: NewJob) -> None: ...

    with pytest.raises(ConfigurationError, match="which is async: plain code submits too"):
        app.on_submit(asynchronous)
    with pytest.raises(ConfigurationError, match="on_failure is given 3: give a function of one parameter"):
        app.on_failure(3)  # type: ignore[type-var]
