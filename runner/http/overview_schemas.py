"""The overview over HTTP: pydantic models, from which OpenAPI is made, and what the service adds to it of its caller."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field

from runner import LimitState, Overview, Principal, Scope
from runner.http.library_version import VERSION
from runner.http.limit_schemas import Override, Pause, Policy, ProviderCount

_CHANGES = (Scope.jobs_cancel, Scope.jobs_manage, Scope.limits_write, Scope.tasks_write, Scope.schedules_write)


class JobsByState(BaseModel):
    """How many jobs there are. Those that succeeded: in the last 24 hours."""

    waiting: int
    queued: int
    scheduled: int
    running: int
    succeeded: int
    failed: int
    cancelled: int
    expired: int


class Reasons(BaseModel):
    """What those that wait, wait for."""

    tokens: int
    frozen: int
    paused: int
    concurrency: Annotated[int, Field(description="for a slot of a limit")]
    quota: int
    after: Annotated[int, Field(description="for other jobs")]
    no_worker: int
    other: Annotated[int, Field(description="for a free slot of their pool, or at limits that are not told")]


class SlotsInUse(BaseModel):
    """The slots of all live workers."""

    busy: int
    total: int
    stuck: Annotated[int, Field(description="held by handlers that should have stopped")]


class LeaderOfQueue(BaseModel):
    """Who leads."""

    worker: Annotated[str | None, Field(description="null: no worker leads, and others stand in")]
    refill_age_s: Annotated[float | None, Field(description="seconds since lines were last looked at; null: not for a day")]


class BucketsOfLimit(BaseModel):
    """How many buckets a limit has."""

    known: Annotated[int | None, Field(description="null: not counted, for a limit with a key")]
    live: Annotated[int | None, Field(description="null: not counted, for a limit with a key")]
    waiting: Annotated[int, Field(description="that jobs wait for")]


class LimitOfOverview(BaseModel):
    """How a limit stands. What is null is unknown."""

    name: str
    policy: Annotated[Policy, Field(description="what is in force")]
    code: Annotated[Policy, Field(description="what the code says")]
    override: Override | None
    paused: Pause | None
    state: LimitState
    state_since: datetime | None
    unit: Annotated[str | None, Field(description="what a cost counts")]
    bucket: Annotated[str | None, Field(description="the one where most jobs wait")]
    tokens: Annotated[int | None, Field(description="whole tokens there now")]
    next_token_s: float | None
    frozen_s: float
    frozen_by: str | None
    waiting: Annotated[int, Field(description="jobs at all its buckets")]
    waiting_is_estimate: bool
    oldest_wait_s: Annotated[float | None, Field(description="of the first jobs of each priority")]
    clears_in_s: Annotated[
        float | None,
        Field(description="until the last of the longest line has started, as things stand; null: unknown, or up to another limit"),
    ]
    started_s: Annotated[float, Field(description="starts a second")]
    taken_s: Annotated[float, Field(description="tokens a second")]
    throttled_min: Annotated[int, Field(description="attempts whose provider said wait, in the last minute")]
    provider: Annotated[ProviderCount | None, Field(description="what its provider said last of `bucket`; null: nobody tells it")]
    buckets: BucketsOfLimit


class QueueOverview(BaseModel):
    """How the queue stands. What is null is unknown, or not for this key to see."""

    at: datetime
    queue: str
    version: Annotated[str, Field(description="of the service")]
    access: Annotated[Literal["read", "write"], Field(description="whether the key may change anything")]
    rights: Annotated[list[str], Field(description="all rights of the key")]
    slow_after_s: Annotated[float, Field(description="a longer wait is shown as slow")]
    jobs: JobsByState | None
    reasons: Reasons | None
    slots: SlotsInUse | None
    workers: int | None
    leader: LeaderOfQueue | None
    paused: Annotated[Pause | None, Field(description="the pause of the whole queue")]
    started_s: float
    finished_min: Annotated[int | None, Field(description="jobs that ended in the last minute")]
    failed_min: Annotated[int | None, Field(description="of them those that failed")]
    oldest_wait_s: float | None
    limits: Annotated[list[LimitOfOverview], Field(description="those with the longest lines first, 200 at most")]
    more: Annotated[int, Field(description="limits that are not told")]

    @classmethod
    def of(cls, overview: Overview, principal: Principal) -> Self:
        return cls.model_validate(document_for(overview, principal))


def document_for(overview: Overview, principal: Principal) -> dict[str, Any]:
    """The overview as JSON, with what the service knows of its caller."""
    access = "write" if any(right in principal.scopes for right in _CHANGES) else "read"
    return {**overview.document(), "version": VERSION, "access": access, "rights": sorted(right.value for right in principal.scopes)}
