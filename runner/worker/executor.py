"""Executor: runs one attempt and hands over its outcome. It never talks to Redis."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from runner.client import Task
from runner.clock import MICROSECONDS
from runner.deadlines import Deadlines
from runner.errors import InvalidArguments
from runner.foreign import kind_of, text_of
from runner.jobs import Attempt, Outcome, StartedJob, TaskDefinition, Ties, enter
from runner.settings import Settings
from runner.worker.child_call import ChildCall
from runner.worker.child_pool import NoChildren
from runner.worker.hook_calls import HookCalls
from runner.worker.lateness import Lateness
from runner.worker.needs_check import checked_needs
from runner.worker.outcomes import Outcomes
from runner.worker.ran import PastDeadline, Raised, Ran, Refused, Returned, TimedOut, Unreadable
from runner.worker.surrounded import Surrounded
from runner.worker.threads import DaemonThreads, NoThread, ThreadCall
from runner.worker.worker_values import WorkerValues

log = logging.getLogger("runner")

_MOST_UNSERVED = 100
"""Tasks of other versions that claims are told of: enough for a deploy, and few to compare with."""


class Executor:
    """The tasks of an app, ready to run. Plain functions run in threads, at most one for each slot, or in children if there are any."""

    def __init__(
        self,
        tasks: Mapping[str, Task[..., Any]],
        settings: Settings,
        queue: str = "",
        hooks: HookCalls | None = None,
        children: NoChildren | None = None,
    ) -> None:
        self._tasks = tasks
        self.queue = queue
        self.children = children or NoChildren()
        self._outcomes = Outcomes(settings, None if hooks is None else hooks.attempt_failed)
        self.hooks = hooks
        self._threads = DaemonThreads()
        self._deadlines = Deadlines()
        self._waiting_for_thread: set[asyncio.Task[object]] = set()
        self._unserved: dict[str, None] = {}
        self._known: dict[str, Surrounded] = {}
        self.values = WorkerValues()
        """The dependencies that are per worker."""
        self.ties = Ties()
        """What ties attempts to this worker, in its present life."""
        self.lateness: Lateness | None = None
        """Notes how late attempts begin, if a limit of the app allows for a jitter."""
        self.warns = False
        """Whether a limit of the app warns when much of it is spent."""

    @property
    def overdue(self) -> set[asyncio.Task[object]]:
        """The tasks of attempts that go on past their time-out, or whose thread goes on past a cancellation."""
        return self._deadlines.overdue | self._waiting_for_thread

    @property
    def accepted(self) -> Callable[[Outcome], None] | None:
        """Who is to be told of outcomes that Redis has accepted; None if nobody wants to know how jobs end, as in most apps."""
        return self.hooks.accepted if self.hooks is not None and self.hooks.tasks_with_ends else None

    @property
    def unserved(self) -> str:
        """The tasks that were met and are not here: "" if there are none, else each on a line, between two line ends."""
        names = [name for name in self._unserved if name not in self._tasks]
        return "\n".join(("", *names, "")) if names else ""

    async def execute(
        self,
        job: StartedJob,
        record: Callable[[Outcome], None],
        was_stopped: Callable[[], bool] = lambda: True,
        own: asyncio.Task[None] | None = None,
    ) -> None:
        """Run the attempt and hand its outcome to `record` once. Returns when the slot can be used again.

        was_stopped: whether a cancellation is the worker's. That is raised again, and nothing is recorded unless the task's time-out was
        over before. own: the attempt's task, which is the one that calls. Raises `NoThread`, having recorded nothing.
        """
        attempt = enter(job, self.queue, self.ties)
        registered = self._tasks.get(job.task)
        if registered is None:
            if len(self._unserved) < _MOST_UNSERVED and "\n" not in job.task:
                self._unserved[job.task] = None
            record(self._outcomes.unknown(attempt))
            return
        task = attempt.task = registered.definition
        own = own or asyncio.current_task()
        try:
            if task.is_async:
                function = task.function if task.is_bare else partial(self._surrounded(job.task, task).on_loop, attempt)
                record(self._outcomes.of(attempt, task, await self._run(attempt, task, function, was_stopped, own)))
            elif job.task in self.children.tasks:
                call = ChildCall(self.children, attempt, task)
                function = call if task.is_bare else self._surrounded(job.task, task).in_middleware(attempt, call)
                record(self._outcomes.of(attempt, task, await self._run(attempt, task, function, was_stopped, own)))
            else:
                await self._execute_in_thread(attempt, task, record, was_stopped, own)
        except GeneratorExit as error:
            # A future that the handler awaits can carry one: asyncio throws it, and that closes each coroutine down to the handler's.
            if own is not current_task():
                raise
            record(self._outcomes.of(attempt, task, Raised(error)))

    def close(self) -> None:
        """Let the threads go; a busy one ends when its function returns."""
        self._threads.close()

    async def _execute_in_thread(
        self,
        attempt: Attempt,
        task: TaskDefinition,
        record: Callable[[Outcome], None],
        was_stopped: Callable[[], bool],
        own: asyncio.Task[None] | None,
    ) -> None:
        """The same for a plain function, whose thread cannot be stopped and uses the slot as long as it runs."""
        call, function = self._thread_call(attempt, task)
        try:
            outcome = self._outcomes.of(attempt, task, await self._run(attempt, task, function, was_stopped, own))
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

    def _thread_call(self, attempt: Attempt, task: TaskDefinition) -> tuple[ThreadCall, Callable[..., Awaitable[Any]]]:
        """The call of a plain function in a thread, and the same with what is around it."""
        if task.is_bare:
            bare = ThreadCall(self._threads, task.function)
            return bare, bare
        in_thread = self._surrounded(attempt.job.task, task).in_thread(attempt)
        call = ThreadCall(self._threads, in_thread.function())
        return call, in_thread.around_thread(call, self._until_returned)

    def _surrounded(self, name: str, task: TaskDefinition) -> Surrounded:
        """What is around a task's handler. It is put together when it runs first: until then its app may be added to."""
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = Surrounded(task, self.values)
        return known

    async def _run(
        self,
        attempt: Attempt,
        task: TaskDefinition,
        function: Callable[..., Awaitable[Any]],
        was_stopped: Callable[[], bool],
        own: asyncio.Task[None] | None,
    ) -> Ran:
        """Run the handler. Raises only what ends the attempt from outside, and `NoThread`."""
        try:
            arguments = task.arguments.decode(attempt.job.args)
        except InvalidArguments as error:
            refused = Refused(kind_of(error), text_of(error))
            # Another version of the task was asked: its workers may read what this one cannot.
            return Unreadable(refused) if attempt.job.spec.partition(" ")[0] not in ("", task.calls.digest) else refused
        except BaseException as error:  # noqa: BLE001 - validators are the handler's code, and nothing was awaited: no cancellation is one
            text = f"task {task.spec.name!r}: its arguments cannot be read: {kind_of(error)}: {text_of(error)}"
            return Refused(InvalidArguments.__name__, text)
        if attempt.job.spec != task.calls.digest and task.limits:
            amended = checked_needs(attempt.job, task, arguments)
            if amended is not None:
                return amended
        timeout_s, ends_at_deadline = task.policy.timeout_s, False
        if attempt.job.deadline_us:
            timeout_s, ends_at_deadline = time_left_s(timeout_s, attempt.job.deadline_us)
        deadline = None if timeout_s is None else self._deadlines.within(timeout_s, own)
        try:
            if deadline is None:
                return Returned(await function(**arguments))
            with deadline:
                return Returned(await function(**arguments))
        except NoThread:
            raise
        except BaseException as error:
            if _is_from_outside(error, own) and (was_stopped() or type(error) is GeneratorExit):
                raise
            if timeout_s is not None and deadline is not None and deadline.expired and type(error) is TimeoutError:
                return PastDeadline(error) if ends_at_deadline else TimedOut(timeout_s, error)
            return Raised(error)

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


def time_left_s(timeout_s: float | None, deadline_us: int) -> tuple[float | None, bool]:
    """Seconds that an attempt may take, None for no end; whether that is because of its job's deadline. deadline_us: 0 if it has none."""
    left_s = deadline_us / MICROSECONDS
    ends_at_deadline = deadline_us > 0 and (timeout_s is None or left_s < timeout_s)
    return (left_s, True) if ends_at_deadline else (timeout_s, False)


def _is_from_outside(error: BaseException, own: asyncio.Task[None] | None) -> bool:
    """Whether this ends the attempt from outside. A handler's own `sys.exit()` or CancelledError is a failure like any other.

    `own`: the attempt's task. What closes its coroutine is not a step of it.
    """
    if issubclass(type(error), asyncio.CancelledError):
        return own is None or own.cancelling() > 0
    return issubclass(type(error), GeneratorExit) and own is not current_task()


def current_task() -> asyncio.Task[object] | None:
    """The task whose step this is; None if it is none, as when what is left of a loop is closed."""
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs
        return None
