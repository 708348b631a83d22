"""What is said of a job in an answer, as `Job` of the schemas describes it, without making that model: its checks would take longer than the rest."""

from collections.abc import Mapping
from typing import Any

from fastapi.responses import Response
from pydantic_core import to_json

from runner import BatchForesight, Foresight, JobStatus
from runner.http.acceptances import problem_of_refused
from runner.http.instants import utc
from runner.http.problems import Problem
from runner.http.schemas import pause_document


def job_answer(
    status: JobStatus,
    explanation: list[str] | None = None,
    story: dict[str, Any] | None = None,
    result: bytes | None = None,
    problem: dict[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A job as `Job` describes it. `result` is the JSON of its result, if that is not in `status`."""
    document = job_document(status)
    document |= {"explanation": explanation, "story": story, "problem": problem}
    if result is None:
        body = as_json(document)
    else:
        del document["result"]
        body = b'%b,"result":%b}' % (as_json(document)[:-1], result)
    return Response(body, headers=headers, media_type="application/json")


def foresight_answer(foreseen: Foresight) -> Response:
    """As `ForeseenJob` describes it."""
    return Response(as_json(_foreseen_document(foreseen)), media_type="application/json")


def batch_foresight_answer(foreseen: BatchForesight, base: str) -> Response:
    """As `ForeseenBatch` describes it. Of a job that would be refused there is no more than why."""
    items = [_item_of(job, problem_of_refused(job.state, job.task, job.id or ""), base) for job in foreseen.jobs]
    return Response(as_json(foreseen.document() | {"jobs": items}), media_type="application/json")


def _item_of(job: Foresight, problem: Problem | None, base: str) -> dict[str, Any]:
    document = _foreseen_document(job)
    return document if problem is None else document | {"state": None, "problem": problem.document(base)}


def _foreseen_document(foreseen: Foresight) -> dict[str, Any]:
    """Its id is text in any case: so who submits reads the id of each answer without asking which one it is."""
    pause = None if foreseen.pause is None else pause_document(foreseen.pause)
    return foreseen.document() | {"id": foreseen.id or "", "pause": pause}


def as_json(document: object) -> bytes:
    """What jobs carry may have been written by others: a number that JSON does not have is null."""
    return to_json(document, inf_nan_mode="null")


_CARRIED = ("args", "result", "error", "attempts", "worker", "ready_at", "explanation", "story")
"""What a job carries may be megabytes long: streams leave it out."""


def document_without_payloads(status: JobStatus) -> dict[str, Any]:
    """A job as streams tell it."""
    return {name: value for name, value in job_document(status).items() if name not in _CARRIED}


def job_document(status: JobStatus) -> dict[str, Any]:
    """A job as `Job` describes it, without making that model: its checks would take longer than all the rest."""
    return {
        "id": status.id,
        "task": status.task,
        "state": status.state,
        "reason": status.reason,
        "limit": status.limit,
        "bucket": status.bucket,
        "position": status.position,
        "eta_s": status.eta_s,
        "end_eta_s": status.end_eta_s,
        "shared": status.shared and status.shared.document(),
        "priority": status.priority,
        "pool": status.pool,
        "worker": status.worker,
        "costs": status.costs,
        "attempt": status.attempt,
        "failures": status.failures,
        "crashes": status.crashes,
        "throttled": status.throttled,
        "cancel_requested": status.cancel_requested,
        "submitted_at": utc(status.submitted_at),
        "ready_at": utc(status.ready_at),
        "started_at": utc(status.started_at),
        "finished_at": utc(status.finished_at),
        "args": status.args,
        "result": status.result,
        "result_bytes": status.result_bytes,
        "error": status.error and status.error.document(),
        "attempts": [one.document() | {"started_at": utc(one.started_at)} for one in status.attempts],
        "progress": progress_document(status),
        "pause": None if status.pause is None else pause_document(status.pause),
        "tags": status.tags,
        "metadata": status.metadata,
        "trace_id": status.trace_id,
        "deadline_at": utc(status.deadline_at),
        "explanation": None,
        "story": None,
        "problem": None,
    }


def progress_document(status: JobStatus) -> dict[str, Any] | None:
    """As `JobProgress` describes it."""
    said = status.progress
    return None if said is None else said.document() | {"at": utc(said.at)}
