"""Declared schedules: those that the code of an app declares, and how they come into the queue under the rule of limits."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from runner.client.schedules import ScheduleOptions, put_of
from runner.client.task import Task
from runner.errors import ConfigurationError, InvalidSchedule, SubmissionRefused
from runner.foreign import shown
from runner.jobs import JobOptions, ScheduleSpec
from runner.store import Change, KnownSchedule, Role, ScheduleEntry, Schedules

F = TypeVar("F", bound=Callable[..., Any] | Task[..., Any])
_MOST_TRIES = 100

Outdone = tuple[str, str, str]


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


async def declare(store: Schedules, specs: Sequence[ScheduleSpec], role: Role, revision: int, since_us: int) -> list[Outdone]:
    """Put these into the queue, as far as no other declaration stands against them; those against which one does. Raises `StoreUnavailable`."""
    outdone: list[Outdone] = []
    left = {spec.name: spec for spec in specs}
    for _ in range(_MOST_TRIES):
        if not left:
            break
        now_us, found = await store.known_schedules(list(left))
        for known in found:
            spec = left[known.name]
            by, change = _change(spec, known, now_us, (role, revision, since_us))
            if by is not None:
                outdone.append(("schedule", spec.name, by))
            if change is None or await store.change_schedule(change):
                del left[spec.name]
    return outdone


def _change(spec: ScheduleSpec, known: KnownSchedule, now_us: int, mine: tuple[Role, int, int]) -> tuple[str | None, Change | None]:
    """By what another declaration wins, and what is to be written."""
    role, revision, since_us = mine
    body, entry = spec.to_json(), known.entry
    marks: dict[str, Any] = {"in_code": True, "role": role, "revision": revision, "since_us": since_us}
    if entry is None or not entry.version:
        return None, put_of(spec, body, known, now_us)._replace(**marks)
    if not entry.in_code:
        return "run time", None
    if known.status is not None and known.status.state == "dormant":
        entry = entry._replace(role=role.value)  # who declares it no more stands against nobody who does
    by = _winner_over(entry, role, revision, since_us)
    if entry.body == body:
        is_mine = (entry.role, entry.revision, entry.since_us) == (role.value, revision, since_us)
        own = Change(spec.name, "own", entry.version, body=body)._replace(**marks)
        return None, None if by is not None or is_mine else own
    if by is not None:
        return by, None
    return None, put_of(spec, body, known, now_us)._replace(**marks)


def _winner_over(entry: ScheduleEntry, role: Role, revision: int, since_us: int) -> str | None:
    """By what that declaration wins over one of ours; None if ours does. As publish.lua says it of limits."""
    if entry.role != role.value:
        return "worker" if entry.role == Role.worker.value else None
    if entry.revision != revision:
        return "revision" if entry.revision > revision else None
    return "start" if entry.since_us > since_us else None
