"""Foretelling: the verbs of a client that say what would become of jobs by name, and store nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from runner.client.catalog import PublishedTask
from runner.client.handle import JobHandle
from runner.client.job_request import JobRequest
from runner.client.session import Session
from runner.jobs import Acceptance, BatchForesight, Foresight, JobOptions, OtherJob, Submission


class Foretelling:
    """A part of `Client`."""

    _most_backlog: int | None

    @property
    def _session(self) -> Session:
        raise NotImplementedError

    def _prepare(self, published: PublishedTask, args: Mapping[str, Any], options: JobOptions) -> Submission:
        raise NotImplementedError

    async def _prepared(self, requests: Iterable[JobRequest]) -> list[Submission]:
        raise NotImplementedError

    def _handle(self, stored_id: str, answer: Acceptance | OtherJob) -> JobHandle[Any]:
        raise NotImplementedError

    async def foresee(self, task: str, args: Mapping[str, Any], options: JobOptions | None = None) -> Foresight:
        """What would become of a job that is submitted now, and when it would start and end. Nothing is stored.

        Raises what `submit` would, but for what only shows as a job is stored: that the server has no memory left.
        """
        published = await self._session.catalog.get(task)
        job = self._prepare(published, args, options or JobOptions())
        return self._told(await self._session.foresee(job, published.on_conflict, self._most_backlog))

    async def foresee_many(self, requests: Sequence[JobRequest], *, return_conflicts: bool = False) -> BatchForesight:
        """What would become of jobs that are submitted now, together, in this order: when each would start, and when all have ended.

        Each comes behind those before it. Nothing is stored. Raises what `submit_many` would, as `foresee` does; with `return_conflicts` the
        `state` of a job says that it would be refused.
        """
        jobs = await self._prepared(requests)
        found = await self._session.foresee_many(jobs, return_conflicts=return_conflicts, most_backlog=self._most_backlog)
        return BatchForesight(tuple(map(self._told, found.jobs)))

    def _told(self, found: Foresight) -> Foresight:
        """With the id of a job that is there as its caller knows it."""
        return found if found.id is None else replace(found, id=self._handle(found.id, Acceptance.existing).id)
