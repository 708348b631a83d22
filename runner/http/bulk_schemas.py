"""Acts upon many jobs over HTTP: what a caller sends, and what is answered."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from runner import BulkAction, BulkStatus, Control, JobFilter, State
from runner.http.bodies import WHOLE, Body
from runner.http.forms import BUCKET, ERROR, ID_PREFIX, JOB_ID, REASON, SHORT_NAME, TAG, TASKS, OneLine
from runner.http.instants import Instant, utc

StateName = Literal["queued", "waiting", "scheduled", "running", "succeeded", "failed", "cancelled", "expired"]


class FilterBody(Body):
    """Which jobs: those for which all that is given is true."""

    state: Annotated[list[StateName], Field(max_length=8, description="their states; none: all that fit")] = Field(default_factory=list)
    reason: Annotated[
        Annotated[str, Field(**REASON)] | None, Field(description="why they are scheduled or wait, like retry, line or no worker")
    ] = None
    task: Annotated[Annotated[str, Field(**TASKS)] | None, Field(description="their task, or the beginning of names like billing.*")] = None
    limit: Annotated[Annotated[str, Field(**SHORT_NAME)] | None, Field(description="a limit that they need")] = None
    bucket: Annotated[Annotated[str, Field(**BUCKET)] | None, Field(description="a bucket that they need, like tenant/t7")] = None
    pool: Annotated[Annotated[str, Field(**SHORT_NAME)] | None, Field(description="the pool whose workers run them")] = None
    tag: Annotated[Annotated[str, Field(**TAG)] | None, Field(description="one of their tags")] = None
    error: Annotated[Annotated[str, Field(**ERROR)] | None, Field(description="the type of their error")] = None
    schedule: Annotated[Annotated[str, Field(**SHORT_NAME)] | None, Field(description="which schedule has made them")] = None
    batch: Annotated[Annotated[str, Field(**JOB_ID)] | None, Field(description="the batch they belong to")] = None
    id_prefix: Annotated[str, Field(description="how their ids begin", **ID_PREFIX)] = ""
    submitted_from: Annotated[Instant | None, Field(description="with a time zone, as all of these")] = None
    submitted_to: Instant | None = None
    ended_from: Instant | None = None
    ended_to: Instant | None = None

    def filter(self) -> JobFilter:
        """As the client takes it. Raises `ConfigurationError`."""
        given: dict[str, Any] = self.model_dump()
        return JobFilter(**{**given, "state": tuple(self.state)})


def _possible(action: BulkAction) -> Any:
    """What a filter for this action can ask for."""
    states = {"items": {"enum": [state.value for state in State if state in action.states]}}
    return {"properties": {"action": {"const": action.value}, "filter": {"properties": {"state": states}}}}


class BulkBody(Body):
    """What to do, and to which jobs."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [_possible(action) for action in BulkAction]})

    action: Annotated[
        Literal["cancel", "retry", "delete", "purge"],
        Field(description="purge: cancel what is not running, and delete it with what has ended"),
    ]
    filter: Annotated[FilterBody, Field(description="{} is every job")]
    reason: Annotated[OneLine, Field(max_length=Control.LONGEST_TEXT, description="why; written into the audit")] = ""
    id: Annotated[Annotated[str, Field(**JOB_ID)] | None, Field(description="an id of your own makes it safe to repeat the request")] = None


class ConfirmBody(Body):
    """To how many jobs it is to be done."""

    expected: Annotated[Annotated[int, Field(ge=0, le=10**9), WHOLE], Field(description="as many as were counted")]


class Bulk(BaseModel):
    """An act upon many jobs."""

    id: str
    action: str
    phase: Annotated[str, Field(description="counting, counted (it waits to be confirmed), acting, done, stopped or lapsed")]
    filter: Annotated[dict[str, Any], Field(description="as it was given")]
    by: str
    reason: str
    counted: Annotated[int, Field(description="jobs so far; all of them once it is counted")]
    done: int
    skipped: Annotated[int, Field(description="jobs it could not be done to")]
    why: Annotated[dict[str, int], Field(description="for what reason each of these was skipped, and how many")]
    began_at: datetime | None
    counted_at: datetime | None
    confirmed_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, status: BulkStatus) -> Self:
        return cls(
            **{name: getattr(status, name) for name in ("id", "by", "reason", "counted", "done", "skipped")},
            action=status.action.value,
            phase=status.phase.value,
            filter=dict(status.filter),
            why=dict(status.why),
            **{name: utc(getattr(status, name)) for name in ("began_at", "counted_at", "confirmed_at", "ended_at")},
        )


class BulkList(BaseModel):
    """Those that are open, and those that ended last."""

    bulks: list[Bulk]
