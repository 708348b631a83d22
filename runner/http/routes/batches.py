"""Batches: to begin one that jobs join, to seal it, how far it is, and to cancel what has not ended of it."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from runner import BatchProgress, Scope
from runner.http import routing
from runner.http.authorization import needs
from runner.http.bodies import body_of, no_body, parsed_body
from runner.http.dependencies import TheClient
from runner.http.forms import JOB_ID
from runner.http.instants import utc
from runner.http.job_body import JOB_PROBLEMS, NewBatchBody
from runner.http.problem_kinds import BODY_PROBLEMS
from runner.http.problems import base_of, responses

router = routing.group("batches", "/v1")

MOST_BATCHES = 100
LOCATION = {"Location": {"schema": {"type": "string"}, "description": "where it is"}}
BatchId = Annotated[str, Path(description="the batch's id", **JOB_ID)]


class Batch(BaseModel):
    """How far a batch is. Times are UTC by Redis's clock; null: not yet."""

    id: str
    total: Annotated[int, Field(description="jobs that were added until now")]
    pending: Annotated[int, Field(description="those that have not ended")]
    succeeded: int
    failed: int
    cancelled: int
    expired: int
    gone: Annotated[int, Field(description="those whose records were lost before they ended")]
    on_failure: Annotated[str, Field(description="what becomes of the job that follows it when one does not succeed: cancel, fail or run")]
    then: Annotated[str | None, Field(description="the job that runs once all have ended")]
    created_at: datetime
    sealed_at: Annotated[datetime | None, Field(description="when its last job was added")]
    ended_at: Annotated[datetime | None, Field(description="when the last of its jobs ended; it is known for 7 days from then")]

    @classmethod
    def of(cls, progress: BatchProgress) -> Self:
        times = {name: utc(at) for name, at in progress.document().items() if name.endswith("_at")}
        return cls(**progress.document() | times)


class Batches(BaseModel):
    """Batches that have not ended, the latest first."""

    batches: list[Batch]


@router.post(
    "/batches",
    dependencies=[needs(Scope.jobs_submit)],
    status_code=201,
    response_model=Batch,
    summary="Begin a batch",
    responses=responses(*BODY_PROBLEMS, *JOB_PROBLEMS, "outdated-service", "overloaded", "store-unavailable")
    | {201: {"description": "It takes jobs, or did before", "headers": LOCATION}},
    openapi_extra=body_of(NewBatchBody),
)
async def begin_batch(request: Request, client: TheClient) -> Response:
    """Jobs that are submitted with its id as `batch` join it, until it is sealed. With an id of your own the request can be repeated.

    A batch that nobody fills for 7 days is forgotten, and what follows it is cancelled.
    """
    body = await parsed_body(request, NewBatchBody)
    then = None if body.then is None else body.then.request()
    batch = await client.begin_batch(body.id, then=then, size=body.size or 0, on_failure=body.on_failure)
    document = Batch.of(await batch.progress())
    headers = {"Location": f"{base_of(request)}/v1/batches/{batch.id}"}
    return Response(document.model_dump_json(), 201, headers, "application/json")


@router.post(
    "/batches/{id}/seal",
    dependencies=[needs(Scope.jobs_submit)],
    summary="Let no further job be added to a batch",
    responses=responses(*BODY_PROBLEMS, "not-found", "invalid-id", "store-unavailable"),
)
async def seal_batch(id: BatchId, request: Request, client: TheClient) -> Batch:
    """It has ended once all its jobs have, and then the job runs that follows it. A second call has the same answer."""
    await no_body(request)
    return Batch.of(await client.open_batch(id).seal())


@router.get(
    "/batches", dependencies=[needs(Scope.jobs_read)], summary="The open batches", responses=responses("validation", "store-unavailable")
)
async def open_batches(
    client: TheClient, most: Annotated[int, Query(ge=1, le=MOST_BATCHES, description="so many of them at most")] = MOST_BATCHES
) -> Batches:
    """How far each is that has not ended."""
    return Batches(batches=[Batch.of(one) for one in await client.batches(most)])


@router.get(
    "/batches/{id}",
    dependencies=[needs(Scope.jobs_read)],
    summary="How far a batch is",
    responses=responses("not-found", "invalid-id", "store-unavailable"),
)
async def batch_progress(id: BatchId, client: TheClient) -> Batch:
    """How many of its jobs are pending, and what the others came to."""
    return Batch.of(await client.open_batch(id).progress())


@router.delete(
    "/batches/{id}",
    dependencies=[needs(Scope.jobs_cancel)],
    summary="Cancel a batch",
    responses=responses("not-found", "invalid-id", "store-unavailable"),
)
async def cancel_batch(id: BatchId, client: TheClient) -> Batch:
    """Cancel its jobs that have not ended, and the one that follows it; no further one can be added. Running ones are asked to stop.

    The answer comes when all were asked. A second call has the same answer, and goes on where the first was lost.
    """
    return Batch.of(await client.open_batch(id).cancel())
