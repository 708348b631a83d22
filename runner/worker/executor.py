"""Executor: runs one attempt and hands over its outcome. It never talks to Redis."""

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from runner.client import Task
from runner.deadlines import Deadlines
from runner.errors import InvalidArguments, RateLimited
from runner.jobs import Attempt, Outcome, StartedJob, TaskDefinition, enter
from runner.settings import Settings
from runner.worker.outcomes import Outcomes, text_of
from runner.worker.threads import DaemonThreads

log = logging.getLogger("runner")


class _Run:
    """One attempt with its task, and its thread once a plain function has one."""

    __slots__ = ("attempt", "task", "thread")

    def __init__(self, attempt: Attempt, task: TaskDefinition) -> None:
        self.attempt = attempt
        self.task = task
        self.thread: asyncio.Future[Any] | None = None


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
        task = self._tasks.get(job.task)
        if task is None:
            text = f"this worker has no task {job.task!r} (it has: {', '.join(self._tasks) or 'none'})"
            record(self._outcomes.failed(attempt, "unknown_task", text))
            return
        run = _Run(attempt, task.definition)
        try:
            outcome = await self._perform(run)
            try:
                if run.thread is not None:
                    # Recorded while the thread goes on after a time-out, the job would run again alongside it and exceed its limits.
                    await self._until_returned(run.thread)
            finally:
                record(outcome)
        finally:
            if run.thread is not None:
                await self._until_left(run.thread)

    def close(self) -> None:
        """Let the threads go; a busy one ends when its function returns."""
        self._threads.close()

    async def _perform(self, run: _Run) -> Outcome:
        """What the attempt comes to. Raises only what ends it from outside."""
        policy = run.task.policy
        deadline = None if policy.timeout_s is None else self._deadlines.within(policy.timeout_s)
        try:
            call = self._start(run)
            if deadline is None:
                value = await call
            else:
                with deadline:
                    value = await call
            return self._outcomes.succeeded(run.attempt, run.task, value)
        except InvalidArguments as error:
            return self._outcomes.failed(run.attempt, type(error).__name__, str(error))
        except RateLimited as error:
            return self._outcomes.throttled(run.attempt, run.task, error)
        except BaseException as error:
            if _is_from_outside(error):
                raise
            if isinstance(error, TimeoutError) and deadline is not None and deadline.expired:
                return self._outcomes.raised(run.attempt, run.task, error, f"took longer than its time-out of {policy.timeout_s:g} s")
            return self._outcomes.raised(run.attempt, run.task, error, text_of(error))

    def _start(self, run: _Run) -> Awaitable[Any]:
        """Begin the call. Raises `InvalidArguments` if what is stored does not fit the task's signature."""
        arguments = run.task.arguments.decode(run.attempt.job.args)
        if run.task.is_async:
            call: Awaitable[Any] = run.task.function(**arguments)
            return call
        run.thread = asyncio.wrap_future(self._threads.run(partial(contextvars.copy_context().run, run.task.function, **arguments)))
        return asyncio.shield(run.thread)

    async def _until_returned(self, thread: asyncio.Future[Any]) -> None:
        """Wait for a thread that goes on: it cannot be stopped, and uses the slot as long as it runs."""
        if thread.done():
            return
        log.warning("a plain function goes on past its time-out or cancellation; its slot stays taken until it returns")
        attempt = asyncio.current_task()
        assert attempt is not None, "attempts are tasks"
        self._waiting_for_thread.add(attempt)
        try:
            await asyncio.wait({thread})
        finally:
            self._waiting_for_thread.discard(attempt)
        thread.exception()  # too late to be the outcome; not retrieved, asyncio would log it

    async def _until_left(self, thread: asyncio.Future[Any]) -> None:
        """The same at the end of the attempt. A cancellation now means that the worker leaves without the thread."""
        try:
            await self._until_returned(thread)
        except asyncio.CancelledError:
            thread.cancel()  # the event loop may be closed when the function returns; a cancelled future does not call it then
            raise


def _is_from_outside(error: BaseException) -> bool:
    """Whether this ends the attempt from outside. A handler's own `sys.exit()` or CancelledError is a failure like any other."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return isinstance(error, (KeyboardInterrupt, GeneratorExit))
