"""Many jobs: those of some ids, pages of all that a filter asks for, how many there are, and dead letters by their errors."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from runner import ConfigurationError, JobCounts, JobFilter, Scope, State
from runner.http import routing
from runner.http.authorization import needs
from runner.http.dependencies import service_of
from runner.http.forms import BUCKET, ERROR, ID_PREFIX, JOB_ID, KNOWN_ID, REASON, SHORT_NAME, TAG, TASKS, Unset
from runner.http.instants import Instant, utc
from runner.http.job_documents import as_json, job_document
from runner.http.problems import Problem, responses
from runner.http.routing import DirectRoute
from runner.http.schemas import Job
from runner.http.validation_errors import Fault

router = routing.group("lists", "/v1", route_class=DirectRoute)

MOST_IDS = 100
"""Of one question for many jobs: its URL has a few thousand bytes."""
MOST_JOBS = 500
_USUAL = 100
_EVERY_JOB = JobFilter()

States = Annotated[list[State], Field(max_length=len(State))]
_INSTANT = "an instant with a time zone, like 2030-01-31T12:00:00Z"


class FoundJobs(BaseModel):
    """Jobs, without arguments and results. Of some ids in their order, null for an unknown one; of a list the jobs of one page."""

    jobs: list[Job | None]
    cursor: Annotated[str | None, Field(description="give it, with the same filter, for the next page; null: there is none")] = None


class Counts(BaseModel):
    """How many jobs there are, by state."""

    queued: int
    waiting: int
    scheduled: int
    running: int
    failed: int
    cancelled: int
    expired: int
    succeeded: Annotated[int | None, Field(description="of all jobs together in the last 24 h, of a filter as far back as the list goes")]
    waiting_for: Annotated[dict[str, int], Field(description="of those that wait, by reason; line: for tokens of a limit")]
    succeeded_since: Annotated[datetime | None, Field(description="how far back jobs that succeeded are listed")]
    is_complete: Annotated[bool, Field(description="false: there was not time to look at all of them, there are at least so many")]


class DeadLetters(BaseModel):
    """Jobs of one task that failed with one type of error."""

    task: str
    error: Annotated[str, Field(description="its type; empty: it cannot be read")]
    count: int
    first_at: datetime
    last_at: datetime
    last_id: Annotated[str, Field(description="the job of them that ended last")]


class GroupedDeadLetters(BaseModel):
    """Dead letters by task and type of error, those with the most first."""

    groups: list[DeadLetters]


def filter_of(
    state: Annotated[States | Unset, Query(description="give it once for each")] = None,
    reason: Annotated[Annotated[str, Field(**REASON)] | Unset, Query(description="why it is scheduled or waits; line: for tokens")] = None,
    task: Annotated[Annotated[str, Field(**TASKS)] | Unset, Query(description="its name, or a beginning like billing.*")] = None,
    limit: Annotated[Annotated[str, Field(**SHORT_NAME)] | Unset, Query(description="a limit that it needs")] = None,
    bucket: Annotated[Annotated[str, Field(**BUCKET)] | Unset, Query(description="a bucket that it needs, like tenant/t7")] = None,
    pool: Annotated[Annotated[str, Field(**SHORT_NAME)] | Unset, Query(description="the pool whose workers run it")] = None,
    tag: Annotated[Annotated[str, Field(**TAG)] | Unset, Query(description="one of its tags")] = None,
    error: Annotated[Annotated[str, Field(**ERROR)] | Unset, Query(description="the type of its error")] = None,
    id_prefix: Annotated[str, Query(description="how its id begins", **ID_PREFIX)] = "",
    submitted_from: Annotated[Instant | Unset, Query(description=_INSTANT)] = None,
    submitted_to: Annotated[Instant | Unset, Query(description=_INSTANT)] = None,
    ended_from: Annotated[Instant | Unset, Query(description=_INSTANT)] = None,
    ended_to: Annotated[Instant | Unset, Query(description=_INSTANT)] = None,
    schedule: Annotated[
        Annotated[str, Field(**SHORT_NAME)] | Unset, Query(description="which schedule has made it, by its instants or by hand")
    ] = None,
    batch: Annotated[Annotated[str, Field(**JOB_ID)] | Unset, Query(description="the batch it belongs to")] = None,
    oldest_first: Annotated[bool, Query(description="of jobs on a stream or ended the earliest first, in place of the latest")] = False,
) -> JobFilter:
    """The filter of a query. Raises `Problem`."""
    words: dict[str, Any] = {
        "reason": reason,
        "task": task,
        "limit": limit,
        "bucket": bucket,
        "pool": pool,
        "tag": tag,
        "error": error,
        "schedule": schedule,
        "batch": batch,
    }
    times: dict[str, Any] = {"submitted_from": submitted_from, "submitted_to": submitted_to, "ended_from": ended_from, "ended_to": ended_to}
    try:
        return JobFilter(tuple(state or ()), id_prefix=id_prefix, oldest_first=oldest_first, **words, **times)
    except ConfigurationError as refused:
        raise Problem("validation", str(refused)) from None


TheFilter = Annotated[JobFilter, Depends(filter_of)]


@router.get(
    "/jobs",
    dependencies=[needs(Scope.jobs_read)],
    response_model=FoundJobs,
    summary="Jobs of some ids, or all that a filter asks for",
    responses=responses("validation", "invalid-id", "store-unavailable"),
)
async def jobs(
    request: Request,
    chosen: TheFilter = _EVERY_JOB,
    id: Annotated[
        Annotated[list[Annotated[str, Field(**KNOWN_ID)]], Field(max_length=MOST_IDS)] | Unset,
        Query(description="a job's id; give it once for each job, and no filter then"),
    ] = None,
    cursor: Annotated[str | Unset, Query(max_length=16_000, description="of the page before")] = None,
    most: Annotated[int, Query(ge=1, le=MOST_JOBS, description="jobs of a page")] = _USUAL,
) -> Response:
    """With `id` where these jobs are, in one call. Otherwise a page of the jobs that the filter asks for, of all jobs without one.

    A page can have fewer jobs than `most`, even none, and go on: there are no more when `cursor` is null. A walk over all pages meets once
    each job that stays where it is; one that moves meanwhile may be met where it was, where it is, or not at all. Jobs that are on a stream
    or have ended come the latest first, those that wait in the order of service.
    """
    client = service_of(request).client
    if id is not None:
        if chosen != _EVERY_JOB or cursor is not None:
            raise Problem(
                "validation", "id: give the ids of jobs, or a filter, not both", faults=[Fault(detail="leave it out", parameter="id")]
            )
        once = list(dict.fromkeys(id))
        for one in once:
            client.job(one)  # refuses what can be no id
        found = dict(zip(once, await client.statuses(once, payloads=False), strict=True))
        return _answer([None if status is None else job_document(status) for status in map(found.get, id)], None)
    try:
        page = await client.jobs(chosen, cursor=cursor, most=most)
    except ConfigurationError as error:
        raise Problem("validation", str(error), faults=[Fault(detail=str(error), parameter="cursor")]) from None
    return _answer([job_document(status) for status in page.jobs], page.cursor)


def _answer(documents: list[dict[str, Any] | None], cursor: str | None) -> Response:
    return Response(as_json({"jobs": documents, "cursor": cursor}), media_type="application/json")


@router.get(
    "/counts",
    dependencies=[needs(Scope.jobs_read)],
    response_model=Counts,
    summary="How many jobs there are",
    responses=responses("validation", "store-unavailable"),
)
async def counts(request: Request, chosen: TheFilter = _EVERY_JOB) -> Response:
    """By state. Of all jobs the numbers are exact, however many there are; those that succeeded are counted of the last 24 h.

    Those of a filter, or of a key for some tasks or a tenant, are looked at for some seconds at most.
    """
    found = await service_of(request).client.job_counts(chosen)
    return Response(as_json(counts_document(found)), media_type="application/json")


@router.get(
    "/dead-letters",
    dependencies=[needs(Scope.jobs_read)],
    response_model=GroupedDeadLetters,
    summary="Dead letters by task and error",
    responses=responses("validation", "store-unavailable"),
)
async def dead_letters(request: Request, chosen: TheFilter = _EVERY_JOB) -> Response:
    """Jobs that failed for good, by their task and the type of their error. Its jobs are those of /v1/jobs?state=failed&error=..."""
    groups = await service_of(request).client.dead_letters(chosen)
    documents = [
        {
            "task": one.task,
            "error": one.error,
            "count": one.count,
            "first_at": utc(one.first_at),
            "last_at": utc(one.last_at),
            "last_id": one.last_id,
        }
        for one in groups
    ]
    return Response(as_json({"groups": documents}), media_type="application/json")


def counts_document(found: JobCounts) -> dict[str, Any]:
    """As `Counts` describes it."""
    numbers = {name: getattr(found, name) for name in JobCounts.__dataclass_fields__}
    return {**numbers, "waiting_for": dict(found.waiting_for), "succeeded_since": utc(found.succeeded_since)}
