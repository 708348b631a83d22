"""Executor: runs one attempt and says what it came to. No Redis here."""

import asyncio
import contextvars
import json
import logging
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from runner.client import Task
from runner.clock import MICROSECONDS, milliseconds, wall_us
from runner.deadlines import Deadlines
from runner.errors import ConfigurationError, InvalidArguments, RateLimited
from runner.jobs import Attempt, Ending, Outcome, StartedJob, TaskDefinition, enter
from runner.limits import retry_after_s
from runner.settings import Settings
from runner.worker.threads import DaemonThreads

log = logging.getLogger("runner")

_LARGEST_RESULT = 64_000_000
"""Bytes. Redis closes the connection at some hundred million, and the outcome could never be delivered."""
_LONGEST_MESSAGE = 2_000
_DEEPEST_TRACEBACK = 20


class Executor:
    """The tasks of an app, ready to run. Plain functions run in threads, at most one for each slot."""

    def __init__(self, tasks: Mapping[str, Task[..., Any]], settings: Settings) -> None:
        self._tasks = tasks
        self._settings = settings
        self._threads = DaemonThreads()
        self._deadlines = Deadlines()
        self._outlasted: set[asyncio.Task[object]] = set()
        self._result_ttl_ms = settings.result_ttl_ms
        self._failed_ttl_ms = settings.failed_ttl_ms

    async def execute(self, job: StartedJob, record: Callable[[Outcome], None]) -> None:
        """Run the attempt, and hand its outcome to `record` once. Returns when its slot can be used again.

        The thread of a plain function cannot be stopped: past its time-out the outcome waits for it, or the job would run again
        beside it, and beyond its limits. Cancellation passes through, with nothing recorded but a time-out that came before.
        """
        registered = self._tasks.get(job.task)
        if registered is None:
            record(self._failed(job, "unknown_task", f"this worker has no task {job.task!r} (it has: {', '.join(self._tasks) or 'none'})"))
            return
        task = registered.definition
        thread: asyncio.Future[Any] | None = None
        attempt = enter(job)
        try:
            arguments = task.arguments.decode(job.args)
            if task.is_async:
                call = task.function(**arguments)
            else:
                thread = self._start_thread(task, arguments)
                call = asyncio.shield(thread)
            if task.policy.timeout_s is None:
                value = await call
            else:
                with self._deadlines.within(task.policy.timeout_s) as deadline:
                    value = await call
            record(self._succeeded(attempt, task, value))
        except InvalidArguments as error:
            record(self._failed(job, type(error).__name__, str(error)))
        except RateLimited as error:
            record(self._throttled(attempt, task, error))
        except TimeoutError as error:
            timed_out = task.policy.timeout_s is not None and deadline.expired
            text = f"took longer than its time-out of {task.policy.timeout_s:g} s" if timed_out else _text_of(error)
            outcome = self._raised(job, task, error, text)._replace(settled=attempt.settled_text)
            try:
                if thread is not None and not thread.done():
                    await self._outlast(thread)
            finally:
                record(outcome)
        except BaseException as error:
            if _is_ours(error):
                raise
            record(self._raised(job, task, error, _text_of(error))._replace(settled=attempt.settled_text))
        finally:
            if thread is not None and not thread.done():
                await self._until_done(thread)

    @property
    def overdue(self) -> set[asyncio.Task[object]]:
        """The tasks of attempts that go on past their time-out."""
        return self._deadlines.overdue | self._outlasted

    async def _outlast(self, thread: asyncio.Future[Any]) -> None:
        log.warning("a plain function goes on past its time-out or cancellation; its slot stays taken until it returns")
        attempt = asyncio.current_task()
        assert attempt is not None, "attempts are tasks"
        self._outlasted.add(attempt)
        try:
            await asyncio.wait({thread})
        finally:
            self._outlasted.discard(attempt)

    async def _until_done(self, thread: asyncio.Future[Any]) -> None:
        """Wait for a thread that nobody can stop, whatever its function raises; its slot is taken as long as it runs."""
        try:
            await self._outlast(thread)
        except asyncio.CancelledError:
            thread.cancel()  # the worker leaves without it: nobody will be there when it returns
            raise
        if not thread.cancelled():
            thread.exception()

    def close(self) -> None:
        """Let go of the threads; those still running end with their functions."""
        self._threads.close()

    def _start_thread(self, task: TaskDefinition, arguments: dict[str, Any]) -> asyncio.Future[Any]:
        call = partial(contextvars.copy_context().run, task.function, **arguments)
        return asyncio.wrap_future(self._threads.run(call))

    def _succeeded(self, attempt: Attempt, task: TaskDefinition, value: Any) -> Outcome:
        ttl_s = task.policy.result_ttl_s
        ttl_ms = self._result_ttl_ms if ttl_s is None else milliseconds(ttl_s)
        payload = task.arguments.encode_result(value)
        if len(payload) > _LARGEST_RESULT:
            text = f"the result has {len(payload)} bytes of JSON, {_LARGEST_RESULT} at most are kept: store it elsewhere and return where"
            return self._failed(attempt.job, "ResultTooLarge", text)._replace(settled=attempt.settled_text)
        return Outcome(attempt.job, Ending.succeeded, payload, 0, ttl_ms, attempt.settled_text)

    def _throttled(self, attempt: Attempt, task: TaskDefinition, error: RateLimited) -> Outcome:
        """The provider said wait: not a failure. The bucket is frozen for everybody, and the job goes back to its place."""
        job = attempt.job
        try:
            bucket = attempt.open_context().bucket(error.limit)
        except ConfigurationError as unknown:
            return self._raised(job, task, unknown, str(unknown))
        said_s = retry_after_s(error.retry_after, wall_us() / MICROSECONDS)
        wait_s = min(self._settings.freeze_s if said_s is None else said_s, self._settings.longest_freeze_s)
        log.warning("job %s (%s): the provider behind %s said wait, for %.3g s", job.id, job.task, bucket, wait_s)
        return Outcome(job, Ending.throttled, b"", round(wait_s * MICROSECONDS), self._result_ttl_ms, attempt.settled_text, bucket)

    def _failed(self, job: StartedJob, kind: str, message: str, trace: str = "") -> Outcome:
        """A dead letter: no retry can help, or none is left."""
        log.error("job %s (%s) failed for good in attempt %d: %s: %s", job.id, job.task, job.attempt, kind, message)
        return Outcome(job, Ending.failed, _error(kind, message, trace), 0, self._failed_ttl_ms)

    def _raised(self, job: StartedJob, task: TaskDefinition, error: BaseException, message: str) -> Outcome:
        kind, trace = type(error).__name__, _trace_of(error)
        retry = job.failures + 1
        if retry > task.policy.retries:
            return self._failed(job, kind, message, trace)
        delay_s = task.policy.backoff.delay_s(retry)
        log.warning(
            "job %s (%s) failed in attempt %d, retry %d of %d in %.1f s: %s: %s",
            job.id,
            job.task,
            job.attempt,
            retry,
            task.policy.retries,
            delay_s,
            kind,
            message,
        )
        # Kept for the time of a result if somebody has asked to stop the job: then this attempt was its last.
        return Outcome(job, Ending.retry, _error(kind, message, trace), round(delay_s * MICROSECONDS), self._result_ttl_ms)


def _is_ours(error: BaseException) -> bool:
    """Whether this ends the attempt from outside. A handler's own `sys.exit()` or CancelledError is a failure like any other."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return isinstance(error, (KeyboardInterrupt, GeneratorExit))


def _error(kind: str, message: str, trace: str = "") -> bytes:
    fields = {"type": kind, "message": _sendable(message)[:_LONGEST_MESSAGE]}
    if trace:
        fields["traceback"] = _sendable(trace)[-4 * _LONGEST_MESSAGE :]
    return json.dumps(fields).encode()


def _sendable(text: str) -> str:
    """The text without lone surrogates, which no UTF-8 answer can carry."""
    return text.encode(errors="backslashreplace").decode()


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as unprintable:  # noqa: BLE001 - the text is the handler's code too
        return f"(no text: {type(unprintable).__name__})"


def _trace_of(error: BaseException) -> str:
    """The handler's part of the traceback."""
    return "".join(traceback.format_exception(error, limit=-_DEEPEST_TRACEBACK))
