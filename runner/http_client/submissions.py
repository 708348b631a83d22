"""Submissions as the service takes them: the body of one job, and batches of many in which each job has an id."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json

from runner.client import JobRequest, duplicate_of
from runner.errors import InvalidOption, JobIdConflict, SubmissionRefused, UnknownParent, UnknownTask
from runner.foreign import shown
from runner.http_client.documents import foresight_of
from runner.jobs import (
    Acceptance,
    BatchForesight,
    BatchNotOpen,
    Foresight,
    JobOptions,
    OtherJob,
    asked_uniqueness,
    check_job_id,
    check_options,
    checked_tags,
    fields_of_unique,
    metadata_of_options,
    new_job_id,
    sent_by_name,
)
from runner.ranges import checked

MOST_JOBS = 1_000
MOST_BYTES = 7_500_000
"""Of one batch: the service takes 8 MiB."""


class Prepared(NamedTuple):
    """A job on its way: its id, the body that submits it, and whether the id was made here, so that no other job can have it."""

    id: str
    body: bytes
    is_own: bool


def prepared(task: str, args: Any, options: JobOptions) -> Prepared:
    """A job with an id: however often it is sent, it is one job. Raises `SubmissionRefused` for what can be seen without the task."""
    name: object = task
    if not isinstance(name, str):
        raise UnknownTask(f"{shown(name, 80)} is no name of a task: give the text under which it is declared")
    check_options(options)
    options.delay_us()
    if options.max_wait is not None:
        checked("max_wait", options.max_wait, error=InvalidOption)
    if options.deadline is not None:
        checked("deadline of a job", options.deadline, error=InvalidOption)
    job_id = new_job_id() if options.id is None else check_job_id(options.id)
    fields = {
        "task": task,
        "id": job_id,
        "priority": options.priority,
        "delay": options.delay,
        "run_at": None if options.run_at is None else options.run_at.isoformat(),
        "max_wait": options.max_wait,
        "deadline": options.deadline,
        "pool": options.pool,
        "cost": options.cost and dict(options.cost),
        "unique": _unique_field(options),
        "tags": checked_tags(options.tags) or None,
        "after": None if options.after is None else list(options.after),
        "on_failure": options.on_failure,
        "batch": options.batch,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    encoded = sent_by_name(task, args)
    metadata = metadata_of_options(options.metadata)
    own = b',"metadata":' + metadata.encode() if metadata else b""
    return Prepared(job_id, to_json(given, fallback=repr)[:-1] + own + b',"args":' + encoded + b"}", options.id is None)


def _unique_field(options: JobOptions) -> bool | dict[str, Any] | None:
    """As the service takes it. Raises `InvalidOption`."""
    if options.unique is None or isinstance(options.unique, bool):
        return options.unique
    unique = asked_uniqueness(options.unique)
    return None if unique is None else fields_of_unique(unique)


def all_prepared(requests: Sequence[JobRequest]) -> list[Prepared]:
    """Many jobs. Raises `SubmissionRefused` with the index of the first that is refused."""
    jobs: list[Prepared] = []
    try:
        for request in requests:
            given: object = request
            if not (isinstance(given, tuple) and len(given) == len(JobRequest._fields)):
                raise InvalidOption(f"a request is {shown(given, 80)}: give JobRequest(task, args), and options if it has any")
            jobs.append(prepared(*request))
    except SubmissionRefused as error:
        error.index = len(jobs)
        raise
    return jobs


def batches(jobs: Sequence[Prepared]) -> Iterator[list[Prepared]]:
    """The jobs in parts that the service takes as one batch: of two with the same id each is in its own."""
    part: list[Prepared] = []
    size, ids = 0, set[str]()
    for job in jobs:
        if part and (len(part) == MOST_JOBS or size + len(job.body) > MOST_BYTES or job.id in ids):
            yield part
            part, size, ids = [], 0, set()
        part.append(job)
        size += len(job.body) + 1
        ids.add(job.id)
    if part:
        yield part


def one_batch(jobs: Sequence[Prepared]) -> Sequence[Prepared]:
    """These jobs, if the service takes them as one batch. Raises `InvalidOption`."""
    if len(list(batches(jobs))) > 1:
        raise InvalidOption(
            f"{len(jobs)} jobs are more than one request asks about: give up to {MOST_JOBS} with different ids, of {MOST_BYTES} bytes together"
        )
    return jobs


def batch_foresight_of(
    documents: Sequence[dict[str, Any]], jobs: Sequence[Prepared], requests: Sequence[JobRequest], *, return_conflicts: bool
) -> BatchForesight:
    """What would become of a batch. Raises the first refusal, unless `return_conflicts`."""
    told: list[Foresight] = []
    for at, (document, job, request) in enumerate(zip(documents, jobs, requests, strict=True)):
        if document.get("problem") is None:
            told.append(foresight_of(document))
            continue
        answer = answer_of({**document, "id": job.id}, job)
        state, job_id = answer if isinstance(answer, OtherJob) else (answer, job.id)
        error = refusal_of(request.task, state, job_id)
        if error is not None and not return_conflicts:
            error.index = at
            raise error
        told.append(Foresight(request.task, state, job_id))
    return BatchForesight(tuple(told))


def batch_body(part: Sequence[Prepared]) -> bytes:
    """The body of a batch."""
    return b'{"jobs":[' + b",".join(job.body for job in part) + b"]}"


def begin_body(batch_id: str, on_failure: str, size: int, then: JobRequest | None) -> bytes:
    """The body that begins a batch. Raises `SubmissionRefused` for the job that follows it."""
    fields = to_json({"id": batch_id, "on_failure": on_failure, "size": size or None})
    if then is None:
        return fields
    (following,) = all_prepared([then])
    return fields[:-1] + b',"then":' + following.body + b"}"


def answer_of(document: dict[str, Any], job: Prepared) -> Acceptance | OtherJob:
    """What the submission of this job was answered."""
    problem = document.get("problem")
    if problem is not None and "job" in problem:
        return OtherJob(Acceptance.duplicate, problem["job"])
    if document["id"] != job.id:
        return OtherJob(Acceptance.replaced if document.get("replaced") else Acceptance.existing, document["id"])
    return _acceptance_of(document, is_own=job.is_own)


def _acceptance_of(document: dict[str, Any], *, is_own: bool) -> Acceptance:
    """The same of a job that is there. An id that was made here was there before only because this very job was sent twice."""
    problem = document.get("problem")
    if problem is not None and document.get("state") is None:
        return _NOT_STORED.get(problem["type"].rpartition("/")[2], Acceptance.conflict)
    if not document["created"] and not is_own:
        return Acceptance.existing
    state = document.get("state")
    return Acceptance(state) if state in _FIRST else Acceptance.queued


def refusal_of(task: str, state: Acceptance, job_id: str) -> SubmissionRefused | None:
    """Why a job of several was not stored; None if it was."""
    if state is Acceptance.conflict:
        return JobIdConflict(f"job {job_id!r} exists with another task or other arguments; choose another id")
    if state is Acceptance.no_parent:
        return UnknownParent(f"job {job_id!r} is to come after one that there is not; it was not stored")
    if state is Acceptance.sealed:
        return BatchNotOpen(f"job {job_id!r} is to join a batch that was never begun, or takes no more; it was not stored")
    return duplicate_of(task, job_id) if state is Acceptance.duplicate else None


_NOT_STORED = {"unknown-parent": Acceptance.no_parent, "batch-not-open": Acceptance.sealed}
_FIRST = {Acceptance.queued, Acceptance.waiting, Acceptance.scheduled, Acceptance.failed}
