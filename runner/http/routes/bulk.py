"""Many jobs at once: cancel, retry, delete or purge all that a filter asks for, once their number is confirmed."""

from typing import Annotated

from fastapi import Path, Request

from runner import ConfigurationError, Scope
from runner.http import routing
from runner.http.authorization import needs
from runner.http.bodies import body_of, parsed_body
from runner.http.bulk_schemas import Bulk, BulkBody, BulkList, ConfirmBody
from runner.http.dependencies import TheClient
from runner.http.forms import JOB_ID
from runner.http.problem_kinds import BODY_PROBLEMS
from runner.http.problems import Problem, responses

router = routing.group("bulk", "/v1")

BulkId = Annotated[str, Path(description="its id", **JOB_ID)]


@router.post(
    "/bulk",
    dependencies=[needs(Scope.jobs_manage)],
    status_code=201,
    summary="Begin to count jobs that something is to be done to",
    responses=responses(*BODY_PROBLEMS, "invalid-id", "too-many-bulks", "store-unavailable"),
    openapi_extra=body_of(BulkBody),
)
async def begin(request: Request, client: TheClient) -> Bulk:
    """Nothing is done to a job yet. Few jobs are counted in the answer; the leader goes on with many, until the phase is `counted`."""
    body = await parsed_body(request, BulkBody)
    try:
        return Bulk.of(await client.bulk.begin(body.action, body.filter.filter(), reason=body.reason, id=body.id))
    except ConfigurationError as error:
        raise Problem("validation", str(error)) from None


@router.get("/bulk", dependencies=[needs(Scope.jobs_manage)], summary="The acts upon many jobs", responses=responses("store-unavailable"))
async def bulks(client: TheClient) -> BulkList:
    """Those that are open, at most ten, and those that ended last."""
    return BulkList(bulks=[Bulk.of(status) for status in await client.bulk.all()])


@router.get(
    "/bulk/{id}",
    dependencies=[needs(Scope.jobs_manage)],
    summary="How far an act upon many jobs is",
    responses=responses("not-found", "invalid-id", "store-unavailable"),
)
async def bulk(id: BulkId, client: TheClient) -> Bulk:
    """As it stands. It is known for a week after its end."""
    return Bulk.of(await client.bulk.status(id))


@router.post(
    "/bulk/{id}/confirm",
    dependencies=[needs(Scope.jobs_manage)],
    summary="Do it to as many jobs as were counted",
    responses=responses(*BODY_PROBLEMS, "not-found", "invalid-id", "count-changed", "already-finished", "store-unavailable"),
    openapi_extra=body_of(ConfirmBody),
)
async def confirm(id: BulkId, request: Request, client: TheClient) -> Bulk:
    """It is done a page at a time, to what was submitted before the count and still is what the filter asks for. A second call changes nothing."""
    body = await parsed_body(request, ConfirmBody)
    return Bulk.of(await client.bulk.confirm(id, body.expected))


@router.delete(
    "/bulk/{id}",
    dependencies=[needs(Scope.jobs_manage)],
    summary="Stop an act upon many jobs",
    responses=responses("not-found", "invalid-id", "store-unavailable"),
)
async def stop(id: BulkId, client: TheClient) -> Bulk:
    """It goes no further; what was done stays done. One that is over stays as it is."""
    return Bulk.of(await client.bulk.stop(id))
