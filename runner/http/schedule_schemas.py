"""What requests say of schedules, and what the answers tell."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from runner import JobOptions, ScheduleStatus
from runner.http.bodies import WHOLE, Body
from runner.http.forms import (
    COST,
    DEADLINE_S,
    GRACE_S,
    INTERVAL_S,
    JITTER_S,
    MAX_WAIT_S,
    METADATA,
    MOST_LINE,
    MOST_TAGS,
    NAME_ON_A_LINE,
    POOL,
    SHORT_NAME,
    TAG,
    OneLine,
)
from runner.http.instants import Instant, utc
from runner.http.unique_body import UniqueBody, asked_of


class ScheduleJobs(Body):
    """Options of its jobs, as those of a submission."""

    priority: Literal["high", "normal", "low"] | None = None
    max_wait: Annotated[float, Field(**MAX_WAIT_S)] | None = None
    deadline: Annotated[float, Field(**DEADLINE_S)] | None = None
    cost: dict[str, Annotated[int, Field(**COST), WHOLE]] | None = None
    pool: Annotated[str, Field(**POOL)] | None = None
    unique: Annotated[
        bool | UniqueBody | None, Field(description="one job at a time of those that are alike; false: although the task is unique")
    ] = None
    tags: Annotated[list[Annotated[str, Field(**TAG)]], Field(max_length=MOST_TAGS)] | None = None
    metadata: Annotated[dict[str, Any], Field(**METADATA)] | None = None

    def given(self) -> JobOptions:
        """As `ScheduleControl.add` takes them."""
        return JobOptions(**self.model_dump(exclude_unset=True, exclude={"unique"}), unique=asked_of(self.unique))


class ScheduleBody(Body):
    """A schedule: cron or every, and how it runs. Times are in seconds."""

    task: Annotated[str, Field(**NAME_ON_A_LINE)]
    args: Annotated[dict[str, Any], Field(default_factory=dict)]
    cron: Annotated[str | None, Field(description="five fields, like 0 6 * * 1-5, or @daily")] = None
    every: Annotated[Annotated[float, Field(**INTERVAL_S)] | None, Field(description="seconds, 1 at least")] = None
    tz: Annotated[str, Field(description="time zone of cron")] = "UTC"
    start: Annotated[Instant | None, Field(description="the first instant it can have, with a time zone")] = None
    end: Annotated[Instant | None, Field(description="the last one")] = None
    missed: Annotated[Literal["latest", "all", "skip"], Field(description="of instants that nobody fired in time, which run")] = "latest"
    grace: Annotated[Annotated[float, Field(**GRACE_S)], Field(description="how late an instant may run with missed=skip")] = 60.0
    overlap: Annotated[Literal["skip", "queue", "allow"], Field(description="while the run before has not ended")] = "skip"
    jitter: Annotated[Annotated[float, Field(**JITTER_S)], Field(description="by how much each run is later at most")] = 0.0
    options: ScheduleJobs = ScheduleJobs()

    def given(self) -> dict[str, Any]:
        """As `ScheduleControl.add` takes it, but for name, task and arguments."""
        fields = {name: getattr(self, name) for name in _GIVEN}
        return {**fields, "options": self.options.given()}


_GIVEN = ("cron", "every", "tz", "start", "end", "missed", "grace", "overlap", "jitter")


class NamedScheduleBody(ScheduleBody):
    """The same with its name."""

    name: Annotated[str, Field(description="1 to 64 letters, digits, '.', '_' or '-'", **SHORT_NAME)]


class SchedulePauseBody(Body):
    """Why it is paused."""

    reason: Annotated[OneLine, Field(max_length=MOST_LINE)] = ""


class Counts(BaseModel):
    """What became of its instants."""

    made: int
    missed: Annotated[int, Field(description="nobody fired them in time")]
    skipped: Annotated[int, Field(description="the run before had not ended")]
    refused: Annotated[int, Field(description="the task was unknown, or took no such arguments, or another job had the id")]


class SchedulePaused(BaseModel):
    """A pause: since when, by whom and why."""

    at: datetime
    by: str
    reason: str


class Schedule(BaseModel):
    """A schedule as it stands."""

    name: str
    task: str | None
    args: Annotated[dict[str, Any] | None, Field(description="null also for a key that sees no arguments")]
    cron: str | None = None
    every: float | None = None
    tz: str = "UTC"
    start: str | None = None
    end: str | None = None
    missed: str = "latest"
    grace: float = 60.0
    overlap: str = "skip"
    jitter: float = 0.0
    options: Annotated[dict[str, Any] | None, Field(description="of its jobs; without metadata for a key that sees no arguments")]
    in_code: Annotated[bool, Field(description="the code declares it: it is changed there")]
    state: Annotated[Literal["active", "paused", "dormant", "ended"], Field(description="dormant: no live worker declares it")]
    next_at: datetime | None
    coming: Annotated[list[datetime] | None, Field(description="the next instants, where they are asked for and told")] = None
    last_at: Annotated[datetime | None, Field(description="the latest instant that is settled")]
    last_job: str | None
    last_state: Annotated[str | None, Field(description="how the latest run that has ended ended")]
    last_ended_at: datetime | None
    queued_at: Annotated[datetime | None, Field(description="the instant whose run waits for the one before it")]
    counts: Counts
    why: Annotated[str, Field(description="of the latest instants that were not made")]
    paused: SchedulePaused | None
    fault: Annotated[str | None, Field(description="what is wrong with its entry")]

    @classmethod
    def of(cls, status: ScheduleStatus, *, shows_args: bool) -> "Schedule":
        document = status.document()
        document |= {name: utc(document[name]) for name in ("next_at", "last_at", "last_ended_at", "queued_at")}
        document["paused"] = document["paused"] and document["paused"] | {"at": utc(document["paused"]["at"])}
        return cls(**document if shows_args else _without_args(document))


def _without_args(document: dict[str, Any]) -> dict[str, Any]:
    options = {name: value for name, value in (document["options"] or {}).items() if name != "metadata"}
    return {**document, "args": None, "options": options if document["options"] is not None else None}


class Schedules(BaseModel):
    """Every schedule, by name."""

    schedules: list[Schedule]


class Triggered(BaseModel):
    """The job of a run by hand."""

    id: str
    state: str
