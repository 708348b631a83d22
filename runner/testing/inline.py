"""run: one call of a task as a worker would run it, at once and without a server: its arguments and its result go through JSON."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from typing import Any, Generic, ParamSpec, TypeVar, cast

from runner.client import Task, app_of, with_metadata
from runner.clock import MICROSECONDS, wall_us
from runner.errors import ConfigurationError, JobFailed
from runner.jobs import Ending, JobError, JobStatus, Outcome, Progress, StartedJob, State, Submission, Ties
from runner.settings import load_settings
from runner.testing.heard import Heard
from runner.testing.lifespans import entered
from runner.worker import Executor, HookCalls

P = ParamSpec("P")
R = TypeVar("R")

_MOST_THROTTLED = 100
"""A handler that goes on saying RateLimited is not asked for ever."""


@dataclass(slots=True)
class Ran(Generic[R]):
    """What became of a call.

    attempts: how often the handler was tried. delays: the seconds after which a worker would have tried again, one for each retry.
    throttled: the seconds for which each `RateLimited` would have frozen its limit; after 100 of them the call is left `waiting`. settled: tokens really used, by bucket: "llm", "tenant/t7".
    progress: what the handler has said of it, of all attempts. log: the lines that your code has logged in them, as records of `logging`.
    error: why the last attempt failed.
    """

    state: State
    attempts: int = 0
    delays: list[float] = field(default_factory=list)
    throttled: list[float] = field(default_factory=list)
    settled: dict[str, int] = field(default_factory=dict)
    progress: list[Progress] = field(default_factory=list)
    log: list[logging.LogRecord] = field(default_factory=list)
    error: JobError | None = None
    _result: R | None = None

    @property
    def result(self) -> R:
        """What the handler returned, as a caller gets it. Raises `JobFailed` with the handler's traceback if it did not return."""
        if self.state is State.succeeded:
            return cast("R", self._result)
        error = self.error or JobError("error", "")
        raise JobFailed(f"the job {self.state} after {self.attempts} attempts: {error.type}: {error.message}\n{error.traceback}".rstrip())


async def run(task: Task[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Ran[R]:
    """Run a call as a worker does: checked, encoded, decoded, within its time-out, by its policy of retries, which follow at once.

    Limits are not asked: that is what `TestQueue` is for. Give cost, which limits without a fixed one need, by `task.with_options(cost=...)`.
    Raises `SubmissionRefused` for a call that could not be submitted.
    """
    app, definition = app_of(task), task.definition
    submission = with_metadata(task.prepare(*args, **kwargs), definition.surroundings.hooks, definition.hooks)
    async with AsyncExitStack() as stack:
        context = copy_context() if app is None else await stack.enter_async_context(entered(app))
        return await asyncio.create_task(_in_worker(task, "" if app is None else app.queue, submission), context=context)


def run_blocking(task: Task[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Ran[R]:
    """The same for a plain test: `ran = blocking.run(charge, "o-17", tenant_id="t7")`."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(run(task, *args, **kwargs))
    raise ConfigurationError("an event loop runs in this test: use `await run(...)` of runner.testing")


async def _in_worker(task: Task[..., R], queue: str, submission: Submission[Any]) -> Ran[R]:
    """What a worker has around the attempts, in the context of its app's state."""
    ended: list[JobStatus] = []

    async def statuses(*_: object) -> list[JobStatus | None]:
        return [*ended]

    tasks = {task.name: task}
    hooks = HookCalls(statuses, tasks, task.definition.surroundings.hooks)
    executor = Executor(tasks, load_settings(), queue, hooks)
    heard = Heard(submission.id)
    executor.ties = Ties(heard.note)
    try:
        submitted_at = wall_us() / MICROSECONDS
        with heard:
            ran, last, began_at = await _attempts(executor, submission, task.definition.arguments.result.read)
        ran.progress, ran.log = heard.progress, heard.log
        if ran.state.is_final:
            status = JobStatus(submission.id, task.name, ran.state, attempt=ran.attempts, error=ran.error)
            ended.append(replace(status, submitted_at=submitted_at, started_at=began_at, finished_at=wall_us() / MICROSECONDS))
            hooks.accepted(last)
        return ran
    finally:
        await hooks.close(at_once=False)
        await executor.values.close()
        executor.close()


async def _attempts(executor: Executor, submission: Submission[Any], read: Callable[[Any], Any]) -> tuple[Ran[Any], Outcome, float]:
    """What became of them, and the last of them: what it came to, and when it began, in seconds since 1970."""
    ran = Ran[Any](State.running)
    failures = 0
    while True:
        ran.attempts += 1
        began_at = wall_us() / MICROSECONDS
        outcome = await _attempt(executor.execute, submission, ran.attempts, failures)
        for used in filter(None, outcome.settled.split(";")):
            bucket, _, tokens = used.rpartition("=")
            ran.settled[bucket] = int(tokens)
        if outcome.ending is Ending.succeeded:
            ran.state, ran._result, ran.error = State.succeeded, read(json.loads(outcome.payload)), None  # noqa: SLF001 - made here
            break
        ran.error = JobError.of(json.loads(outcome.payload or b"{}"))
        if outcome.ending is Ending.retry:
            failures += 1
            ran.delays.append(outcome.delay_us / MICROSECONDS)
        elif outcome.ending is Ending.throttled and (not outcome.most_throttled or len(ran.throttled) < outcome.most_throttled):
            ran.throttled.append(abs(outcome.delay_us) / MICROSECONDS)  # negative: the provider named no time
            if len(ran.throttled) == _MOST_THROTTLED:
                ran.state = State.waiting
                break
        else:
            ran.state = State.failed
            break
    return ran, outcome, began_at


async def _attempt(
    execute: Callable[[StartedJob, Callable[[Outcome], None]], Awaitable[None]], submission: Submission[Any], number: int, failures: int
) -> Outcome:
    """One attempt, in a task of its own as a worker's."""
    job = StartedJob(
        submission.priority,
        b"1-0",
        submission.id,
        submission.task,
        submission.args,
        number,
        failures,
        submission.limits,
        submission.spec,
        metadata=submission.metadata.encode(),
    )
    outcomes: list[Outcome] = []

    async def attempt() -> None:
        await execute(job, outcomes.append)

    await asyncio.create_task(attempt())
    return outcomes[0]
