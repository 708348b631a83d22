"""ScheduleOptions: how a schedule is declared, in code and at run time."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from runner.jobs import JobOptions, ScheduleSpec, make_schedule


class ScheduleOptions(NamedTuple):
    """How a schedule is declared, see `ScheduleControl.add`."""

    cron: str | None = None
    every: float | None = None
    tz: str = "UTC"
    start: datetime | None = None
    end: datetime | None = None
    missed: str = "latest"
    grace: float = 60.0
    overlap: str = "skip"
    jitter: float = 0.0
    options: JobOptions | None = None

    def spec(self, name: object, task: str, args: Mapping[str, Any] | None) -> ScheduleSpec:
        """The schedule. Raises `InvalidSchedule`."""
        given = self._asdict()
        options = given.pop("options")
        return make_schedule(name, task, args, **given, options=None if options is None else options._asdict())
