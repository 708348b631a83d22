"""CallersClient: a client within what one caller of a service may do. Whatever a route asks it for, others stay unseen."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from runner.access import Principal
from runner.client.catalog import PublishedTask
from runner.client.client import Client, jobs_of
from runner.client.handle import JobHandle, handle_of
from runner.client.history import checked_names
from runner.client.job_request import JobRequest
from runner.client.overview import check_sees_keys, hidden_of, line_for, overviews_for
from runner.client.stored_jobs import StoredJobs
from runner.client.view import View
from runner.errors import Forbidden, InvalidArguments, UnknownJob, UnknownParent
from runner.jobs import (
    Acceptance,
    BatchForesight,
    Foresight,
    HistoryStep,
    JobEvent,
    JobOptions,
    JobStatus,
    OtherJob,
    Series,
    Spending,
    SpentBy,
    Submission,
    TaskStatus,
    of_tenant,
)
from runner.limits import LimitStatus
from runner.store import Depth, Overview, WaitingBuckets, WaitingLine

TENANT_ARGUMENT = "tenant_id"


class CallersClient(Client):
    """The verbs of another client, on its connections. Of limits a tenant sees its own buckets only; changes of limits are no verb of its.

    argument: a task that has one of this name gets the tenant by it. before_more: called with their number before more than one job is
    submitted or foretold at once, with that of those after the first; what it raises is raised.
    """

    def __init__(
        self,
        client: Client,
        principal: Principal,
        *,
        argument: str = TENANT_ARGUMENT,
        before_more: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        self._view = View(principal, client.queue)
        self._jobs = StoredJobs(jobs_of(client).sessions, self._view)
        self._principal = principal
        self._argument = argument
        self._before_more = before_more
        self._most_backlog = principal.max_backlog

    def _prepare(self, published: PublishedTask, args: Mapping[str, Any], options: JobOptions) -> Submission:
        self._view.check_task(published.spec.name)
        tenant = self._principal.tenant
        if tenant is not None:
            if args.get(self._argument, tenant) != tenant:
                said = args[self._argument]
                raise InvalidArguments(f"argument {self._argument!r} is {said!r:.60}, and the key is of another tenant: leave it out")
            if self._argument in published.spec.parameters.get("properties", {}):
                args = {**args, self._argument: tenant}
        job = published.prepare(args, options)
        if tenant is None and not job.after:
            return job
        try:
            after = tuple(map(self._view.stored, job.after))
        except UnknownJob as error:
            raise UnknownParent(f"job {job.id!r} is to come after another: {error}") from None
        if tenant is None:
            return job
        return job._replace(id=self._view.stored(job.id), features=of_tenant(job.features, tenant), after=after)

    async def submit(self, task: str, args: Mapping[str, Any], options: JobOptions | None = None) -> JobHandle[Any]:
        """Submit one job by name, see `Client.submit`. It comes after jobs alone that the caller sees."""
        if self._view.is_by_task and options is not None and options.after:
            await self._check_parents([JobRequest(task, args, options)])
        return await super().submit(task, args, options)

    async def foresee(self, task: str, args: Mapping[str, Any], options: JobOptions | None = None) -> Foresight:
        """What would become of a job, see `Client.foresee`. It comes after jobs alone that the caller sees."""
        if self._view.is_by_task and options is not None and options.after:
            await self._check_parents([JobRequest(task, args, options)])
        return await super().foresee(task, args, options)

    async def foresee_many(self, requests: Sequence[JobRequest], *, return_conflicts: bool = False) -> BatchForesight:
        """What would become of many jobs, see `Client.foresee_many`."""
        await self._check_many(requests)
        return await super().foresee_many(requests, return_conflicts=return_conflicts)

    def _told(self, found: Foresight) -> Foresight:
        told = super()._told(found)
        return told if self._principal.tenant is None or told.pause is None else replace(told, pause=replace(told.pause, by=""))

    async def submit_many(self, requests: Sequence[JobRequest], *, return_conflicts: bool = False) -> list[JobHandle[Any]]:
        """Submit many jobs by name, see `Client.submit_many`."""
        await self._check_many(requests)
        return await super().submit_many(requests, return_conflicts=return_conflicts)

    async def _check_many(self, requests: Sequence[JobRequest]) -> None:
        if self._before_more is not None and len(requests) > 1:
            await self._before_more(len(requests) - 1)
        if self._view.is_by_task and any(request.options.after for request in requests):
            await self._check_parents(requests)

    async def _check_parents(self, requests: Sequence[JobRequest]) -> None:
        """Raises `UnknownParent` for a job that is to come after one which the caller does not see: a job of others is as one that never was."""
        own = {request.options.id for request in requests}
        wanted = [_parents_of(request) for request in requests]
        ids = list(dict.fromkeys(job_id for parents in wanted for job_id in parents if job_id not in own))
        seen = own.union(job_id for job_id, status in zip(ids, await self.statuses(ids, payloads=False), strict=True) if status is not None)
        for index, parents in enumerate(wanted):
            unknown = next((job_id for job_id in parents if job_id not in seen), None)
            if unknown is not None:
                error = UnknownParent(f"job {unknown!r}, which another is to come after, is none that {self._principal.label} may see")
                error.index = index
                raise error

    def _handle(self, stored_id: str, answer: Acceptance | OtherJob) -> JobHandle[Any]:
        return handle_of(self._jobs, stored_id, answer, shown=self._view.shown)

    async def statuses(self, job_ids: Sequence[str], *, payloads: bool = True) -> list[JobStatus | None]:
        """Many jobs of the caller, see `Client.statuses`."""
        own: dict[int, str] = {}
        for place, job_id in enumerate(job_ids):
            with suppress(UnknownJob):
                own[place] = self._view.asked(job_id)
        found = await self._session.store.get(list(own.values()), Depth.full if payloads else Depth.state)
        seen = dict(zip(own, found, strict=True))
        return [None if (status := seen.get(place)) is None else self._seen(status) for place in range(len(job_ids))]

    def events(self, after: str | None = None) -> AsyncGenerator[JobEvent, None]:
        """The ends of the caller's jobs, see `Client.events`."""
        return self._own_events(super().events(after))

    async def _own_events(self, all_events: AsyncGenerator[JobEvent, None]) -> AsyncGenerator[JobEvent, None]:
        missed = False
        async with aclosing(all_events) as events:
            async for event in events:
                missed = missed or event.missed
                own = self._view.event(event)
                if own is not None:
                    yield replace(own, missed=missed)
                    missed = False

    async def latest_event(self) -> str:
        """A place from which to read what comes from now on. Not that of the latest event, which may be of others: when it was is theirs."""
        return await self._session.events.now()

    async def tasks(self) -> list[TaskStatus]:
        """The tasks that the caller may submit."""
        return [task for task in await super().tasks() if self._principal.allows_task(task.name)]

    async def history(
        self,
        *series: str,
        step: HistoryStep | str = HistoryStep.minute,
        since: object = None,
        start: float | datetime | None = None,
        end: float | datetime | None = None,
    ) -> list[Series]:
        """What happened, see `Client.history`; of tasks that the caller may not submit, and of all together, nothing is told."""
        for name in checked_names(series):
            self._check_series(name)
        return await super().history(*series, step=step, since=since, start=start, end=end)

    async def spent(self, limit: str, *, by: SpentBy | str = SpentBy.task, since: object = "30d") -> Spending:
        """What was spent of a budget, see `Client.spent`; by task of those that the caller may submit."""
        found = await super().spent(limit, by=by, since=since)
        if found.by is not SpentBy.task or not self._principal.tasks:
            return found
        return replace(found, rows=tuple(row for row in found.rows if row.name and self._principal.allows_task(row.name)))

    async def history_series(self) -> list[str]:
        """The names of the series that the caller may see."""
        return [name for name in await super().history_series() if self._sees_series(name)]

    def _check_series(self, name: str) -> None:
        if not self._sees_series(name):
            raise Forbidden(f"{self._principal.label} may see the history of its own tasks only, not of {name!r:.80}")

    def _sees_series(self, name: str) -> bool:
        kind, _, task = name.partition(":")
        return not self._principal.tasks or kind == "l" or (kind == "t" and self._principal.allows_task(task))

    async def overview(self) -> Overview:
        """How the queue stands, see `Client.overview`, as far as the caller may see it."""
        return self._session.overlook.without(await super().overview(), hidden_of(self._principal))

    def overviews(self) -> AsyncGenerator[Overview, None]:
        """The same, again each second."""
        return overviews_for(self._principal, self._session.overlook)

    async def waiting_line(self, bucket: str, *, after: int = 0, most: int = 100) -> WaitingLine:
        """Who waits at a bucket, see `Client.waiting_line`; of jobs that are not the caller's, only that they are there."""
        check_sees_keys(self._principal)
        return line_for(self._principal, await super().waiting_line(bucket, after=after, most=most))

    async def waiting_buckets(self, limit: str, *, find: str = "", cursor: str | None = None, most: int = 50) -> WaitingBuckets:
        """The buckets of a limit at which jobs wait, see `Client.waiting_buckets`."""
        check_sees_keys(self._principal)
        return await super().waiting_buckets(limit, find=find, cursor=cursor, most=most)

    async def limits(self) -> list[LimitStatus]:
        """Every limit; for a tenant, of those with a key its own bucket: what others do shows nowhere."""
        if self._principal.tenant is None:
            return await super().limits()
        return [await self._own(status, self._principal.tenant) for status in await self._session.store.limits(most_buckets=0)]

    async def _own(self, status: LimitStatus, tenant: str) -> LimitStatus:
        buckets = []
        if status.code.key is not None:
            name = f"{status.name}/{tenant}"
            for shown in await self._session.store.limits(status.name, most_buckets=0, bucket=name):
                buckets = [bucket for bucket in shown.buckets if bucket.bucket == name]
        waiting = sum(bucket.waiting for bucket in buckets)
        hidden: dict[str, Any] = {"waiting_is_estimate": False, "frozen_reason": None, "started": 0, "unserved": 0}
        if status.override is not None:
            hidden["override"] = replace(status.override, by="")
        if status.paused is not None:
            hidden["paused"] = replace(status.paused, by="")
        return replace(status, buckets=buckets, waiting=waiting, waiting_buckets=int(waiting > 0), **hidden)

    def _seen(self, status: JobStatus) -> JobStatus | None:
        with suppress(UnknownJob):
            return self._view.seen(status)
        return None


def _parents_of(request: JobRequest) -> list[str]:
    """The ids that it names; what is no list of ids is refused later, as for everybody."""
    after: object = request.options.after
    if isinstance(after, str) or not isinstance(after, Sequence):
        return []
    return [job_id for job_id in after if isinstance(job_id, str) and "/" not in job_id]
