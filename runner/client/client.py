"""Client: submit by name, ask, wait and cancel, with nothing but the queue's catalog. What the API and the command line use."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Self, TypeVar, cast

from pydantic_core import PydanticSerializationError, to_json

from runner.client.batcher import Batcher
from runner.client.catalog import Catalog, PublishedTask
from runner.client.control import Control
from runner.client.finish_listener import FinishListener
from runner.client.limiter import Limiter
from runner.clock import MICROSECONDS, wall_us
from runner.connection import redis_url
from runner.errors import (
    AlreadyFinished,
    CannotRetry,
    InvalidArguments,
    JobCancelled,
    JobExpired,
    JobFailed,
    JobIdConflict,
    StoreUnavailable,
    SubmissionRefused,
    UnknownJob,
)
from runner.jobs import JobOptions, JobStatus, NotJson, State, Submission, TaskSpec, check_job_id, explain, prepare, refuse_constants
from runner.limits import LimitStatus
from runner.settings import Settings, load_settings
from runner.store import MOST_PER_CALL, Finding, JobStore, examine, refuse_unfit_server

R = TypeVar("R")

log = logging.getLogger("runner")

_MOST_STATUSES = 50
"""In one call. What a job has for arguments and result comes with its status, and how large that is nobody knows before."""


class JobRequest(NamedTuple):
    """One job by name: the task, its arguments, and how to submit it."""

    task: str
    args: Mapping[str, Any]
    options: JobOptions = JobOptions()


class JobHandle(Generic[R]):
    """One submitted job. `first_state` is what the submission answered: its first state, or 'existing'."""

    __slots__ = ("_client", "first_state", "id")

    def __init__(self, client: "Client", job_id: str, first_state: str = "existing") -> None:
        self._client = client
        self.id = job_id
        self.first_state = first_state

    async def status(self) -> JobStatus:
        """The job as it is now. Raises `UnknownJob` once its result has expired."""
        return await self._client.status(self.id)

    async def wait(self, timeout: float | None = None) -> JobStatus:
        """The job once it is final, or as it is after `timeout` seconds. Redis is not polled meanwhile."""
        return await self._client.wait(self.id, timeout)

    async def result(self, timeout: float | None = None) -> R:
        """The job's result. Raises `JobFailed`, `JobCancelled` or `JobExpired` if there is none, TimeoutError after `timeout` seconds."""
        return cast("R", await self._client.result(self.id, timeout))

    async def cancel(self) -> JobStatus:
        """Stop the job; a running one ends when its handler does. Raises `AlreadyFinished`."""
        return await self._client.cancel(self.id)

    def __repr__(self) -> str:
        return f"JobHandle({self.id!r})"


class Client:
    """A producer's connection to one queue. Open it inside the event loop that uses it; close it, or use `async with`."""

    def __init__(self, queue: str = "default", *, url: str | None = None, settings: Settings | None = None) -> None:
        self.queue = queue
        self.settings = settings or load_settings(redis_url=url)
        self.store = JobStore(redis_url(self.settings), queue, self.settings)
        self._listener = FinishListener(self.store)
        self.limiter = Limiter(self.store, self._listener)
        self._catalog = Catalog(self.store)
        self._submissions = Batcher(self.store.submit_each, most=MOST_PER_CALL, size_of=_size)
        self._statuses = Batcher(self._status_each, most=_MOST_STATUSES)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection, once what is submitted has its answer."""
        await self._submissions.close()
        await self._statuses.close()
        await self._listener.close()
        await self._catalog.close()
        await self.store.close()

    async def submit(self, task: str, args: Mapping[str, Any], options: JobOptions | None = None) -> JobHandle[Any]:
        """Submit one job by name. Raises `UnknownTask`, `InvalidArguments` or another `SubmissionRefused`, `BacklogFull` or `StoreFull`.

        Nothing is stored then.
        """
        return await self.send_one(await self.prepare(JobRequest(task, args, options or JobOptions())))

    async def submit_many(self, requests: Sequence[JobRequest]) -> list[JobHandle[Any]]:
        """Submit many by name, 500 in one step. All are checked before the first is sent; a refusal names its index as `index`.

        Raises `BacklogFull` if they do not all fit under `max_backlog`: nothing new is stored.
        """
        return await self.send(await self.prepare_many(requests))

    async def prepare(self, request: JobRequest) -> Submission:
        """Check one job against the catalog and make it a submission, without sending it. Raises a `SubmissionRefused`."""
        return self._prepared(await self._catalog.get(request.task), request)

    async def prepare_many(self, requests: Iterable[JobRequest]) -> list[Submission]:
        """The same for many; a refusal names its index as `index`. All of one task are checked against the same catalog."""
        jobs: list[Submission] = []
        known: dict[str, PublishedTask] = {}
        try:
            for request in requests:
                task = known.get(request.task) or known.setdefault(request.task, await self._catalog.get(request.task))
                jobs.append(self._prepared(task, request))
        except SubmissionRefused as error:
            error.index = len(jobs)
            raise
        return jobs

    async def send(self, jobs: Sequence[Submission]) -> list[JobHandle[Any]]:
        """Send submissions that were prepared before. Raises `JobIdConflict` naming the first id taken by another job; the others are in."""
        handles = await self.send_each(jobs)
        for index, handle in enumerate(handles):
            if handle.first_state == "conflict":
                error = _conflict(handle.id)
                error.index = index
                raise error
        return handles

    async def send_each(self, jobs: Sequence[Submission]) -> list[JobHandle[Any]]:
        """The same without raising for an id that is taken: that handle's `first_state` is 'conflict'."""
        return [JobHandle(self, job.id, state) for job, state in zip(jobs, await self.store.submit(jobs), strict=True)]

    async def send_one(self, job: Submission) -> JobHandle[Any]:
        """Send one prepared job; with those that are sent at the same time it shares a call, and nothing else.

        Raises `JobIdConflict`, `BacklogFull`, `StoreFull`, `StoreUnavailable`.
        """
        state = await self._submissions.ask(job)
        if state == "conflict":
            raise _conflict(job.id)
        return JobHandle(self, job.id, state)

    def job(self, job_id: str) -> JobHandle[Any]:
        """A handle on a job submitted elsewhere."""
        return JobHandle(self, check_job_id(job_id))

    async def status(self, job_id: str) -> JobStatus:
        """The job as it is now; what is asked at the same time shares a call. Raises `UnknownJob`."""
        return await self._statuses.ask(job_id)

    async def statuses(self, job_ids: Sequence[str]) -> list[JobStatus | None]:
        """Many jobs in one call; None for an unknown one."""
        return await self.store.get(job_ids)

    async def wait(self, job_id: str, timeout: float | None = None) -> JobStatus:
        """The job once it is final, or as it is after `timeout` seconds. Raises `UnknownJob`."""
        return self._found(job_id, await self._listener.wait(job_id, timeout))

    async def result(self, job_id: str, timeout: float | None = None) -> Any:
        """The job's result. Raises `JobFailed`, `JobCancelled`, `JobExpired`, `UnknownJob`, or TimeoutError."""
        status = await self.wait(job_id, timeout)
        if status.state is State.succeeded:
            return status.result
        if status.state is State.failed:
            error = status.error or {}
            message = f"job {job_id} failed: {error.get('type', 'error')}: {error.get('message', '')}"
            raise JobFailed(message)
        if status.state is State.cancelled:
            message = f"job {job_id} was cancelled"
            raise JobCancelled(message)
        if status.state is State.expired:
            message = f"job {job_id} waited longer than its max_wait"
            raise JobExpired(message)
        message = f"job {job_id} is still {status.state} after {timeout} s"
        raise TimeoutError(message)

    async def cancel(self, job_id: str) -> JobStatus:
        """Stop a job. Cancelling twice is the same answer; raises `AlreadyFinished` if it ended otherwise, `UnknownJob`."""
        answer = await self.store.cancel(check_job_id(job_id))
        if answer not in ("unknown", "cancelled", "stopping"):
            message = f"job {job_id} has already {answer}; there is nothing to cancel"
            raise AlreadyFinished(message)
        return await self.status(job_id)

    async def retry(self, job_id: str) -> JobStatus:
        """Run a job again that failed, expired or was cancelled; one that is ready or waits already stays as it is.

        Raises `UnknownJob`, `CannotRetry` for any other.
        """
        answer = await self.store.retry(check_job_id(job_id))
        if answer not in ("unknown", "queued", "waiting", "failed"):
            message = f"job {job_id} is {answer}; only one that failed, expired or was cancelled can be run again"
            raise CannotRetry(message)
        return await self.status(job_id)

    async def explain(self, status: JobStatus) -> list[str]:
        """Why a job is where it is, in sentences with numbers, and the command to give next."""
        limits = await self.limits() if status.state is State.waiting else []
        return explain(status, limits, wall_us() / MICROSECONDS)

    async def examine(self) -> list[Finding]:
        """What can be wrong with the server: version, role, memory policy, durability, clock and permissions. Raises `StoreUnavailable`."""
        return await examine(self.store)

    async def refuse_unfit_server(self) -> None:
        """Raises `ConfigurationError` if the server cannot be used as it is. That it is away is no error, and a warning is logged."""
        try:
            await refuse_unfit_server(self.store)
        except StoreUnavailable as error:
            log.warning("Redis was not checked: %s", error)

    async def tasks(self) -> list[TaskSpec]:
        """The tasks that workers have published."""
        return [TaskSpec.from_json(fields) for fields in (await self.store.tasks()).values()]

    async def limits(self) -> list[LimitStatus]:
        """Every limit, with its live buckets."""
        return await self.store.limits()

    @property
    def control(self) -> Control:
        """Change, pause and freeze limits while everything runs."""
        return Control(self.store)

    async def workers(self) -> list[dict[str, Any]]:
        """The workers that hold a lease."""
        return await self.store.workers()

    async def check(self) -> None:
        """Show that the queue can be used: runs a script. Raises `StoreUnavailable`."""
        await self.store.check()

    async def _status_each(self, job_ids: Sequence[str]) -> list[JobStatus | UnknownJob]:
        return [status or self._unknown(job_id) for job_id, status in zip(job_ids, await self.store.get(job_ids), strict=True)]

    def _prepared(self, task: PublishedTask, request: JobRequest) -> Submission:
        task.check(request.args)
        try:
            encoded = to_json(request.args, inf_nan_mode="constants")
            refuse_constants(encoded)
        except (NotJson, PydanticSerializationError) as error:
            message = f"task {request.task!r}: arguments cannot be sent as JSON: {error}"
            raise InvalidArguments(message) from error
        return prepare(task.spec, task.uses, encoded, {**task.defaults, **request.args}, request.options)

    def _found(self, job_id: str, status: JobStatus | None) -> JobStatus:
        if status is None:
            raise self._unknown(job_id)
        return status

    def _unknown(self, job_id: str) -> UnknownJob:
        return UnknownJob(f"no job {job_id!r} on queue {self.queue!r}: never submitted, or its result has expired")


def _conflict(job_id: str) -> JobIdConflict:
    message = f"job {job_id!r} exists with another task or other arguments; choose another id"
    return JobIdConflict(message)


def _size(job: Submission) -> int:
    return len(job.args)
