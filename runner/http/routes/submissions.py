"""Submissions: of one job, and of many at once."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import ValidationError
from pydantic_core import to_json

from runner import Acceptance, Client, JobHandle, JobStatus, Scope, StoreUnavailable, SubmissionRefused, UnknownJob
from runner.errors import ArgumentsTooLarge, IncompleteCatalog, InvalidArguments, JobIdConflict
from runner.http import routing
from runner.http.acceptances import described
from runner.http.authorization import needs
from runner.http.bodies import MAX_BATCH_BYTES, body_of, json_body, parsed_body
from runner.http.dependencies import Service, service_of
from runner.http.idempotency import IDEMPOTENCY_KEY, REPLAYED, job_id_of, refuse_key
from runner.http.job_body import JOB_PROBLEMS, MAX_BATCH, BatchBody, JobBody
from runner.http.job_documents import as_json, batch_foresight_answer, foresight_answer, job_document
from runner.http.large_results import left_out, most_result
from runner.http.ndjson import MEDIA_TYPE as NDJSON
from runner.http.ndjson import is_ndjson
from runner.http.problem_kinds import BODY_PROBLEMS
from runner.http.problems import Problem, base_of, problem_of, responses, type_of
from runner.http.routes.lines import lines_answer
from runner.http.routing import DirectRoute
from runner.http.schemas import AcceptedBatch, AcceptedJob, EndedJob, ForeseenBatch, ForeseenJob
from runner.http.validation_errors import Fault, faults_of, pointer, shortened, summary
from runner.http.waiting import APPLIED, PREFER, applied, awaited, preferred_s

router = routing.group("submit", "/v1", route_class=DirectRoute)

_BATCH_RESPONSES = responses(
    *BODY_PROBLEMS, "invalid-idempotency-key", "batch-invalid", "incomplete-catalog", "outdated-service", "overloaded", "store-unavailable"
)
_BATCH_RESPONSES[413]["description"] += ", batch-invalid"
_LOCATION = {"Location": {"schema": {"type": "string"}, "description": "where its status is"}}
_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds until the job can start, if that is known"}}
_LONGEST_RETRY_S = 3600
"""Limits may be changed meanwhile, so nobody is told to stay away for longer."""
_KEY_PROBLEMS = ("invalid-idempotency-key", "idempotency-key-reused")
_REFUSED = (Acceptance.conflict, Acceptance.duplicate, Acceptance.no_parent, Acceptance.sealed)


@router.post(
    "/jobs",
    dependencies=[needs(Scope.jobs_submit)],
    status_code=202,
    response_model=AcceptedJob,
    summary="Submit one job",
    responses=responses(
        *BODY_PROBLEMS, *JOB_PROBLEMS, "unknown-parent", *_KEY_PROBLEMS, "outdated-service", "overloaded", "store-unavailable"
    )
    | {
        200: {
            "model": AcceptedJob | EndedJob | ForeseenJob,
            "description": "This job had been submitted before under this id, or another is there that is unique, and nothing was added; or it has"
            " ended while the request waited; or, with dry_run, what would become of it",
            "headers": _LOCATION | APPLIED | REPLAYED,
        },
        202: {"description": "Stored", "headers": _LOCATION | _RETRY_AFTER | APPLIED | REPLAYED},
    },
    openapi_extra=body_of(JobBody) | {"parameters": [IDEMPOTENCY_KEY, PREFER]},
)
async def submit(
    request: Request,
    dry_run: Annotated[bool, Query(description="store nothing, and tell when the job would start and end: ForeseenJob")] = False,
) -> Response:
    """Store one job. It reaches a final state whatever happens to workers. With an `id` of your own, or a key, the request can be repeated.

    With `Prefer: wait=N` the answer is the job at its end, if that comes in time. With `dry_run=1` nothing is stored: the checks and problems
    are the same, and the answer says what the submission would be answered, and when the job would start and end.
    """
    service, body = service_of(request), await parsed_body(request, JobBody)
    key_id, preferred = job_id_of(request, body.id), preferred_s(request)
    if dry_run:
        body.id = body.id or key_id
        with _reused(key_id):
            return foresight_answer(await service.client.foresee(*body.request()))
    handle = await (service.client.submit(*body.request()) if key_id is None else _submitted_once(service.client, body, key_id))
    base, is_new = base_of(request), handle.first_state.is_new
    headers = {"Location": f"{base}/v1/jobs/{handle.id}"}
    if preferred:
        headers |= applied(preferred)
    is_repeat = key_id == handle.id and not is_new
    if is_repeat:
        headers["Idempotent-Replayed"] = "true"
    created = is_new or is_repeat  # a repeat with a key has the answer of the first request
    ended = await _ended(service, request, handle, preferred) if preferred else None
    if ended is not None:
        headers["Content-Location"] = headers["Location"]
        document = job_document(ended) | {"created": created, "problem": left_out(ended, service, request)}
        return Response(as_json(document), 200, headers, "application/json")
    (item,) = await described(service.client, [body.task], [handle], base)
    item["created"] = created
    if created and item["eta_s"] is not None:
        headers["Retry-After"] = str(min(max(math.ceil(item["eta_s"]), 1), _LONGEST_RETRY_S))
    return Response(to_json(item), 202 if created else 200, headers, "application/json")


async def _submitted_once(client: Client, body: JobBody, key_id: str) -> JobHandle[Any]:
    body.id = key_id
    with _reused(key_id):
        return await client.submit(*body.request())


@contextmanager
def _reused(key_id: str | None) -> Iterator[None]:
    """Of a job whose id is made of a key, say so of the key if another job has that id."""
    try:
        yield
    except JobIdConflict:
        if key_id is None:
            raise
        detail = "the Idempotency-Key was sent before, with another task or other arguments: send another key for another job"
        raise Problem("idempotency-key-reused", detail) from None


async def _ended(service: Service, request: Request, handle: JobHandle[Any], wait_s: float) -> JobStatus | None:
    """The job, if its end comes in time."""
    try:
        status = await awaited(service, request, handle.id, wait_s, most_result(service))
    except (StoreUnavailable, UnknownJob, Problem):
        return None  # an error, as if too many wait, would make the caller submit the job again, and it is stored
    return status if status.state.is_final else None


@router.post(
    "/jobs/batch",
    dependencies=[needs(Scope.jobs_submit)],
    status_code=202,
    response_model=AcceptedBatch,
    summary="Submit many jobs at once",
    responses=_BATCH_RESPONSES
    | {
        202: {"description": "All are stored, those with created=false before"},
        200: {
            "model": ForeseenBatch,
            "description": "With dry_run, what would become of them; or a line for each line of NDJSON",
            "content": {NDJSON: {"schema": {"type": "string"}}},
        },
        207: {
            "model": AcceptedBatch,
            "description": "Some ids are taken by other jobs, or unique jobs refused: those carry a problem, all others are stored",
        },
    },
    openapi_extra=body_of(BatchBody, lines_of=JobBody),
)
async def submit_batch(
    request: Request,
    dry_run: Annotated[
        bool, Query(description="store nothing, and tell when each job would start, and all have ended: ForeseenBatch")
    ] = False,
) -> Response:
    """Store up to 1,000 jobs. If one is refused, or there is no room for all, nothing new is stored.

    An id that another job has is found only while storing: the answer is then 207, and names those jobs.

    As `application/x-ndjson` each line is a job, however many there are: lines are stored as they come, and each has a line of the answer,
    with its number as `line`; what would be null there is left out. A line that is refused has a `problem`, and costs no other line. When the
    service cannot go on, a last line has a `problem` and the number `unread_from`.

    With `dry_run=1` nothing is stored: the checks and problems are the same, and each job is foretold behind those before it. It takes no lines.
    """
    refuse_key(request)
    if is_ndjson(request):
        if dry_run:
            raise Problem("validation", "dry_run tells of a whole batch, and lines have no end: send them as application/json")
        return lines_answer(request)
    client, body, base = service_of(request).client, await _batch_body(request), base_of(request)
    try:
        if dry_run:
            return batch_foresight_answer(await client.foresee_many([job.request() for job in body.jobs], return_conflicts=True), base)
        handles = await client.submit_many([job.request() for job in body.jobs], return_conflicts=True)
    except IncompleteCatalog:
        raise
    except SubmissionRefused as error:
        problem = problem_of(error)
        place = ("jobs", error.index, "args") if isinstance(error, InvalidArguments) else ("jobs", error.index)
        fault = Fault(pointer=pointer(*place), type=type_of(problem.kind, base), detail=problem.detail)
        status = problem.status if isinstance(error, ArgumentsTooLarge) else None
        raise Problem("batch-invalid", f"job {error.index}: {problem.detail}", faults=[fault], status=status) from None
    items = await described(client, [job.task for job in body.jobs], handles, base)
    conflicts = any(handle.first_state in _REFUSED for handle in handles)
    return Response(to_json({"jobs": items}), 207 if conflicts else 202, media_type="application/json")


async def _batch_body(request: Request) -> BatchBody:
    """The jobs in the body. Raises `Problem`, naming the index of the first bad one."""
    value = await json_body(request, MAX_BATCH_BYTES)
    try:
        body = BatchBody.model_validate(value)
    except ValidationError as error:
        raise _batch_problem(error) from None
    _refuse_doubles(body)
    return body


def _refuse_doubles(body: BatchBody) -> None:
    """An id names one job: of two with the same one the caller could not tell the answers apart. Raises `Problem`."""
    places: dict[str, int] = {}
    for place, job in enumerate(body.jobs):
        if job.id is not None and (first := places.setdefault(job.id, place)) != place:
            detail = f"job {first} has the id {shortened(job.id)!r} too: give each job of a batch its own"
            raise Problem("batch-invalid", f"job {place}: {detail}", faults=[Fault(pointer=pointer("jobs", place, "id"), detail=detail)])


def _batch_problem(error: ValidationError) -> Problem:
    errors = error.errors(include_url=False)
    first = errors[0]
    in_a_job = len(first["loc"]) > 1
    faults = faults_of(errors, BatchBody)
    if first["type"] == "too_long" and first["loc"] == ("jobs",):
        return Problem("batch-invalid", f"a batch has at most {MAX_BATCH} jobs: send the rest in another", faults=faults, status=413)
    if in_a_job:
        return Problem("batch-invalid", f"job {first['loc'][1]}: {summary(faults)}", faults=faults)
    return Problem("validation", summary(faults), faults=faults)
