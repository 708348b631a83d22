"""Batches: how far many jobs are that were added together, and to cancel what has not ended of them."""

from datetime import UTC, datetime
from typing import Annotated, Self

from fastapi import Path, Query
from pydantic import BaseModel, Field

from runner import BatchProgress, Scope
from runner.http import routing
from runner.http.authorization import needs
from runner.http.dependencies import TheClient
from runner.http.forms import JOB_ID
from runner.http.problems import responses

router = routing.group("batches", "/v1")

MOST_BATCHES = 100
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
        times = {name: at and datetime.fromtimestamp(at, UTC) for name, at in progress.document().items() if name.endswith("_at")}
        return cls(**progress.document() | times)


class Batches(BaseModel):
    """Batches that have not ended, the latest first."""

    batches: list[Batch]


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
