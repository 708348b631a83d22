"""Hooks: functions that are told what becomes of jobs, and the values they get. An error in one changes nothing."""

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from runner.clock import MICROSECONDS
from runner.errors import ConfigurationError
from runner.foreign import shown
from runner.jobs.job import Priority, State
from runner.jobs.job_error import JobError
from runner.jobs.job_options import JobOptions
from runner.jobs.submission import Submission
from runner.limits import Unit, limit_name, part_in_words, pool_of


class NewJob:
    """A job that is about to be sent. A hook adds to `metadata`, JSON by name, which begins as what its submission gave it; see `JobContext.metadata`."""

    __slots__ = ("_job", "metadata")

    def __init__(self, job: Submission[Any], metadata: dict[str, Any]) -> None:
        self._job = job
        self.metadata = metadata

    @property
    def id(self) -> str:
        """The job's id."""
        return self._job.id

    @property
    def task(self) -> str:
        """The name of its task."""
        return self._job.task

    @property
    def args(self) -> dict[str, Any]:
        """Its arguments by name, as they are sent: JSON. A new dictionary each time."""
        args: dict[str, Any] = json.loads(self._job.args)
        return args

    @property
    def options(self) -> JobOptions:
        """Its id, priority, delay, max_wait, deadline and pool. A start at an instant is not among them."""
        job = self._job
        delay, max_wait, deadline = (us / MICROSECONDS or None for us in (max(job.delay_us, 0), job.max_wait_us, job.deadline_us))
        priority: Any = Priority(job.priority).name
        return JobOptions(id=job.id, priority=priority, delay=delay, max_wait=max_wait, deadline=deadline, pool=pool_of(job.line))


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """An attempt that has failed: not one that was throttled, cancelled or given back.

    job: its context. error: what the handler raised; what stands for it, if the handler did not run or its result was refused.
    retry_in: seconds until the next attempt, None if there is none.
    """

    job: Any
    error: BaseException
    retry_in: float | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A job that has failed for good, as Redis has recorded it. attempts: how many it had."""

    id: str
    task: str
    error: JobError
    attempts: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A job that has ended in a final state, as Redis has recorded it.

    attempt: the number of its last attempt, 0 without any. ran_s, waited_s: seconds of that attempt, and from the submission to its start; of a
    job that ended without an outcome of its attempt 0, and from the submission to its end.
    """

    id: str
    task: str
    state: State
    attempt: int
    ran_s: float
    waited_s: float


@dataclass(frozen=True, slots=True)
class BudgetWarning:
    """So much of a budget is spent: a `share` of its `capacity`, in this period.

    id: the same each time it is told. bucket: the limit's name, and of one with a key "name/key". spent, capacity: tokens, when it was noticed;
    `unit` says what they are, None for a quota without one. begins_us, ends_us: the period, µs since 1970. at_us: when it was noticed.
    """

    id: str
    bucket: str
    share: float
    spent: int
    capacity: int
    unit: Unit | None
    begins_us: int
    ends_us: int
    at_us: int

    @property
    def limit(self) -> str:
        """The name of the limit."""
        return limit_name(self.bucket)

    @property
    def key(self) -> str | None:
        """The key, as it is in the bucket's name; None for a limit without one."""
        return self.bucket.partition("/")[2] or None

    @property
    def begins(self) -> datetime:
        """When the period began."""
        return datetime.fromtimestamp(self.begins_us / MICROSECONDS, UTC)

    @property
    def ends(self) -> datetime:
        """When the next period begins."""
        return datetime.fromtimestamp(self.ends_us / MICROSECONDS, UTC)

    def __str__(self) -> str:
        spent = part_in_words(self.spent, self.capacity, self.unit)
        return (
            f"{self.bucket}: {spent} are spent, {self.spent / self.capacity:.0%}; the next period begins on {self.ends:%Y-%m-%d %H:%M} UTC"
        )


Hook = Callable[[Any], object]


class Hooks:
    """Those of an app, or of one task."""

    __slots__ = ("on_budget", "on_dead_letter", "on_failure", "on_finish", "on_submit")

    def __init__(self) -> None:
        self.on_submit: list[Hook] = []
        self.on_failure: list[Hook] = []
        self.on_dead_letter: list[Hook] = []
        self.on_finish: list[Hook] = []
        self.on_budget: list[Hook] = []


def checked_hook(name: str, hook: Any) -> Hook:
    """The hook. Raises `ConfigurationError` for what cannot be called, and for an async `on_submit`."""
    if not callable(hook) or inspect.isclass(hook):
        raise ConfigurationError(f"{name} is given {shown(hook, 80)}: give a function of one parameter")
    if name == "on_submit" and inspect.iscoroutinefunction(hook):
        raise ConfigurationError(f"on_submit is given {shown(hook, 80)}, which is async: plain code submits too, so give a plain function")
    function: Hook = hook
    return function
