"""Client: submits jobs by name, asks, waits and cancels, with no code of the tasks. The HTTP API and the command line use it."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

from runner.client.catalog import PublishedTask
from runner.client.control import Control
from runner.client.handle import JobHandle
from runner.client.session import Session
from runner.clock import MICROSECONDS, wall_us
from runner.errors import CannotRetry, StoreUnavailable, SubmissionRefused
from runner.jobs import JobOptions, JobStatus, State, Submission, TaskSpec, check_job_id, explain
from runner.limits import LimitStatus
from runner.settings import Settings, load_settings
from runner.store import Finding, WorkerStatus, examine, refuse_unfit_server

log = logging.getLogger("runner")


class JobRequest(NamedTuple):
    """One job by name: the task, its arguments, and how to submit it."""

    task: str
    args: Mapping[str, Any]
    options: JobOptions = JobOptions()


class Client:
    """A producer's connection to one queue. Open it inside the event loop that uses it; close it, or use `async with`.

    Without `redis_url` and RUNNER_REDIS_URL it uses the embedded server of the current folder.
    """

    def __init__(self, queue: str = "default", *, redis_url: str | None = None, settings: Settings | None = None) -> None:
        self._session = Session(queue, settings or load_settings(redis_url=redis_url))

    @property
    def queue(self) -> str:
        """The queue's name."""
        return self._session.queue

    @property
    def settings(self) -> Settings:
        """The settings this client works with."""
        return self._session.settings

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection, once all that was submitted has its answer."""
        await self._session.close()

    async def submit(self, task: str, args: Mapping[str, Any], options: JobOptions | None = None) -> JobHandle[Any]:
        """Submit one job by name. Jobs that are submitted at the same time share a call; each has its own answer.

        Raises `UnknownTask`, `InvalidArguments`, `JobIdConflict` or another `SubmissionRefused`, `BacklogFull` or `StoreFull`:
        nothing is stored then. Raises `StoreUnavailable`.
        """
        published = await self._session.catalog.get(task)
        job = published.prepare(args, options or JobOptions())
        return JobHandle(self._session, job.id, await self._session.submit(job))

    async def submit_many(self, requests: Sequence[JobRequest], *, return_conflicts: bool = False) -> list[JobHandle[Any]]:
        """Submit many jobs by name, 500 in one step. All are checked before the first is stored; a refusal names its index as `index`.

        Raises `BacklogFull` if they do not all fit under `max_backlog`: nothing new is stored. Raises `JobIdConflict` for the first
        id that another job has; all other jobs are stored then. With `return_conflicts` it does not: the handle's `first_state` is
        `Acceptance.conflict`.
        """
        jobs = await self._prepared(requests)
        states = await self._session.submit_many(jobs, return_conflicts=return_conflicts)
        return [JobHandle(self._session, job.id, state) for job, state in zip(jobs, states, strict=True)]

    async def _prepared(self, requests: Iterable[JobRequest]) -> list[Submission]:
        """All requests for one task are checked against the same catalog."""
        jobs: list[Submission] = []
        tasks: dict[str, PublishedTask] = {}
        try:
            for name, args, options in requests:
                task = tasks.get(name) or tasks.setdefault(name, await self._session.catalog.get(name))
                jobs.append(task.prepare(args, options))
        except SubmissionRefused as error:
            error.index = len(jobs)
            raise
        return jobs

    def job(self, job_id: str) -> JobHandle[Any]:
        """A handle on a job submitted elsewhere. Raises `InvalidJobId`."""
        return JobHandle(self._session, check_job_id(job_id))

    async def status(self, job_id: str) -> JobStatus:
        """The job as it is now. Questions that are asked at the same time share a call. Raises `UnknownJob`."""
        return await self._session.status(job_id)

    async def statuses(self, job_ids: Sequence[str]) -> list[JobStatus | None]:
        """Many jobs in one call; None for an unknown one."""
        return await self._session.store.get(job_ids)

    async def wait(self, job_id: str, timeout: float | None = None) -> JobStatus:
        """The job once it is final, or as it is after `timeout` seconds. Raises `UnknownJob`."""
        return await self._session.wait(job_id, timeout)

    async def result(self, job_id: str, timeout: float | None = None) -> Any:
        """The job's result. Raises `JobFailed`, `JobCancelled`, `JobExpired`, `UnknownJob`, or TimeoutError."""
        return await JobHandle[Any](self._session, job_id).result(timeout)

    async def cancel(self, job_id: str) -> JobStatus:
        """Stop a job. Cancelling twice is the same answer; raises `AlreadyFinished` if it ended otherwise, `UnknownJob`."""
        return await self.job(job_id).cancel()

    async def retry(self, job_id: str) -> JobStatus:
        """Run a job again that failed, expired or was cancelled; one that is ready or waits already stays as it is.

        Raises `UnknownJob`, `CannotRetry` for any other.
        """
        answer = await self._session.store.retry(check_job_id(job_id))
        if answer not in (None, State.queued, State.waiting, State.failed):
            raise CannotRetry(f"job {job_id} is {answer}; only one that failed, expired or was cancelled can be run again")
        return await self.status(job_id)

    async def explain(self, status: JobStatus) -> list[str]:
        """Why a job is where it is, in sentences with numbers, and the next command."""
        limits = await self.limits() if status.state is State.waiting else []
        return explain(status, limits, wall_us() / MICROSECONDS)

    async def examine(self) -> list[Finding]:
        """Check the server's version, role, memory policy, durability, clock and permissions. Raises `StoreUnavailable`."""
        return await examine(self._session.store)

    async def refuse_unfit_server(self) -> None:
        """Raises `ConfigurationError` if the server cannot be used as it is. If it cannot be reached, a warning is logged."""
        try:
            await refuse_unfit_server(self._session.store)
        except StoreUnavailable as error:
            log.warning("Redis was not checked: %s", error)

    async def tasks(self) -> list[TaskSpec]:
        """The tasks that workers have published."""
        return [TaskSpec.from_json(fields) for fields in (await self._session.store.tasks()).values()]

    async def limits(self) -> list[LimitStatus]:
        """Every limit, with its live buckets."""
        return await self._session.store.limits()

    @property
    def control(self) -> Control:
        """Change, pause and freeze limits while everything runs."""
        return Control(self._session.store)

    async def workers(self) -> list[WorkerStatus]:
        """The workers that hold a lease."""
        return await self._session.store.workers()

    async def check(self) -> None:
        """Show that the queue can be used: runs a script. Raises `StoreUnavailable`."""
        await self._session.store.check()


def session_of(client: Client) -> Session:
    """The session of a client, for the other rooms of this library."""
    return client._session  # noqa: SLF001 - private to users, who have the client's methods
