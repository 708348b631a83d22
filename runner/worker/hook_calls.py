"""HookCalls: calls the hooks that are told what became of jobs, beside the worker's own work. Whatever they do changes nothing."""

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Literal

from runner.client import Task
from runner.clock import monotonic_s
from runner.foreign import indented
from runner.jobs import (
    Attempt,
    BudgetWarning,
    DeadLetter,
    Ending,
    FailedAttempt,
    Finished,
    Hook,
    Hooks,
    JobContext,
    JobStatus,
    Outcome,
    State,
)
from runner.log_throttle import A_MINUTE_S, LogThrottle
from runner.store import Depth
from runner.traces import trace_of
from runner.worker.threads import DaemonThreads

log = logging.getLogger("runner")

_LONGEST_S = 5.0
_MOST_PENDING = 1_000
_MOST_THREADS = 4
_NO_END = frozenset({Ending.returned, Ending.amended})
_NO_FAILURE = frozenset({Ending.succeeded, Ending.cancelled})

Statuses = Callable[[Sequence[str], Depth], Awaitable[Sequence[JobStatus | None]]]
"""How jobs stand now, by their ids; None for one that is not known."""

Name = Literal["on_failure", "on_dead_letter", "on_finish", "on_budget"]


class HookCalls:
    """Of one worker. Async hooks run as tasks, plain ones in threads, each for some seconds; what is too much is dropped and counted."""

    def __init__(self, statuses: Statuses, tasks: Mapping[str, Task[..., Any]], of_app: Hooks) -> None:
        self._statuses = statuses
        self._tasks = tasks
        self._of_app = of_app
        self._pending: set[asyncio.Task[bool]] = set()
        self._ended: list[Outcome] = []
        self._is_looking = False
        self._threads = DaemonThreads()
        self._free_threads = asyncio.Semaphore(_MOST_THREADS)
        self._dropped = 0
        self._drops = LogThrottle(A_MINUTE_S)

    @property
    def is_telling(self) -> bool:
        """Whether a hook is under way, or its turn is about to come."""
        return bool(self._pending)

    def attempt_failed(self, attempt: Attempt, error: BaseException, retry_in_s: float | None) -> None:
        """An attempt of a task that is known here has failed. Called in its context."""
        hooks = self._hooks("on_failure", attempt.job.task)
        if hooks:
            self._tell(hooks, "on_failure", FailedAttempt(JobContext(attempt), error, retry_in_s), f"job {attempt.job.id}")

    def accepted(self, outcome: Outcome) -> None:
        """Redis has accepted an outcome. If anybody wants to know, Redis is asked how its job stands now."""
        task = outcome.job.task
        if not self._are_ends_told(task) or outcome.ending in _NO_END:
            return
        if self._hooks("on_finish", task) or outcome.ending not in _NO_FAILURE:
            self._ended.append(outcome)
            if not self._is_looking:
                self._is_looking = self._start(self._look(), "on_finish", f"job {outcome.job.id}")
                if not self._is_looking:
                    self._ended.clear()

    @property
    def tasks_with_ends(self) -> list[str]:
        """The tasks known here of which some hook wants to know how jobs end."""
        return [task for task in self._tasks if self._are_ends_told(task)]

    @property
    def is_busy(self) -> bool:
        """Whether more could be too much."""
        return len(self._pending) > _MOST_PENDING // 2

    def ended_otherwise(self, ids: Sequence[str]) -> None:
        """Redis has ended these jobs, by no attempt."""
        if ids:
            self._start(self._look_otherwise(ids), "on_finish", f"job {ids[0]}")

    @property
    def hears_of_budgets(self) -> bool:
        """Whether the app wants to be told of budgets."""
        return bool(self._of_app.on_budget)

    async def budget(self, warning: BudgetWarning) -> bool:
        """Tell the app that much of a budget is spent; whether none of its hooks has failed."""
        ended = [await self._guarded(self._call(hook, warning), "on_budget", f"bucket {warning.bucket}") for hook in self._of_app.on_budget]
        return all(ended)

    def budgets(self, warnings: Sequence[BudgetWarning]) -> None:
        """The same of several, beside what goes on."""
        for warning in warnings:
            self._tell(self._of_app.on_budget, "on_budget", warning, f"bucket {warning.bucket}")

    async def close(self, *, at_once: bool) -> None:
        """Wait a moment for what is under way; then, or at once, end it."""
        ends_s = monotonic_s() + (0.0 if at_once else _LONGEST_S)
        while self._pending and (left_s := ends_s - monotonic_s()) > 0:  # what Redis says of an end begins other calls
            await asyncio.wait(self._pending, timeout=left_s)
        pending = list(self._pending)
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending, timeout=1.0)
        self._threads.close()

    def _are_ends_told(self, task: str) -> bool:
        """Whether a hook wants to know how jobs of the task end. Most apps have none, and this is asked of each job."""
        known, of_app = self._tasks.get(task), self._of_app
        own = of_app if known is None else known.definition.hooks
        return bool(own.on_finish or own.on_dead_letter or of_app.on_finish or of_app.on_dead_letter)

    def _hooks(self, name: Name, task: str) -> Sequence[Hook]:
        of_app: list[Hook] = getattr(self._of_app, name)
        known = self._tasks.get(task)
        own: list[Hook] = [] if known is None else getattr(known.definition.hooks, name)
        return [*of_app, *own] if own else of_app

    async def _look(self) -> None:
        """Tell what became of the jobs whose outcomes were accepted, as Redis has them."""
        await asyncio.sleep(0)  # those of one delivery come together
        ended, self._ended, self._is_looking = self._ended, [], False
        failed = [outcome for outcome in ended if outcome.ending not in _NO_FAILURE]
        others = [outcome for outcome in ended if outcome.ending in _NO_FAILURE]
        for depth, part in ((Depth.status, failed), (Depth.state, others)):
            statuses = await self._statuses([outcome.job.id for outcome in part], depth) if part else []
            for outcome, status in zip(part, statuses, strict=True):
                if status is not None and status.state.is_final and status.attempt == outcome.job.attempt:
                    self._tell_end(status)

    async def _look_otherwise(self, ids: Sequence[str]) -> None:
        for status in await self._statuses(ids, Depth.status):
            if status is not None and status.state.is_final and status.task in self._tasks:
                self._tell_end(status, by_attempt=False)

    def _tell_end(self, status: JobStatus, *, by_attempt: bool = True) -> None:
        if status.state is State.failed and status.error is not None:
            letter = DeadLetter(status.id, status.task, status.error, status.attempt)
            self._tell(self._hooks("on_dead_letter", status.task), "on_dead_letter", letter, f"job {status.id}")
        finished_at, started_at, submitted_at = (at or 0.0 for at in (status.finished_at, status.started_at, status.submitted_at))
        if not by_attempt:
            started_at = finished_at
        ran_s, waited_s = max(finished_at - started_at, 0.0), max(started_at - submitted_at, 0.0)
        value = Finished(status.id, status.task, status.state, status.attempt, ran_s, waited_s)
        self._tell(self._hooks("on_finish", status.task), "on_finish", value, f"job {status.id}")

    def _tell(self, hooks: Sequence[Hook], name: Name, value: object, about: str) -> None:
        for hook in hooks:
            self._start(self._call(hook, value), name, about)

    def _start(self, call: Coroutine[Any, Any, None], name: Name, about: str) -> bool:
        """Whether there was room for it."""
        if len(self._pending) >= _MOST_PENDING:
            call.close()
            self._dropped += 1
            if self._drops.is_due(monotonic_s()):
                log.warning("%d calls of hooks were dropped, as %d are under way: make them faster", self._dropped, _MOST_PENDING)
            return False
        task = asyncio.create_task(self._guarded(call, name, about), name=f"hook {name}")
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        return True

    async def _guarded(self, call: Coroutine[Any, Any, None], name: Name, about: str) -> bool:
        """Whether it has ended well."""
        try:
            async with asyncio.timeout(_LONGEST_S):
                await call
        except BaseException as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            log.error("hook %s of %s failed:\n%s", name, about, indented(trace_of(error)))
            return False
        return True

    async def _call(self, hook: Hook, value: object) -> None:
        if iscoroutinefunction(hook):
            await hook(value)
            return
        await self._free_threads.acquire()
        try:
            future = self._threads.run(partial(contextvars.copy_context().run, hook, value))
        except BaseException:
            self._free_threads.release()
            raise
        running = asyncio.wrap_future(future)
        running.add_done_callback(lambda _: self._free_threads.release())  # also if nobody waits for it any more
        returned = await asyncio.shield(running)
        if isawaitable(returned):
            await returned
