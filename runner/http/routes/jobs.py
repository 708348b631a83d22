"""One job: its status and its result, now or at its end, its cancellation, and another run."""

from dataclasses import replace
from typing import Annotated, Literal

from fastapi import Path, Query, Request
from fastapi.responses import Response

from runner import ConfigurationError, Control, JobStatus, Scope
from runner.http import routing
from runner.http.authorization import needs
from runner.http.bodies import no_body
from runner.http.dependencies import Service, service_of
from runner.http.forms import KNOWN_ID, OneLine, Unset
from runner.http.job_documents import as_json, job_answer
from runner.http.large_results import is_passed_on, is_too_large, left_out, most_read, most_result, too_large, with_result
from runner.http.problem_kinds import BODY_PROBLEMS
from runner.http.problems import Problem, responses
from runner.http.raw_answer import RawAnswer
from runner.http.routing import DirectRoute
from runner.http.schemas import DeletedJob, Job
from runner.http.story import story_document
from runner.http.validation_errors import Fault
from runner.http.versions import ETAG, IF_NONE_MATCH, versioned
from runner.http.waiting import APPLIED, MAX_WAIT_S, PREFER, applied, awaited, preferred_s

router = routing.group("jobs", "/v1", route_class=DirectRoute)

MOST_REASON = Control.LONGEST_TEXT

JobId = Annotated[str, Path(description="the job's id; of a tenant's, for a key that sees those, t7%2Fo-17", **KNOWN_ID)]


@router.get(
    "/jobs/{id}",
    dependencies=[needs(Scope.jobs_read)],
    response_model=Job,
    summary="The status of a job",
    responses=responses("not-found", "validation", "invalid-id", "no-result", "result-too-large", "busy", "store-unavailable")
    | {
        200: {"description": "The job; with `result=raw` the JSON of its result alone", "headers": ETAG | APPLIED},
        304: {"description": "Nothing but eta_s has changed since the answer with the ETag in If-None-Match"},
    },
    openapi_extra={"parameters": [PREFER, IF_NONE_MATCH]},
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
    story: Annotated[bool, Query(description="tell its life as pieces of time and as what happened, too")] = False,
    result: Annotated[
        Literal["raw", "none"] | Unset,
        Query(
            description="raw: answer with the result alone, however large, the JSON that the task returned; none: leave it out, however small"
        ),
    ] = None,
) -> Response:
    """The job as it is now; with `wait` as it is at its end, or when the time is up. A request that waits does not poll Redis.

    A job whose result is too large for this answer is a problem that says so. With `result=raw` the answer is that result alone.
    """
    service = service_of(request)
    preferred = 0 if wait else preferred_s(request)
    if result == "raw":
        return await _raw(service, request, id, wait or preferred, beside="explain" if explain else "story" if story else None)
    found = await awaited(service, request, id, wait or preferred, most_read(service) if result is None else 0)
    as_stored = None
    if result == "none":
        found = replace(found, result=None)
    elif is_too_large(found, service):
        raise too_large(found, service, request)
    elif is_passed_on(found):
        found, as_stored = await with_result(service, found)
    if explain or story:  # an explanation has times in it, so that no two are the same
        explanation = await service.client.explain(found) if explain else None
        answer = job_answer(found, explanation, story_document(found) if story else None, as_stored)
    else:
        answer = versioned(request, found, as_stored)
    if preferred:
        answer.headers.update(applied(preferred))
    return answer


@router.delete(
    "/jobs/{id}",
    dependencies=[needs(Scope.jobs_cancel)],
    response_model=Job,
    summary="Cancel a job",
    responses=responses("not-found", "invalid-id", "already-finished", "store-unavailable"),
)
async def cancel(id: JobId, request: Request) -> Response:
    """Stop a job. One that is not running is `cancelled` at once, a running one is asked to stop. A second call has the same answer."""
    service = service_of(request)
    return _changed(await service.client.cancel(id, most_result=most_result(service)), service, request)


@router.post(
    "/jobs/{id}/retry",
    dependencies=[needs(Scope.jobs_cancel)],
    response_model=Job,
    summary="Run a job again",
    responses=responses(*BODY_PROBLEMS, "not-found", "invalid-id", "cannot-retry", "duplicate-job", "store-unavailable"),
)
async def retry(
    id: JobId,
    request: Request,
    ignore_parents: Annotated[
        bool, Query(description="run it even if a job that it comes after has not succeeded, or has not ended")
    ] = False,
) -> Response:
    """Run a job again that failed, expired or was cancelled: as its next attempt, at the end of its line. What was ended because of it is held again.

    One that was ended because of a job that it comes after is refused, unless that has succeeded since.
    """
    await no_body(request)
    service = service_of(request)
    retried = await service.client.retry(id, most_result=most_result(service), ignore_parents=ignore_parents)
    return _changed(retried, service, request)


@router.delete(
    "/jobs/{id}/record",
    dependencies=[needs(Scope.jobs_manage)],
    response_model=DeletedJob,
    summary="Delete an ended job",
    responses=responses("not-found", "validation", "invalid-id", "not-ended", "store-unavailable"),
)
async def delete(
    id: JobId,
    request: Request,
    reason: Annotated[OneLine, Query(max_length=MOST_REASON, description="why; written into the audit")] = "",
) -> Response:
    """Forget a job that has ended before its time to live has passed: its status, its arguments, its result. One that has not ended stays."""
    try:
        await service_of(request).client.delete(id, reason=reason)
    except ConfigurationError as error:
        raise Problem("validation", str(error), faults=[Fault(detail=str(error), parameter="reason")]) from None
    return Response(as_json({"id": id, "deleted": True}), media_type="application/json")


def _changed(status: JobStatus, service: Service, request: Request) -> Response:
    """A job after a change of it. Should it have ended meanwhile, a result that is too large is left out: the change was made."""
    return job_answer(status, problem=left_out(status, service, request))


async def _raw(service: Service, request: Request, job_id: str, wait_s: float, *, beside: str | None) -> Response:
    """The result of a job, at its end if that comes within the time. Raises `NoResult`."""
    if beside:
        raise Problem("validation", f"{beside}: with result=raw the answer is the result alone; ask for one of both")
    if wait_s > 0:
        await awaited(service, request, job_id, wait_s, 0)
    return RawAnswer(await service.client.job(job_id).raw_result())
