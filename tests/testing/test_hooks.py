"""Hooks, the state that they have, and lines of the log, in the testing kit: as a worker has them."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest

from runner import (
    Backoff,
    DeadLetter,
    Depends,
    FailedAttempt,
    Finished,
    JobContext,
    JobLogFilter,
    NewJob,
    RateLimited,
    Runner,
    State,
    TokenBucket,
    current_job,
    injected,
    load_settings,
)
from runner.testing import TestQueue, run

Queues = Callable[..., TestQueue]


class Told(list[Any]):
    """What hooks were told."""

    def by(self, app: Runner[Any]) -> "Told":
        """Let the hooks of an app, some of them plain, note what they are told."""

        @app.on_failure
        async def failed(attempt: FailedAttempt) -> None:
            assert (attempt.job.id, attempt.job.attempt) == (current_job().id, current_job().attempt)
            self.append(("failure", attempt.job.attempt, repr(attempt.error), attempt.retry_in))

        @app.on_dead_letter
        def dead(letter: DeadLetter) -> None:
            self.append(("dead", letter.task, letter.error.type, letter.attempts))

        @app.on_finish
        async def finished(job: Finished) -> None:
            await asyncio.sleep(0.02)
            self.append(("finish", job.task, job.state, job.attempt))

        return self


@pytest.fixture
def told(app: Runner) -> Told:
    return Told().by(app)


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """What the logger `shop` is given, with the fields of its job."""
    found: list[logging.LogRecord] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record)

    handler, logger = Kept(), logging.getLogger("shop")
    handler.addFilter(JobLogFilter())
    logger.addHandler(handler)
    yield found
    logger.removeHandler(handler)


DEAD = [
    ("failure", 1, "ValueError('no')", 1.0),
    ("failure", 2, "ValueError('no')", None),
    ("dead", "fail", "ValueError", 2),
    ("finish", "fail", State.failed, 2),
]


def failing(app: Runner) -> Any:
    @app.task(retries=1, backoff=Backoff(base=1, jitter=0))
    async def fail() -> None:
        raise ValueError("no")

    return fail


async def test_run_tells_failures_dead_letters_and_ends(app: Runner, told: Told) -> None:
    @app.task
    def work() -> int:
        return 1

    assert (await run(failing(app))).state == "failed"
    assert sorted(told) == sorted(DEAD)
    told.clear()
    assert (await run(work)).result == 1
    assert told == [("finish", "work", State.succeeded, 1)]


async def test_run_tells_no_end_of_a_call_that_has_none(app: Runner, told: Told) -> None:
    @app.task(limits=[TokenBucket("llm", rate="10/s")])
    async def throttled() -> None:
        raise RateLimited("llm", retry_after=7)

    assert (await run(throttled)).state == "waiting"
    assert told == []


async def test_a_queue_has_told_all_when_it_is_idle(app: Runner, told: Told, test_queue: Queues) -> None:
    @app.task
    def work() -> int:
        return 1

    async with test_queue(app) as queue:
        await failing(app).submit()
        await queue.run_until_idle()
        assert sorted(told) == sorted(DEAD)
        told.clear()
        await work.submit()
        await queue.run_until_idle()
        assert told == [("finish", "work", State.succeeded, 1)]


async def test_hooks_come_before_the_clock_jumps(app: Runner, test_queue: Queues) -> None:
    """Also while another handler sleeps."""
    queue, told = test_queue(app, virtual_sleep=True), []

    @app.on_finish
    async def finished(job: Finished) -> None:
        await asyncio.sleep(0.02)
        told.append((job.task, queue.seconds))

    @app.task
    async def sleeps() -> None:
        await asyncio.sleep(60)

    @app.task
    async def work() -> None: ...

    async with queue:
        await sleeps.submit()
        await work.submit()
        await queue.run_until_idle()
    assert told == [("work", 0), ("sleeps", 60)]


async def test_a_hook_of_an_attempt_sleeps_by_the_clock(app: Runner, test_queue: Queues) -> None:
    queue, told = test_queue(app, virtual_sleep=True), []

    @app.on_failure
    async def failed(_: FailedAttempt) -> None:
        await asyncio.sleep(3)
        told.append(queue.seconds)

    async with queue:
        await failing(app).submit()
        await queue.run_until_idle()
    assert told == [3, 4]


async def test_a_lost_attempt_tells_no_end(app: Runner, told: Told, test_queue: Queues) -> None:
    @app.task
    async def work() -> None: ...

    async with test_queue(app) as queue:
        job = await work.submit()
        queue.lose(job)
        await queue.run_until_idle()
    assert told == [("finish", "work", State.succeeded, 2)]


async def test_what_a_hook_submits_is_run_too(app: Runner, test_queue: Queues) -> None:
    @app.task(retries=0)
    async def fail() -> None:
        raise ValueError

    @app.task
    async def repair(job_id: str) -> None: ...

    @fail.on_dead_letter
    async def mend(letter: DeadLetter) -> None:
        await repair.submit(letter.id)

    async with test_queue(app) as queue:
        job = await fail.submit()
        await queue.run_until_idle()
        queue.assert_submitted(repair, job.id)
        assert [job.id for job in queue.jobs("failed")] == [job.id]
        assert queue.starts[-1].task == "repair"


async def test_a_hook_that_fails_changes_nothing(app: Runner, test_queue: Queues, caplog: pytest.LogCaptureFixture) -> None:
    @app.on_finish
    def broken(_: Finished) -> None:
        raise KeyError("plain")

    @app.task
    async def work() -> int:
        return 1

    assert (await run(work)).result == 1
    async with test_queue(app):
        assert await (await work.submit()).result() == 1
    assert caplog.text.count("hook on_finish of job ") == 2


async def test_run_gives_the_handler_what_on_submit_adds(app: Runner) -> None:
    @app.on_submit
    def tag(job: NewJob) -> None:
        job.metadata["release"] = "7"

    @app.task
    async def work(*, job: JobContext = injected) -> dict[str, str]:
        return job.metadata

    assert (await run(work)).result == {"release": "7"}


async def test_hooks_and_what_is_per_worker_have_the_state_until_they_are_closed(test_queue: Queues) -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(_: Runner[str]) -> AsyncGenerator[str]:
        events.append("entered")
        yield "opened"
        events.append("left")

    app = Runner("shop", redis_url="redis://nowhere.invalid:1/0", lifespan=lifespan)

    async def session() -> AsyncGenerator[str]:
        yield f"session {app.state}"
        events.append(f"closed {app.state}")

    @app.task(retries=0)
    async def fail(*, _: Annotated[str, Depends(session, per="worker")] = injected) -> None:
        raise ValueError

    @app.on_failure
    @app.on_finish
    async def note(told: FailedAttempt | Finished) -> None:
        await asyncio.sleep(0.02)
        events.append(f"{type(told).__name__} {app.state}")

    expected = ["entered", "FailedAttempt opened", "Finished opened", "closed opened", "left"]
    await run(fail)
    assert events == expected
    events.clear()
    async with test_queue(app):
        await (await fail.submit()).wait()
    assert events == expected


async def test_lines_of_the_log_name_the_queue(app: Runner, test_queue: Queues, records: list[logging.LogRecord]) -> None:
    @app.task
    async def work() -> str:
        logging.getLogger("shop").warning("here")
        return app.queue

    await run(work)
    async with test_queue(app) as queue:
        await work.submit()
        await queue.run_until_idle()
        expected = ["shop", app.queue]
    assert [vars(record)["queue"] for record in records] == expected
    assert [vars(record)["task"] for record in records] == ["work", "work"]


@pytest.mark.parametrize("record_history", [True, False])
async def test_ends_without_an_attempt_are_told_with_and_without_a_history(test_queue: Queues, record_history: bool) -> None:
    app = Runner("shop", settings=load_settings(redis_url="redis://nowhere.invalid:1/0", record_history=record_history))
    told = []

    @app.on_dead_letter
    def dead(letter: DeadLetter) -> None:
        told.append(letter.id)

    @app.task(max_wait=10, on_expiry="fail", limits=[TokenBucket("api", capacity=1, refill=1, every=1_000)])
    async def call() -> None: ...

    async with test_queue(app) as queue:
        jobs = [await call.submit() for _ in range(3)]
        await queue.run_until_idle()
        assert sorted(told) == sorted(job.id for job in jobs[1:])
