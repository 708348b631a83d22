"""Session: the connection of one process to one queue, and what all its users share. `Client` is its public face."""

from collections.abc import Sequence

from runner.client.batcher import Batcher
from runner.client.catalog import Catalog
from runner.client.finish_listener import FinishListener
from runner.client.limiter import Limiter
from runner.connection import redis_url
from runner.errors import JobIdConflict, UnknownJob
from runner.jobs import Acceptance, JobStatus, Submission
from runner.settings import Settings
from runner.store import MOST_PER_CALL, JobStore

_MOST_STATUSES = 50
"""In one call. A status carries the job's arguments and result, whose sizes the client does not know before."""


class Session:
    """Open it inside the event loop that uses it. Raises `ConfigurationError` for a URL that cannot be used."""

    def __init__(self, queue: str, settings: Settings) -> None:
        self.queue = queue
        self.settings = settings
        self.store = JobStore(redis_url(settings), queue, settings)
        self.catalog = Catalog(self.store)
        self._listener = FinishListener(self.store)
        self.limiter = Limiter(self.store, self._listener)
        self._submissions = Batcher(self.store.submit_each, most=MOST_PER_CALL, size_of=_size)
        self._statuses = Batcher(self._status_each, most=_MOST_STATUSES)

    async def close(self) -> None:
        """Close every connection, once all that was submitted has its answer."""
        await self._submissions.close()
        await self._statuses.close()
        await self._listener.close()
        await self.catalog.close()
        await self.store.close()

    async def submit(self, job: Submission) -> Acceptance:
        """Store one job. Jobs that are submitted at the same time share a call; each has its own answer.

        Raises `JobIdConflict`, `BacklogFull`, `StoreFull`, `StoreUnavailable`.
        """
        state = await self._submissions.ask(job)
        if state is Acceptance.conflict:
            raise _conflict(job.id)
        return state

    async def submit_many(self, jobs: Sequence[Submission], *, return_conflicts: bool = False) -> list[Acceptance]:
        """Store many jobs, 500 in one step.

        Raises `JobIdConflict` naming the first id that another job has, unless `return_conflicts`; all other jobs are stored then.
        """
        states = await self.store.submit(jobs)
        if not return_conflicts and Acceptance.conflict in states:
            index = states.index(Acceptance.conflict)
            error = _conflict(jobs[index].id)
            error.index = index
            raise error
        return states

    async def status(self, job_id: str) -> JobStatus:
        """The job as it is now; statuses that are asked for at the same time share a call. Raises `UnknownJob`."""
        return await self._statuses.ask(job_id)

    async def wait(self, job_id: str, timeout: float | None) -> JobStatus:
        """The job once it is final, or as it is after `timeout` seconds. Raises `UnknownJob`."""
        status = await self._listener.wait(job_id, timeout)
        if status is None:
            raise self._unknown(job_id)
        return status

    async def _status_each(self, job_ids: Sequence[str]) -> list[JobStatus | UnknownJob]:
        return [status or self._unknown(job_id) for job_id, status in zip(job_ids, await self.store.get(job_ids), strict=True)]

    def _unknown(self, job_id: str) -> UnknownJob:
        return UnknownJob(f"no job {job_id!r} on queue {self.queue!r}: never submitted, or its result has expired")


def _conflict(job_id: str) -> JobIdConflict:
    return JobIdConflict(f"job {job_id!r} exists with another task or other arguments; choose another id")


def _size(job: Submission) -> int:
    return len(job.args)
