"""Results that are too large for an answer about a job: the bound, and what is said in their place.

Those that are large, but not too large, go into the answer as they are stored: to read a megabyte of JSON and write it again would keep all
other callers waiting.
"""

from typing import Any

from fastapi import Request

from runner import JobStatus
from runner.errors import NoResult
from runner.http.dependencies import Service
from runner.http.problems import Problem, base_of

_MOST_READ = 32_768


def most_read(service: Service) -> int:
    """The most bytes of a result that is read; a larger one is passed on."""
    return min(most_result(service), _MOST_READ)


def is_passed_on(status: JobStatus) -> bool:
    """Whether there is a result that was not read."""
    return (status.result_bytes or 0) > _MOST_READ


async def with_result(service: Service, status: JobStatus) -> tuple[JobStatus, bytes | None]:
    """The job with the JSON of its result; as it is by now, should it be running again. Raises `UnknownJob` if its time to live has ended."""
    job = service.client.job(status.id)
    try:
        return status, b"".join([part async for part in await job.raw_result()])
    except NoResult:
        return await job.status(most_result=0), None


def most_result(service: Service) -> int:
    """The most bytes of a result in an answer about a job."""
    return service.client.settings.http_max_result_bytes


def is_too_large(status: JobStatus, service: Service) -> bool:
    """Whether the result of a job is left out."""
    return (status.result_bytes or 0) > most_result(service)


def too_large(status: JobStatus, service: Service, request: Request) -> Problem:
    """The problem that says where a result is that was left out."""
    path = f"{base_of(request)}/v1/jobs/{status.id}?result=raw"
    return Problem(
        "result-too-large",
        f"the result of job {status.id} has {status.result_bytes} bytes of JSON, and an answer about a job at most {most_result(service)}"
        f" (http_max_result_bytes): GET {path} sends it alone",
    )


def left_out(status: JobStatus, service: Service, request: Request) -> dict[str, Any] | None:
    """The same as a document beside the job, for a request that has changed something; None if nothing was left out."""
    return too_large(status, service, request).document(base_of(request)) if is_too_large(status, service) else None
