"""Declared schedules: those that the code of an app declares."""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from runner.client.schedule_options import ScheduleOptions
from runner.client.task import Task
from runner.errors import ConfigurationError, InvalidSchedule, SubmissionRefused
from runner.foreign import shown
from runner.jobs import JobOptions, ScheduleSpec

F = TypeVar("F", bound=Callable[..., Any] | Task[..., Any])


class DeclaredSchedules(dict[str, ScheduleSpec]):
    """The schedules of one app by name. What decorates a function that is no task yet is declared once it is one."""

    def __init__(self, queue: str) -> None:
        super().__init__()
        self._queue = queue
        self._unclaimed: list[tuple[Callable[..., Any], ScheduleOptions, Mapping[str, Any] | None, str | None]] = []

    def decorate(self, target: F, options: ScheduleOptions, args: Mapping[str, Any] | None, name: str | None) -> F:
        """Declare a schedule of a task, or of a function that becomes one."""
        if isinstance(target, Task):
            self._declare(target, options, args, name)
        elif callable(target):
            self._unclaimed.append((target, options, args, name))
        else:
            raise ConfigurationError(f"a schedule decorates {shown(target, 80)}: put it above or below @jobs.task")
        return target

    def claim(self, function: Callable[..., Any], task: Task[..., Any]) -> None:
        """The function is a task now."""
        mine = [each for each in self._unclaimed if each[0] is function]
        self._unclaimed = [each for each in self._unclaimed if each[0] is not function]
        for _, options, args, name in reversed(mine):
            self._declare(task, options, args, name)

    def bodies(self) -> dict[str, str]:
        """What is kept of each."""
        return {name: spec.to_json() for name, spec in list(self.items())}

    def check(self) -> None:
        """Raises `ConfigurationError` for a function that has become no task."""
        if self._unclaimed:
            raise ConfigurationError(
                f"queue {self._queue!r}: a schedule decorates {self._unclaimed[0][0]}, which is no task: add @jobs.task"
            )

    def _declare(self, task: Task[..., Any], options: ScheduleOptions, args: Mapping[str, Any] | None, name: str | None) -> None:
        name = task.name if name is None else name
        if facts := task.definition.calls.by_code_only:
            raise InvalidSchedule(f"schedule {name!r}: task {task.name!r} can be submitted by code only: {facts[0]}")
        spec = options.spec(name, task.name, args)
        try:
            job = task.definition.prepare((), spec.args, JobOptions(id=spec.job_id(0), **spec.options))
        except SubmissionRefused as error:
            raise InvalidSchedule(f"schedule {name!r}: its jobs would be refused: {error}") from error
        if name in self:
            raise ConfigurationError(f"schedule {name!r} is declared twice on queue {self._queue!r}: give name= to one")
        self[name] = options.spec(name, task.name, json.loads(job.args))
