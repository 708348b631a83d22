"""Scheduling: how the code of an app says when a task is to run by itself. `Runner` is one."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from runner.client.declared_schedules import DeclaredSchedules
from runner.client.schedule_options import ScheduleOptions
from runner.client.task import Task
from runner.jobs import JobOptions, Missed, Overlap

F = TypeVar("F", bound=Callable[..., Any] | Task[..., Any])


class Scheduling:
    """An app whose tasks can have schedules: above or below `@jobs.task`, and more than one of a task, each with a `name`."""

    _schedules: DeclaredSchedules

    def cron(
        self,
        expression: str,
        *,
        args: Mapping[str, Any] | None = None,
        name: str | None = None,
        tz: str = "UTC",
        start: datetime | None = None,
        end: datetime | None = None,
        missed: Missed = "latest",
        grace: float = 60.0,
        overlap: Overlap = "skip",
        jitter: float = 0.0,
        options: JobOptions | None = None,
    ) -> Callable[[F], F]:
        """Run a task at the instants of a cron expression of five fields, in the time zone `tz`; see `ScheduleControl.add`.

        args: its arguments by name. name: of the schedule, that of the task if it is left out. Raises `ConfigurationError`.
        """
        given = ScheduleOptions(expression, None, tz, start, end, missed, grace, overlap, jitter, options)
        return lambda target: self._schedules.decorate(target, given, args, name)

    def every(
        self,
        seconds: float,
        *,
        args: Mapping[str, Any] | None = None,
        name: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        missed: Missed = "latest",
        grace: float = 60.0,
        overlap: Overlap = "skip",
        jitter: float = 0.0,
        options: JobOptions | None = None,
    ) -> Callable[[F], F]:
        """Run a task every so many seconds, from `start` on, or from the instant at which the queue first knew the schedule; see `cron`."""
        given = ScheduleOptions(None, seconds, "UTC", start, end, missed, grace, overlap, jitter, options)
        return lambda target: self._schedules.decorate(target, given, args, name)


def schedules_of(app: Scheduling) -> DeclaredSchedules:
    """Those that the code of an app declares, for the other rooms of this library."""
    return app._schedules  # noqa: SLF001 - private to users, who have the decorators
