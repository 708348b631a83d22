"""Handlers, arguments and errors that do their worst: each attempt has one outcome, and the worker goes on."""

import asyncio
import logging
import random
import threading
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel, PlainSerializer

from runner import Backoff, Concurrency, JobFailed, JobHandle, Runner, TokenBucket, current_job
from runner.errors import InvalidArguments
from runner.foreign import indented, kind_of, text_of
from runner.jobs import Ending, Outcome, StartedJob
from runner.worker import attempts
from runner.worker.executor import Executor
from runner.worker.threads import DaemonThreads, NoThread
from tests.worker import hostile_errors
from tests.worker.conftest import Crew, MakeApp

SOON = Backoff(base=0.05, cap=0.05)


def test_errors_of_every_kind_are_hostile_enough() -> None:
    """The worst of them cannot even be asked for their class."""
    with pytest.raises(SystemExit):
        assert isinstance(hostile_errors.no_class(), OSError)
    with pytest.raises(SystemExit):
        assert hostile_errors.metal.__name__


SETTLING = {"in_handler", "in_future", "in_thread", "in_serializer"}


def test_an_error_is_asked_for_its_text_in_vain() -> None:
    assert text_of(hostile_errors.raising("__str__", SystemExit(1))) == "(no text: SystemExit)"
    assert text_of(hostile_errors.with_text(hostile_errors.Endless("text"))) == "text"
    assert (kind_of(hostile_errors.metal()), text_of(MemoryError("x"))) == ("Metal", "no memory was left")


class Hostile:
    """Tasks that do what `plan` says: in a validator, in the handler, in its thread, in a serializer."""

    def __init__(self, app: Runner) -> None:
        self.error: Callable[[], BaseException] = ValueError
        limit = TokenBucket("x", rate="1000/s", burst=1000)

        def invalid(value: int) -> int:
            raise self.error()

        def unserializable(value: int) -> int:
            raise self.error()

        class Result(BaseModel):
            number: Annotated[int, PlainSerializer(unserializable)] = 1

        @app.task(retries=1, backoff=SOON, limits=[limit], timeout=60)
        async def in_handler() -> None:
            current_job().settle("x", 2)
            raise self.error()

        @app.task(retries=1, backoff=SOON)
        async def later() -> None:
            await asyncio.sleep(0)
            raise self.error()

        @app.task(retries=1, backoff=SOON, limits=[limit])
        async def in_future() -> None:
            current_job().settle("x", 2)
            loop = asyncio.get_running_loop()
            future: asyncio.Future[None] = loop.create_future()
            error = self.error()
            if issubclass(type(error), StopIteration):
                raise error  # awaited it would be a return
            loop.call_soon(future.set_exception, error)
            await future

        @app.task(retries=0, limits=[limit])
        def in_thread() -> None:
            current_job().settle("x", 2)
            raise self.error()

        @app.task
        async def in_validator(number: Annotated[int, AfterValidator(invalid)]) -> None: ...

        @app.task(limits=[limit])
        async def in_serializer() -> Result:
            current_job().settle("x", 2)
            return Result()

        @app.task(retries=1, backoff=SOON)
        async def cancels_itself() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)

    async def attempt(self, executor: Executor, task: str, number: int, failures: int) -> list[Outcome]:
        outcomes: list[Outcome] = []
        limits = "x=1" if task in SETTLING else ""
        args = b'{"number":1}' if task == "in_validator" else b"{}"
        job = StartedJob(1, b"1-1", f"j{number}", task, args, 1, failures, limits)
        await asyncio.create_task(executor.execute(job, outcomes.append, lambda: False))
        return outcomes


async def test_thousands_of_hostile_attempts_have_one_outcome_each(app: Runner, caplog: pytest.LogCaptureFixture) -> None:
    hostile, executor, chance = Hostile(app), Executor(app.tasks, app.settings), random.Random(1)
    caplog.set_level(logging.CRITICAL, "runner")
    for number in range(3_000):
        task, failures = chance.choice(list(app.tasks)), chance.randrange(2)
        error = hostile.error = chance.choice(hostile_errors.HOSTILE + hostile_errors.THROTTLING)

        outcomes = await hostile.attempt(executor, task, number, failures)

        assert len(outcomes) == 1, (task, error)
        (outcome,) = outcomes
        assert outcome.ending in {Ending.failed, Ending.retry, Ending.throttled}, (task, error)
        assert outcome.job.id == f"j{number}"
        assert abs(outcome.delay_us) < 2**53  # negative: the provider named no time
        assert 0 < outcome.ttl_ms < 2**53
        assert len(outcome.payload) < 80_000
        outcome.payload.decode()
        if task in SETTLING:
            assert outcome.settled == "x=2", (task, error)
    executor.close()


async def test_a_worker_survives_every_hostile_attempt_and_runs_the_others(app: Runner, crew: Crew) -> None:
    hostile = Hostile(app)

    @app.task
    async def work(number: int) -> int:
        return number

    worker = await crew.start(app)
    name = worker.id
    for error in hostile_errors.HOSTILE:
        hostile.error = error
        jobs: list[JobHandle[Any]] = [await work.submit(7)]
        jobs += [await app.client.submit(task, {}) for task in (*sorted(SETTLING), "cancels_itself")]
        first, *others = [await job.wait(timeout=30) for job in jobs]
        assert first.result == 7
        assert {status.state for status in others} == {"failed"}
    assert worker.id == name
    assert not worker.state.is_stopped


async def test_a_validator_that_raises_anything_refuses_its_job_at_the_worker(app: Runner, crew: Crew) -> None:
    armed = threading.Event()

    def late(value: int) -> int:
        if armed.is_set():
            raise TimeoutError("the bank is slow")
        return value

    @app.task
    async def work(number: Annotated[int, AfterValidator(late)]) -> None: ...

    job = await work.submit(1)
    armed.set()
    await crew.start(app)

    with pytest.raises(JobFailed, match="InvalidArguments: task 'work': its arguments cannot be read: TimeoutError: the bank is slow"):
        await job.result(timeout=10)


async def test_invalid_arguments_raised_inside_a_handler_are_a_failed_attempt_like_any_other(app: Runner, crew: Crew) -> None:
    attempts = []

    @app.task(retries=1, backoff=SOON)
    async def work() -> int:
        attempts.append(1)
        if len(attempts) == 1:
            raise InvalidArguments("of a nested call")
        return 3

    await crew.start(app)

    assert await (await work.submit()).result(timeout=10) == 3


async def test_a_result_that_does_not_fit_its_annotation_is_a_dead_letter_that_says_so(app: Runner, crew: Crew) -> None:
    @app.task
    async def work() -> int:
        return "many"  # type: ignore[return-value] # the fault under test

    await crew.start(app)

    with pytest.raises(JobFailed, match="InvalidResult: task 'work' returned str"):
        await (await work.submit()).result(timeout=10)


async def test_a_back_off_that_raises_makes_its_job_a_dead_letter_that_says_so(app: Runner, crew: Crew) -> None:
    class Unsure(Backoff):
        def delay_s(self, retry: int) -> float:
            raise SystemExit(f"no wait before retry {retry}")

    @app.task(retries=3, backoff=Unsure())
    async def work() -> None:
        raise ValueError("the first failure")

    await crew.start(app)

    with pytest.raises(JobFailed, match="OutcomeError: its outcome could not be worked out: SystemExit"):
        await (await work.submit()).result(timeout=10)


async def test_a_failed_attempt_logs_its_traceback_once_with_the_id_of_its_job(
    app: Runner, crew: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    @app.task(retries=1, backoff=SOON)
    async def charge() -> None:
        raise ValueError("card\x1b[2J refused\n2026-01-01 ERROR forged")

    await crew.start(app)
    job = await charge.submit()
    await job.wait(timeout=10)

    lines = [record.getMessage() for record in caplog.records if job.id in record.getMessage()]
    assert len(lines) == 2
    for line in lines:
        assert line.count('raise ValueError("card') == 1
        assert len(line.splitlines()) > 3
        assert "\x1b" not in line
        assert not [part for part in line.splitlines()[1:] if not part.startswith("    ")]


def test_no_line_of_a_text_can_be_taken_for_one_of_the_log() -> None:
    assert indented("a\r\n2026 ERROR\x1b[2J\u2028b") == "    a\n    2026 ERROR\\x1b[2J\n    b"


async def test_a_defect_of_the_worker_costs_one_job_and_is_told(make_app: MakeApp, crew: Crew, caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(failpoints="attempt:before=raise@2")

    @app.task
    async def work(number: int) -> int:
        return number

    worker = await crew.start(app)
    ends = [await (await work.submit(number)).wait(timeout=10) for number in range(3)]

    assert [end.state for end in ends] == ["succeeded", "failed", "succeeded"]
    assert ends[1].error is not None
    assert (ends[1].error.type, ends[1].error.message) == ("InternalError", "a defect of the worker ended the attempt: RuntimeError")
    assert "failpoint attempt:before" in caplog.text
    assert not worker.state.is_stopped


async def test_a_job_for_which_no_thread_can_be_started_goes_back_and_leaves_nothing_behind(
    make_app: MakeApp, crew: Crew, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app, runs, refused = make_app(concurrency=2), list[int](), list[str]()
    start = threading.Thread.start

    def refusing(thread: threading.Thread) -> None:
        if thread.name.startswith("runner-task") and len(refused) < 3:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    @app.task(limits=[Concurrency("slots", 1)])
    def work() -> None:
        runs.append(1)

    monkeypatch.setattr(threading.Thread, "start", refusing)
    monkeypatch.setattr(attempts, "_REST_S", 0.2)
    await crew.start(app)
    job = await work.submit()

    status = await job.wait(timeout=10)
    assert (status.state, status.attempt, status.failures) == ("succeeded", 4, 0)
    assert runs == [1]
    assert len([record for record in caplog.records if "no thread can be started" in record.getMessage()]) == 1


def test_a_call_whose_thread_cannot_be_started_is_in_no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, ran, start = DaemonThreads(), [], threading.Thread.start

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(NoThread, match="can't start new thread"):
        threads.run(lambda: ran.append("first"))
    monkeypatch.setattr(threading.Thread, "start", start)

    threads.run(lambda: ran.append("second")).result(5)
    threads.run(lambda: ran.append("third")).result(5)
    threads.close()
    assert ran == ["second", "third"]
