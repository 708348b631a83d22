"""What the answer to a submission says of each of its jobs."""

from collections.abc import Sequence
from typing import Any

from runner import Acceptance, Client, JobHandle, JobStatus, StoreUnavailable
from runner.http.problems import Problem
from runner.http.schemas import Place

_NO_PLACE: dict[str, Any] = dict.fromkeys(Place.model_fields)
_QUEUED = {**_NO_PLACE, "state": Acceptance.queued.value, "created": True}
_FULLY_ANSWERED = (Acceptance.queued, Acceptance.conflict, Acceptance.duplicate, Acceptance.no_parent, Acceptance.sealed)
"""Answers to a submission that say all about the job."""


async def described(client: Client, tasks: Sequence[str], handles: Sequence[JobHandle[Any]], base: str) -> list[dict[str, Any]]:
    """An item for each job. The reply to its submission is enough for a queued job; one more call asks for all others."""
    found = await _statuses(client, [handle.id for handle in handles if handle.first_state not in _FULLY_ANSWERED])
    return [_item(task, handle, found.get(handle.id), base) for task, handle in zip(tasks, handles, strict=True)]


async def _statuses(client: Client, ids: Sequence[str]) -> dict[str, JobStatus]:
    if not ids:
        return {}
    try:
        return {status.id: status for status in await client.statuses(ids, payloads=False) if status is not None}
    except StoreUnavailable:
        return {}  # an error would make the caller submit the jobs again, and they are stored


def _item(task: str, handle: JobHandle[Any], status: JobStatus | None, base: str) -> dict[str, Any]:
    state = handle.first_state
    if state is Acceptance.queued:
        return {**_QUEUED, "id": handle.id, "task": task}
    item = {**_NO_PLACE, "id": handle.id, "task": task, "created": state.is_new}
    if state is Acceptance.replaced:
        item["replaced"] = True
    problem = problem_of_refused(state, task, handle.id)
    if problem is not None:
        item["problem"] = problem.document(base)
    elif status is None:
        item["state"] = state if state.is_new else None
    else:
        item.update((name, getattr(status, name)) for name in _NO_PLACE)
    return item


def problem_of_refused(state: Acceptance, task: str, job_id: str) -> Problem | None:
    """Why a job of many is not stored; None if it is, or one that will do."""
    if state is Acceptance.conflict:
        return Problem("id-conflict", f"job {job_id!r} exists with another task or other arguments; choose another id")
    if state is Acceptance.duplicate:
        return Problem("duplicate-job", f"task {task!r} is unique, and job {job_id!r} is there", more={"job": job_id})
    if state is Acceptance.no_parent:
        return Problem("unknown-parent", f"job {job_id!r} is to come after one that there is not; it was not stored")
    if state is Acceptance.sealed:
        return Problem("batch-not-open", f"job {job_id!r} is to join a batch that was never begun, or takes no more")
    return None
