"""Executor: runs one attempt and hands over its outcome. It never talks to Redis."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from runner.client import Task
from runner.deadlines import Deadlines
from runner.errors import InvalidArguments, RateLimited
from runner.jobs import Attempt, Outcome, StartedJob, TaskDefinition, enter
from runner.settings import Settings
from runner.worker.outcomes import Outcomes, text_of
from runner.worker.threads import DaemonThreads, ThreadCall

log = logging.getLogger("runner")


class Executor:
    """The tasks of an app, ready to run. Plain functions run in threads, at most one for each slot."""

    def __init__(self, tasks: Mapping[str, Task[..., Any]], settings: Settings) -> None:
        self._tasks = tasks
        self._outcomes = Outcomes(settings)
        self._threads = DaemonThreads()
        self._deadlines = Deadlines()
        self._waiting_for_thread: set[asyncio.Task[object]] = set()

    @property
    def overdue(self) -> set[asyncio.Task[object]]:
        """The tasks of attempts that go on past their time-out, or whose thread goes on past a cancellation."""
        return self._deadlines.overdue | self._waiting_for_thread

    async def execute(self, job: StartedJob, record: Callable[[Outcome], None]) -> None:
        """Run the attempt and hand its outcome to `record` once. Returns when the slot can be used again.

        A cancellation is raised again, and nothing is recorded unless the task's time-out was over before.
        """
        attempt = enter(job)
        registered = self._tasks.get(job.task)
        if registered is None:
            text = f"this worker has no task {job.task!r} (it has: {', '.join(self._tasks) or 'none'})"
            record(self._outcomes.failed(attempt, "unknown_task", text))
            return
        task = registered.definition
        if task.is_async:
            record(await self._perform(attempt, task, task.function))
        else:
            await self._execute_in_thread(attempt, task, record)

    def close(self) -> None:
        """Let the threads go; a busy one ends when its function returns."""
        self._threads.close()

    async def _execute_in_thread(self, attempt: Attempt, task: TaskDefinition, record: Callable[[Outcome], None]) -> None:
        """The same for a plain function, whose thread cannot be stopped and uses the slot as long as it runs."""
        call = ThreadCall(self._threads, task.function)
        try:
            outcome = await self._perform(attempt, task, call)
            try:
                # Recorded while the thread goes on after a time-out, the job would run again alongside it and exceed its limits.
                await self._until_returned(call)
            finally:
                record(outcome)
        finally:
            try:
                await self._until_returned(call)
            except asyncio.CancelledError:
                call.abandon()  # the worker leaves without the thread
                raise

    async def _perform(self, attempt: Attempt, task: TaskDefinition, function: Callable[..., Awaitable[Any]]) -> Outcome:
        """What the attempt comes to. Raises only what ends it from outside."""
        timeout_s = task.policy.timeout_s
        deadline = None if timeout_s is None else self._deadlines.within(timeout_s)
        try:
            call = function(**task.arguments.decode(attempt.job.args))
            if deadline is None:
                value = await call
            else:
                with deadline:
                    value = await call
            return self._outcomes.succeeded(attempt, task, value)
        except InvalidArguments as error:
            return self._outcomes.failed(attempt, type(error).__name__, str(error))
        except RateLimited as error:
            return self._outcomes.throttled(attempt, task, error)
        except BaseException as error:
            if _is_from_outside(error):
                raise
            if isinstance(error, TimeoutError) and deadline is not None and deadline.expired:
                return self._outcomes.raised(attempt, task, error, f"took longer than its time-out of {timeout_s:g} s")
            return self._outcomes.raised(attempt, task, error, text_of(error))

    async def _until_returned(self, call: ThreadCall) -> None:
        """Wait for a thread that goes on, and show its attempt as overdue meanwhile."""
        if not call.is_running:
            return
        log.warning("a plain function is still running after its time-out or cancellation, and keeps its slot until it returns")
        attempt = asyncio.current_task()
        assert attempt is not None, "attempts are tasks"
        self._waiting_for_thread.add(attempt)
        try:
            await call.wait()
        finally:
            self._waiting_for_thread.discard(attempt)


def _is_from_outside(error: BaseException) -> bool:
    """Whether this ends the attempt from outside. A handler's own `sys.exit()` or CancelledError is a failure like any other."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return isinstance(error, (KeyboardInterrupt, GeneratorExit))
