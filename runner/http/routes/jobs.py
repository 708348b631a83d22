"""One job: its status, now or at its end, its cancellation, and another run."""

import asyncio
from typing import Annotated

from fastapi import Path, Query, Request
from fastapi.responses import Response

from runner import JobStatus
from runner.http import routing
from runner.http.bodies import no_body
from runner.http.dependencies import Service, service_of
from runner.http.problem_kinds import BODY_PROBLEMS
from runner.http.problems import responses
from runner.http.routing import DirectRoute
from runner.http.schemas import Job, job_answer

MAX_WAIT_S = 60

router = routing.group("jobs", "/v1", route_class=DirectRoute)

JobId = Annotated[str, Path(description="the job's id")]


@router.get(
    "/jobs/{id}",
    response_model=Job,
    summary="The status of a job",
    responses=responses("not-found", "validation", "invalid-id", "store-unavailable"),
)
async def status(
    id: JobId,
    request: Request,
    wait: Annotated[
        float,
        Query(
            ge=0, le=MAX_WAIT_S, allow_inf_nan=False, description="answer at the end of the job, but after this many seconds at the latest"
        ),
    ] = 0,
    explain: Annotated[bool, Query(description="explain in sentences why the job is in its state, and what to do")] = False,
) -> Response:
    """The job as it is now; with `wait` as it is at its end, or when the time is up. A request that waits does not poll Redis."""
    service = service_of(request)
    found = await _awaited(service, request, id, wait)
    return job_answer(found, await service.client.explain(found) if explain else None)


@router.delete(
    "/jobs/{id}",
    response_model=Job,
    summary="Cancel a job",
    responses=responses("not-found", "invalid-id", "already-finished", "store-unavailable"),
)
async def cancel(id: JobId, request: Request) -> Response:
    """Stop a job. One that is not running is `cancelled` at once, a running one is asked to stop. A second call has the same answer."""
    return job_answer(await service_of(request).client.cancel(id))


@router.post(
    "/jobs/{id}/retry",
    response_model=Job,
    summary="Run a job again",
    responses=responses(*BODY_PROBLEMS, "not-found", "invalid-id", "cannot-retry", "store-unavailable"),
)
async def retry(id: JobId, request: Request) -> Response:
    """Run a job again that failed, expired or was cancelled: as its next attempt, at the end of its line."""
    await no_body(request)
    return job_answer(await service_of(request).client.retry(id))


async def _awaited(service: Service, request: Request, job_id: str, wait_s: float) -> JobStatus:
    """The job at its end, or when the time is up, the service stops or the caller disconnects."""
    job = service.client.job(job_id)
    # The first status answers at once if the job is unknown or Redis is away.
    known = await job.status()
    if known.state.is_final or wait_s == 0:
        return known
    end = asyncio.create_task(job.wait(wait_s))
    others = [asyncio.create_task(service.stopping.wait()), asyncio.create_task(_gone(request))]
    try:
        await asyncio.wait([end, *others], return_when=asyncio.FIRST_COMPLETED)
        return end.result() if end.done() else await job.status()
    finally:
        for waiting in (end, *others):
            waiting.cancel()
        await asyncio.gather(end, *others, return_exceptions=True)


async def _gone(request: Request) -> None:
    """Return once the caller has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
