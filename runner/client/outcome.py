"""The result that the status of an ended job holds, or the error that says why it has none."""

from typing import Any

from runner.errors import JobCancelled, JobExpired, JobFailed, RunnerError
from runner.jobs import JobError, JobStatus, Result, State

Found = JobStatus | RunnerError
"""A job at its end, or why nothing is known of it."""


def status_in(found: Found) -> JobStatus:
    """The status. Raises the error."""
    if isinstance(found, RunnerError):
        raise found
    return found


def result_in(status: JobStatus, job_id: str, kind: Result | None) -> Any:
    """The result, as JSON or of its `kind`. Raises `JobFailed`, `JobCancelled`, `JobExpired`, `InvalidResult`; the job has ended."""
    if status.state is State.succeeded:
        return status.result if kind is None else kind.read(status.result)
    if status.state is State.cancelled:
        raise JobCancelled(f"job {job_id} was cancelled")
    if status.state is State.expired:
        raise JobExpired(f"job {job_id} waited longer than its max_wait, or until its deadline")
    error = status.error or JobError("error", "")
    raise JobFailed(f"job {job_id} failed: {error.type}: {error.message}")
