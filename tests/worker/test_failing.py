"""Attempts that fail: retries with back-off, time-outs, dead letters, and handlers that misbehave."""

import asyncio
import sys
import threading
from contextlib import suppress

import pytest

from runner import Backoff, JobFailed, JobStatus, Runner, StoreUnavailable
from runner.jobs.job import Ending, Outcome, StartedJob
from runner.testing import run
from runner.worker.executor import Executor
from tests.eventually import eventually
from tests.worker.conftest import Crew, MakeApp, nothing_is_stuck, state_of, stuck_slots

SOON = Backoff(base=0.05, cap=0.05)


async def test_a_failed_attempt_is_tried_again_until_it_succeeds(app: Runner, crew: Crew) -> None:
    attempts = []

    @app.task(retries=3, backoff=SOON)
    async def flaky() -> int:
        attempts.append(1)
        if len(attempts) < 3:
            raise ConnectionError("away")
        return len(attempts)

    await crew.start(app)
    job = await flaky.submit()

    assert await job.result(timeout=10) == 3
    status = await job.status()
    assert (status.attempt, status.failures, status.error) == (3, 2, None)


async def test_a_job_that_fails_every_attempt_is_a_dead_letter_with_the_last_error(app: Runner, crew: Crew) -> None:
    @app.task(retries=1, backoff=SOON)
    def charge() -> None:
        raise ValueError("card refused")

    await crew.start(app)
    job = await charge.submit()

    with pytest.raises(JobFailed, match="ValueError: card refused"):
        await job.result(timeout=10)
    status = await job.status()
    assert (status.attempt, status.failures) == (2, 1)
    assert status.error is not None
    assert (status.error.type, status.error.message) == ("ValueError", "card refused")
    assert 'raise ValueError("card refused")' in status.error.traceback


async def test_between_two_attempts_a_job_is_scheduled_for_the_back_off_and_shows_its_error(app: Runner, crew: Crew) -> None:
    @app.task(backoff=Backoff(base=60))
    async def charge() -> None:
        raise ValueError("card refused")

    await crew.start(app)
    job = await charge.submit()

    await state_of(app, job.id, "scheduled")
    status = await job.status()
    assert status.reason == "retry"
    assert status.eta_s is not None
    assert 20 < status.eta_s <= 60
    assert status.error is not None
    assert status.error.message == "card refused"
    await job.cancel()


async def test_the_second_retry_waits_longer_than_the_first(local_app: Runner) -> None:
    @local_app.task(retries=2, backoff=Backoff(base=0.2, factor=4))
    async def charge() -> None:
        raise ValueError

    first_s, second_s = (await run(charge)).delays

    assert 0.1 <= first_s <= 0.2
    assert 0.4 <= second_s <= 0.8


async def test_an_async_handler_past_its_time_out_is_stopped(app: Runner, crew: Crew) -> None:
    stopped = []

    @app.task(timeout=0.2, retries=0)
    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(1)

    await crew.start(app)
    job = await slow.submit()

    with pytest.raises(JobFailed, match=r"TimeoutError: took longer than its time-out of 0\.2 s"):
        await job.result(timeout=5)
    assert stopped == [1]


async def test_a_time_out_that_the_handler_raises_is_not_taken_for_the_tasks(local_app: Runner) -> None:
    @local_app.task(timeout=60, retries=0)
    async def charge() -> None:
        raise TimeoutError("the bank is slow")

    with pytest.raises(JobFailed, match="TimeoutError: the bank is slow"):
        _ = (await run(charge)).result


@pytest.mark.fault("F34")
async def test_a_plain_function_past_its_time_out_keeps_its_slot_and_its_job_until_it_returns(make_app: MakeApp, crew: Crew) -> None:
    app, release = make_app(concurrency=1, renew_s=0.2), threading.Event()

    @app.task(timeout=0.2, retries=0)
    def slow() -> None:
        release.wait(10)

    @app.task
    async def quick() -> None: ...

    await crew.start(app)
    stuck = await slow.submit()
    after = await quick.submit()

    await stopping(app, stuck.id)
    assert await stuck_slots(app) == 1
    assert (await after.status()).state == "queued"
    release.set()
    assert (await after.wait(timeout=5)).state == "succeeded"
    status = await stuck.wait(timeout=5)
    assert (status.state, status.reason, status.error and status.error.message) == (
        "failed",
        None,
        "took longer than its time-out of 0.2 s",
    )
    await eventually(lambda: nothing_is_stuck(app))


@pytest.mark.fault("F34")
@pytest.mark.parametrize("by", ["time-out", "cancel"])
async def test_a_handler_that_ignores_its_cancellation_is_said_to_be_stopping(
    make_app: MakeApp, crew: Crew, caplog: pytest.LogCaptureFixture, by: str
) -> None:
    app, release = make_app(renew_s=0.2), asyncio.Event()

    @app.task(timeout=0.3 if by == "time-out" else None, retries=0)
    async def deaf() -> str:
        while not release.is_set():
            with suppress(asyncio.CancelledError):
                await release.wait()
        return "done"

    await crew.start(app)
    job = await deaf.submit()
    await state_of(app, job.id, "running")
    if by == "cancel":
        await job.cancel()

    status = await stopping(app, job.id)
    assert status.cancel_requested is (by == "cancel")
    await eventually(lambda: f"job {job.id} (deaf) is still running after it was asked to stop" in caplog.text)
    assert "its slot stays taken" in " ".join(await app.client.explain(status))
    release.set()
    assert await job.result(timeout=5) == "done"
    await eventually(lambda: nothing_is_stuck(app))


async def stopping(app: Runner, job_id: str) -> JobStatus:
    """The job, once its status says `stopping` and its worker reports a stuck slot."""

    async def is_stopping() -> JobStatus | None:
        status = await app.client.status(job_id)
        return status if (status.state, status.reason, await stuck_slots(app)) == ("running", "stopping", 1) else None

    status = await eventually(is_stopping)
    assert status is not None
    return status


async def test_a_timed_out_thread_that_outlives_its_worker_is_a_failure_and_not_given_back(make_app: MakeApp, crew: Crew) -> None:
    app, release, begun = make_app(renew_s=0.2), threading.Event(), threading.Event()

    @app.task(timeout=0.2, retries=0)
    def slow() -> None:
        begun.set()
        release.wait(20)

    worker = await crew.start(app)
    job = await slow.submit()
    await stopping(app, job.id)

    worker.stop()
    worker.stop()
    await crew.ended(worker)

    status = await job.status()
    assert (status.state, status.error and status.error.type) == ("failed", "TimeoutError")
    release.set()


async def test_leaving_the_process_is_a_failure_of_the_job_and_not_the_end_of_the_worker(app: Runner, crew: Crew) -> None:
    @app.task(retries=0)
    async def leave() -> None:
        sys.exit(3)

    @app.task(retries=0)
    def leave_from_a_thread() -> None:
        sys.exit(4)

    await crew.start(app)

    with pytest.raises(JobFailed, match="SystemExit: 3"):
        await (await leave.submit()).result(timeout=5)
    with pytest.raises(JobFailed, match="SystemExit: 4"):
        await (await leave_from_a_thread.submit()).result(timeout=5)


async def test_a_handler_that_is_cancelled_by_its_own_doing_has_failed(local_app: Runner) -> None:
    attempts = []

    @local_app.task(retries=1, backoff=SOON)
    async def gives_up() -> None:
        attempts.append(1)
        raise asyncio.CancelledError("own doing")

    with pytest.raises(JobFailed, match="CancelledError: own doing"):
        _ = (await run(gives_up)).result
    assert len(attempts) == 2


async def test_errors_of_any_size_and_text_are_kept_in_part(local_app: Runner) -> None:
    @local_app.task(retries=0)
    async def verbose() -> None:
        raise RuntimeError("\ud800<script>" + "x" * 1_000_000)

    error = (await run(verbose)).error

    assert error is not None
    assert len(error.message) <= 2_000
    assert len(error.traceback) <= 8_000


async def test_an_error_without_a_text_still_says_its_type(local_app: Runner) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    @local_app.task(retries=0)
    async def mute() -> None:
        raise Mute

    with pytest.raises(JobFailed, match="Mute"):
        _ = (await run(mute)).result


async def test_each_attempt_is_recorded_once(app: Runner) -> None:
    @app.task(timeout=0.01, retries=0)
    def slow() -> None:
        done.wait(10)

    done, outcomes = threading.Event(), list[Outcome]()
    executor = Executor(app.tasks, app.settings)
    attempt = asyncio.create_task(executor.execute(StartedJob(1, b"1-1", "j", "slow", b"{}", 1, 0), outcomes.append))
    await eventually(lambda: attempt in executor.overdue)

    assert not outcomes
    done.set()
    await attempt
    assert not executor.overdue
    executor.close()
    assert [outcome.ending for outcome in outcomes] == [Ending.failed]


async def test_an_unavailable_store_inside_a_handler_is_an_error_like_any_other(local_app: Runner) -> None:
    @local_app.task(retries=0)
    async def charge() -> None:
        raise StoreUnavailable("elsewhere")

    with pytest.raises(JobFailed, match="StoreUnavailable: elsewhere"):
        _ = (await run(charge)).result
