"""A job with a deadline, as its worker runs it: attempts end at it, retries go on until it, and nothing begins after it."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from runner import Backoff, JobFailed, JobOptions, Runner, current_job
from runner.errors import StartOutOfRange
from runner.testing import TestQueue
from runner.worker.executor import time_left_s
from tests.worker.conftest import Crew, MakeApp


@pytest.mark.parametrize(
    ("timeout_s", "deadline_us", "left"),
    [
        (None, 0, (None, False)),
        (30.0, 0, (30.0, False)),
        (None, 2_000_000, (2.0, True)),
        (30.0, 2_000_000, (2.0, True)),
        (2.0, 2_000_000, (2.0, False)),
        (1.0, 2_000_000, (1.0, False)),
    ],
)
def test_an_attempt_may_take_its_time_out_or_until_the_deadline(
    timeout_s: float | None, deadline_us: int, left: tuple[float | None, bool]
) -> None:
    assert time_left_s(timeout_s, deadline_us) == left


async def test_an_attempt_is_stopped_at_the_deadline_and_is_the_last(local_app: Runner, test_queue: Callable[..., TestQueue]) -> None:
    stopped = []

    @local_app.task(deadline=60, retries=5)
    async def slow() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            stopped.append(1)

    async with test_queue(local_app, virtual_sleep=True) as queue:
        job = await slow.submit()
        with pytest.raises(JobFailed, match="DeadlineExceeded: its deadline passed while attempt 1 ran"):
            await job.result()
        assert stopped == [1]
        assert queue.seconds == pytest.approx(60)
        status = await job.status()
    assert status.error is not None
    assert "asyncio.sleep(3600)" in status.error.traceback
    assert [one.type for one in status.attempts] == ["DeadlineExceeded"]


async def test_a_plain_function_past_the_deadline_ends_when_it_returns(app: Runner, crew: Crew) -> None:
    @app.task(deadline=0.5)
    def slow() -> None:
        threading.Event().wait(1.0)

    await crew.start(app)

    with pytest.raises(JobFailed, match="DeadlineExceeded: its deadline passed while attempt 1 ran"):
        await (await slow.submit()).result(timeout=10)


async def test_without_an_end_of_retries_a_job_is_tried_until_its_deadline(local_app: Runner, test_queue: Callable[..., TestQueue]) -> None:
    @local_app.task(retries=None, deadline=40, backoff=Backoff(base=5, factor=4, jitter=0))
    async def charge() -> None:
        raise ConnectionError("away")

    async with test_queue(local_app) as queue:
        status = await (await charge.submit()).wait()
        assert [start.at for start in queue.starts] == pytest.approx([0, 5, 25], abs=0.01), "the next one would begin after 105 s"

    assert (status.state, status.attempt) == ("failed", 3)
    assert status.error is not None
    assert status.error.type == "DeadlineExceeded"
    assert "the last error was ConnectionError: away" in status.error.message


async def test_a_job_of_before_its_task_had_a_deadline_has_an_end_of_retries(
    local_app: Runner, test_queue: Callable[..., TestQueue]
) -> None:
    @local_app.task(retries=None, deadline=3600)
    async def charge() -> None:
        raise ConnectionError("away")

    async with test_queue(local_app) as queue:
        (job,) = await local_app.submit_many([charge.prepare()._replace(deadline_us=0)])
        await queue.run_until_idle(most=20)
        status = await job.status()

    assert (status.state, status.attempt, status.deadline_at) == ("failed", 4, None)


async def test_a_job_that_is_submitted_by_name_has_it_too_and_its_handler_knows_what_is_left(app: Runner, crew: Crew) -> None:
    left: list[float | None] = []

    @app.task(deadline=60)
    async def charge() -> None:
        left.append(current_job().deadline_s)

    @app.task
    async def free() -> None:
        left.append(current_job().deadline_s)

    await crew.start(app)
    status = await (await app.client.submit("charge", {})).wait(timeout=10)
    await (await free.submit()).wait(timeout=10)

    assert status.deadline_at is not None
    assert status.submitted_at is not None
    assert status.deadline_at - status.submitted_at == pytest.approx(60)
    assert left[0] is not None
    assert 50 < left[0] <= 60
    assert left[1] is None


async def test_a_submission_has_a_deadline_of_its_own_also_by_name(app: Runner, crew: Crew) -> None:
    @app.task(deadline=3600, retries=0)
    async def charge() -> None:
        raise ConnectionError("away")

    @app.task
    async def wait() -> None:
        await asyncio.Event().wait()

    await crew.start(app)
    by_code = await charge.with_options(deadline=60).submit()
    by_name = await app.client.submit("charge", {}, JobOptions(deadline=60))
    cut = await wait.with_options(deadline=0.3).submit()

    for job in (by_code, by_name):
        status = await job.wait(timeout=10)
        assert status.deadline_at == pytest.approx((status.submitted_at or 0) + 60)
    with pytest.raises(JobFailed, match="DeadlineExceeded: its deadline passed while attempt 1 ran"):
        await cut.result(timeout=10)


async def test_a_delay_beyond_the_deadline_is_refused(make_app: MakeApp) -> None:
    @make_app().task(deadline=60)
    async def charge() -> None: ...

    with pytest.raises(StartOutOfRange, match=r"delay is 60, and this job of task 'charge' ends 60 s after its submission \(deadline\)"):
        charge.with_options(delay=60).prepare()
    assert charge.with_options(delay=59).prepare().deadline_us == 60_000_000
