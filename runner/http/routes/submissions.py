"""Submissions: of one job, and of many at once."""

from collections.abc import Sequence
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from pydantic import ValidationError
from pydantic_core import to_json

from runner import Acceptance, Client, JobHandle, JobStatus, StoreUnavailable, SubmissionRefused
from runner.http import routing
from runner.http.bodies import MAX_BATCH_BYTES, body_of, json_body, parsed_body
from runner.http.dependencies import service_of
from runner.http.problem_kinds import BODY_PROBLEMS
from runner.http.problems import Problem, base_of, problem_of, responses, type_of
from runner.http.routing import DirectRoute
from runner.http.schemas import MAX_BATCH, AcceptedBatch, AcceptedJob, BatchBody, JobBody, Place
from runner.http.validation_errors import Fault, faults_of, pointer, summary

router = routing.group("submit", "/v1", route_class=DirectRoute)

_BATCH_RESPONSES = responses(*BODY_PROBLEMS, "batch-invalid", "outdated-service", "overloaded", "store-unavailable")
_BATCH_RESPONSES[413]["description"] += ", batch-invalid"
_NO_PLACE: dict[str, Any] = dict.fromkeys(Place.model_fields)
_QUEUED = {**_NO_PLACE, "state": Acceptance.queued.value, "created": True}
_FULLY_ANSWERED = (Acceptance.queued, Acceptance.conflict)
"""Answers to a submission that say all about the job."""
_JOB_PROBLEMS = ("invalid-id", "unknown-task", "unknown-limit", "exceeds-capacity", "run-at-out-of-range", "id-conflict")


@router.post(
    "/jobs",
    status_code=202,
    response_model=AcceptedJob,
    summary="Submit one job",
    responses=responses(*BODY_PROBLEMS, *_JOB_PROBLEMS, "outdated-service", "overloaded", "store-unavailable")
    | {
        200: {"model": AcceptedJob, "description": "This job had been submitted before under this id; nothing was added"},
        202: {"description": "Stored", "headers": {"Location": {"schema": {"type": "string"}, "description": "where its status is"}}},
    },
    openapi_extra=body_of(JobBody),
)
async def submit(request: Request) -> Response:
    """Store one job. It reaches a final state whatever happens to workers. With an `id` of your own the request can be repeated."""
    client, body = service_of(request).client, await parsed_body(request, JobBody)
    handle = await client.submit(*body.request())
    base = base_of(request)
    (item,) = await _described(client, [body.task], [handle], base)
    return Response(to_json(item), 202 if item["created"] else 200, {"Location": f"{base}/v1/jobs/{handle.id}"}, "application/json")


@router.post(
    "/jobs/batch",
    status_code=202,
    response_model=AcceptedBatch,
    summary="Submit many jobs at once",
    responses=_BATCH_RESPONSES
    | {
        202: {"description": "All are stored, those with created=false before"},
        207: {"model": AcceptedBatch, "description": "Some ids are taken by other jobs: those carry a problem, all others are stored"},
    },
    openapi_extra=body_of(BatchBody),
)
async def submit_batch(request: Request) -> Response:
    """Store up to 1,000 jobs. If one is refused, or there is no room for all, nothing new is stored.

    An id that another job has is found only while storing: the answer is then 207, and names those jobs.
    """
    client, body, base = service_of(request).client, await _batch_body(request), base_of(request)
    try:
        handles = await client.submit_many([job.request() for job in body.jobs], return_conflicts=True)
    except SubmissionRefused as error:
        problem = problem_of(error)
        fault = Fault(pointer=pointer("jobs", error.index), type=type_of(problem.kind, base), detail=problem.detail)
        raise Problem("batch-invalid", f"job {error.index}: {problem.detail}", faults=[fault]) from None
    items = await _described(client, [job.task for job in body.jobs], handles, base)
    conflicts = any(handle.first_state is Acceptance.conflict for handle in handles)
    return Response(to_json({"jobs": items}), 207 if conflicts else 202, media_type="application/json")


async def _batch_body(request: Request) -> BatchBody:
    """The jobs in the body. Raises `Problem`, naming the index of the first bad one."""
    value = await json_body(request, MAX_BATCH_BYTES)
    try:
        return BatchBody.model_validate(value)
    except ValidationError as error:
        raise _batch_problem(error) from None


def _batch_problem(error: ValidationError) -> Problem:
    errors = error.errors(include_url=False)
    first = errors[0]
    in_a_job = len(first["loc"]) > 1
    faults = faults_of(errors, list((JobBody if in_a_job else BatchBody).model_fields))
    if first["type"] == "too_long" and first["loc"] == ("jobs",):
        return Problem("batch-invalid", f"a batch has at most {MAX_BATCH} jobs: send the rest in another", faults=faults, status=413)
    if in_a_job:
        return Problem("batch-invalid", f"job {first['loc'][1]}: {summary(faults)}", faults=faults)
    return Problem("validation", summary(faults), faults=faults)


async def _described(client: Client, tasks: Sequence[str], handles: Sequence[JobHandle[Any]], base: str) -> list[dict[str, Any]]:
    """An item for each job. The reply to its submission is enough for a queued job; one more call asks for all others."""
    found = await _statuses(client, [handle.id for handle in handles if handle.first_state not in _FULLY_ANSWERED])
    return [_item(task, handle, found.get(handle.id), base) for task, handle in zip(tasks, handles, strict=True)]


async def _statuses(client: Client, ids: Sequence[str]) -> dict[str, JobStatus]:
    if not ids:
        return {}
    try:
        return {status.id: status for status in await client.statuses(ids) if status is not None}
    except StoreUnavailable:
        return {}  # an error would make the caller submit the jobs again, and they are stored


def _item(task: str, handle: JobHandle[Any], status: JobStatus | None, base: str) -> dict[str, Any]:
    state = handle.first_state
    if state is Acceptance.queued:
        return {**_QUEUED, "id": handle.id, "task": task}
    item = {**_NO_PLACE, "id": handle.id, "task": task, "created": state.is_new}
    if state is Acceptance.conflict:
        item["problem"] = _conflict(handle.id).document(base)
    elif status is None:
        item["state"] = state if state.is_new else None
    else:
        item.update((name, getattr(status, name)) for name in _NO_PLACE)
    return item


def _conflict(job_id: str) -> Problem:
    return Problem("id-conflict", f"job {job_id!r} exists with another task or other arguments; choose another id")
