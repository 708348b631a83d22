"""Flowing: chains and batches of an app, and what would become of jobs together. A part of `Runner`."""

from collections.abc import Iterable
from typing import Any, TypeVar

from runner.client import at_use
from runner.client.handle import JobHandle
from runner.errors import InvalidOption
from runner.foreign import shown
from runner.jobs import BatchForesight, Foresight, OnFailure, Result, Submission, checked_policy

R = TypeVar("R")


class Flowing:
    """A part of `Runner`."""

    @property
    def _jobs(self) -> "at_use.StoredJobs":
        raise NotImplementedError

    @property
    def _publication(self) -> "at_use.Publication":
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

    def batch(
        self, id: str | None = None, *, then: Submission[Any] | None = None, size: int = 0, on_failure: OnFailure = "run"
    ) -> "at_use.Batch":
        """A batch to be filled: `async with jobs.batch("import-17", then=report.prepare(day)) as batch: batch.add(load.prepare(row))`.

        id: yours, to go on with it, or a random one. then: a job that runs once all jobs of the batch have ended, or is ended as `on_failure`
        says when one has not succeeded. size: how many jobs are coming, if you know: more than fit under `max_backlog` are refused
        (`BacklogFull`) before the first. Raises `InvalidOption`, `InvalidJobId`.
        """
        if then is not None and not isinstance(then, Submission):
            raise InvalidOption(f"what follows the batch is {shown(then, 80)}: give a job that prepare has made, like report.prepare(day)")
        batch_id, policy, whole = at_use.asked_batch(id, size, on_failure)
        return at_use.Batch(self._jobs, at_use.FillingByApp(self), batch_id, on_failure=policy, size=whole, then=then)

    async def _foresee(self, job: Submission[Any]) -> Foresight:
        return await (await self._published_session()).foresee(job)

    async def foresee_many(self, jobs: Iterable[Submission[Any]]) -> BatchForesight:
        """What would become of jobs made by `Task.prepare` that are submitted now, together: when each would start, and when all have ended.

        Each comes behind those before it. Nothing is stored, and no hook is called. Raises what `submit_many` would.
        """
        checked = checked_jobs(jobs)
        return await (await self._published_session()).foresee_many(checked)

    async def _published_session(self) -> "at_use.Session":
        session = self._jobs.sessions.again
        await self._publication.keep(session.store)
        return session


def checked_jobs(jobs: Iterable[Submission[Any]]) -> list[Submission[Any]]:
    """Jobs that `prepare` has made. Raises `InvalidOption`."""
    found = list(jobs)
    for job in found:
        if not isinstance(job, Submission):
            raise InvalidOption(f"a job is {shown(job, 80)}: give jobs made by prepare, like [charge.prepare(order) for order in orders]")
    return found
