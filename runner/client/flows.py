"""Flowing: chains and batches of an app. A part of `Runner`."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from typing_extensions import override

from runner.client.batch import Batch, Filling
from runner.client.flow_building import sealed_batch
from runner.client.handle import JobHandle
from runner.client.job_calls import StoredJobs
from runner.errors import InvalidOption
from runner.foreign import shown
from runner.jobs import Acceptance, OnFailure, Result, Submission, check_job_id, checked_policy, new_job_id
from runner.ranges import checked_whole
from runner.store import JobStore, Opened, node_of_batch

R = TypeVar("R")


class Flowing:
    """A part of `Runner`."""

    @property
    def _jobs(self) -> StoredJobs:
        raise NotImplementedError

    async def submit_many(self, jobs: Iterable[Submission[R]]) -> list[JobHandle[R]]:
        """See `Runner.submit_many`."""
        raise NotImplementedError

    def _kind_of(self, job: Submission[Any]) -> Result | None:
        raise NotImplementedError

    async def chain(self, *jobs: Submission[Any], on_failure: OnFailure = "cancel") -> list[JobHandle[Any]]:
        """Submit jobs of which each comes after the one before: `await jobs.chain(fetch.prepare(url), parse.prepare(url))`; see `Task.after`.

        They are stored in one call as a rule, and in their order always: what was stored of them goes on. Raises as `submit_many`.
        """
        policy = checked_policy(on_failure, "a chain")
        linked: list[Submission[Any]] = []
        for job in jobs:
            if not isinstance(job, Submission):
                raise InvalidOption(f"a job of a chain is {shown(job, 80)}: give those that prepare makes, like fetch.prepare(url)")
            linked.append(job.after_jobs([linked[-1].id], policy) if linked else job)
        return await self.submit_many(linked)

    def batch(self, id: str | None = None, *, then: Submission[Any] | None = None, size: int = 0, on_failure: OnFailure = "run") -> Batch:
        """A batch to be filled: `async with jobs.batch("import-17", then=report.prepare(day)) as batch: batch.add(load.prepare(row))`.

        id: yours, to go on with it, or a random one. then: a job that runs once all jobs of the batch have ended, or is ended as `on_failure`
        says when one has not succeeded. size: how many jobs are coming, if you know: more than fit under `max_backlog` are refused
        (`BacklogFull`) before the first. Raises `InvalidOption`, `InvalidJobId`.
        """
        if then is not None and not isinstance(then, Submission):
            raise InvalidOption(f"what follows the batch is {shown(then, 80)}: give a job that prepare has made, like report.prepare(day)")
        batch_id = new_job_id() if id is None else check_job_id(id)
        policy = checked_policy(on_failure, "a batch")
        whole = checked_whole("size of a batch", size, error=InvalidOption) if size else 0
        return Batch(self._jobs, _Filling(self), batch_id, on_failure=policy, size=whole, then=then)


class _Filling(Filling):
    """How a batch is filled by the code of an app."""

    def __init__(self, app: Flowing) -> None:
        self._app = app

    @property
    def _store(self) -> JobStore:
        return self._app._jobs.sessions.again.store  # noqa: SLF001 - made by it

    @override
    async def open(self, batch_id: str, on_failure: str, size: int, then: Submission[Any] | None) -> None:
        opened = await self._store.open_batch(batch_id, on_failure, size)
        if then is None:
            return
        if opened is not Opened.new:
            known = await self._store.members(node_of_batch(batch_id))
            if known is not None and known.batch is not None and known.batch.then is not None:
                return  # by a block before, with a random id as a rule
        await self._app.submit_many([then.with_features(ends_batch=batch_id, on_failure=on_failure)])

    @override
    async def put(self, batch_id: str, jobs: Sequence[Submission[Any]]) -> None:
        handles = await self._app.submit_many([job.with_features(of_batch=batch_id) for job in jobs])
        before = [handle.id for handle in handles if handle.first_state is Acceptance.existing]
        if before and (await self._store.link(node_of_batch(batch_id), before)).over:
            raise sealed_batch(batch_id)

    @override
    def handle(self, job: Submission[R]) -> JobHandle[R]:
        return JobHandle(self._app._jobs, job.id, kind=self._app._kind_of(job))  # noqa: SLF001 - made by it

    @override
    async def seal(self, batch_id: str) -> None:
        await self._store.seal(node_of_batch(batch_id))
