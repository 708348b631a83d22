"""Batching: the verb of a client that begins a batch by name. Jobs join it by their options."""

from collections.abc import Iterable

from runner.client.batch import BatchHandle, BlockingBatchHandle, asked_batch
from runner.client.blocking import Blocking, door
from runner.client.flow_building import begin_batch
from runner.client.job_request import JobRequest
from runner.client.session import Session
from runner.client.stored_jobs import StoredJobs
from runner.jobs import OnFailure, Submission


class Batching:
    """A part of `Client`."""

    _jobs: StoredJobs
    _most_backlog: int | None

    @property
    def _session(self) -> Session:
        raise NotImplementedError

    async def _prepared(self, requests: Iterable[JobRequest]) -> list[Submission]:
        raise NotImplementedError

    async def begin_batch(
        self, id: str | None = None, *, then: JobRequest | None = None, size: int = 0, on_failure: OnFailure = "run"
    ) -> BatchHandle:
        """Begin a batch, or go on with one: jobs join it by `JobOptions(batch=id)` until it is sealed, `await batch.seal()`.

        id: yours, so that the call can be repeated, or a random one. then: a job that runs once all jobs of the batch have ended, or is ended as
        `on_failure` says when one has not succeeded. size: how many jobs are coming, if you know: more than fit under `max_backlog` are refused
        (`BacklogFull`) before the first. Raises as `submit`, `InvalidOption` and `BatchNotOpen` for a job that cannot follow it.
        """
        batch_id, policy, whole = asked_batch(id, size, on_failure)
        stored_id, following = self._jobs.stored_id(batch_id), None
        if then is not None:
            (following,) = await self._prepared([then])
        session, most = self._session, self._most_backlog
        await begin_batch(session.store, stored_id, policy, whole, following, lambda job: session.submit(job, most_backlog=most), most)
        return BatchHandle(self._jobs, batch_id)


class BlockingBatching(Blocking):
    """The same for code without an event loop."""

    __slots__ = ()

    def begin_batch(
        self, id: str | None = None, *, then: JobRequest | None = None, size: int = 0, on_failure: OnFailure = "run"
    ) -> BlockingBatchHandle:
        """Begin a batch, or go on with one, see `Client.begin_batch`."""
        batch: BatchHandle = door.call(lambda: self._of.begin_batch(id, then=then, size=size, on_failure=on_failure))
        return batch.blocking
