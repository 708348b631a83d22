"""StoredJobs: what the handles of jobs in Redis ask, within what their caller may see."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import replace
from itertools import count

from typing_extensions import override

from runner.client.job_calls import JobCalls
from runner.client.outcome import Found
from runner.client.raw_result import RawResult
from runner.client.reasons import checked_reason
from runner.client.session import duplicate_of
from runner.client.sessions import Sessions
from runner.client.view import EVERYTHING, View
from runner.errors import AlreadyFinished, CannotRetry, NotEnded, UnknownBatch, UnknownJob
from runner.jobs import BatchProgress, JobStatus, MemberState, OtherJob, State, waits_for_jobs
from runner.store import DeleteAnswer, QueueClock, RetryRefusal, node_of_batch

_MOST_NAMED = 5
"""Jobs that an explanation names."""
_MOST_CANCELLED = 100
"""Jobs of a batch that are cancelled at once."""


class StoredJobs(JobCalls):
    """The jobs of a queue as one caller sees them. May be used in any event loop."""

    def __init__(self, sessions: Sessions, view: View = EVERYTHING) -> None:
        self.sessions = sessions
        self._view = view

    @property
    @override
    def clock(self) -> QueueClock | None:
        return self.sessions.here.store.clock

    @override
    async def status(self, job_id: str, most_result: int | None = None) -> JobStatus:
        view = self._view
        return view.seen(await self.sessions.here.status(view.asked(job_id), most_result))

    @override
    async def wait(self, job_id: str, timeout: float | None, most_result: int | None = None) -> JobStatus:
        await self._check(job_id)
        view = self._view
        return view.seen(await self.sessions.here.wait(view.asked(job_id), timeout, most_result))

    @override
    async def changes(self, job_id: str) -> AsyncGenerator[JobStatus, None]:
        async with aclosing(self.sessions.here.changes(self._view.asked(job_id))) as changes:
            async for status in changes:
                yield self._view.seen(status)

    def stored_id(self, job_id: str) -> str:
        """The id in Redis of a job, or a batch, that the caller makes under this one."""
        return self._view.stored(job_id)

    async def waits_for(self, job_id: str) -> str:
        """The jobs that a held one waits for, in words: how many, and the first of them."""
        found = await self.sessions.here.store.members(self._view.asked(job_id), 0, _MOST_NAMED)
        if found is None:
            return ""
        pending = [self._view.shown(member.id) for member in found.page if member.state is MemberState.pending]
        return waits_for_jobs(found.counts[0], found.total, pending)

    @override
    async def batch_progress(self, batch_id: str) -> BatchProgress:
        found = await self.sessions.here.store.members(node_of_batch(self._view.asked(batch_id)))
        if found is None or found.batch is None:
            raise UnknownBatch(f"no batch {batch_id!r} on queue {self.sessions.queue!r}: never opened, or over for 7 days")
        then = found.batch.then
        return replace(found.batch, id=batch_id, then=None if then is None else self._view.shown(then))

    @override
    async def batches(self, most: int) -> list[BatchProgress]:
        view = self._view
        found = await self.sessions.here.store.batches(view.stored(""), most)
        return [replace(one, id=view.shown(one.id), then=None if one.then is None else view.shown(one.then)) for one in found]

    @override
    async def cancel_batch(self, batch_id: str) -> BatchProgress:
        self._view.check_batch(batch_id)
        progress = await self.batch_progress(batch_id)
        store, node = self.sessions.here.store, node_of_batch(self._view.asked(batch_id))
        if progress.then is not None and not progress.has_ended:
            await store.cancel(self._view.asked(progress.then))
        await store.seal(node)
        asked: set[str] = set()
        while await self._cancel_some(node, asked):
            pass
        return await self.batch_progress(batch_id)

    @override
    async def seal_batch(self, batch_id: str) -> BatchProgress:
        await self.sessions.here.store.seal(node_of_batch(self._view.asked(batch_id)))
        return await self.batch_progress(batch_id)

    async def _cancel_some(self, node: str, asked: set[str]) -> bool:
        """Cancel the jobs of a batch that have not ended, and were not asked to; whether there were any. One that runs stays pending meanwhile."""
        store, found = self.sessions.here.store, 0
        for first in count(0, _MOST_CANCELLED):
            page = await store.members(node, first, _MOST_CANCELLED)
            pending = [] if page is None else [member.id for member in page.page if member.state is MemberState.pending]
            new = [job_id for job_id in pending if job_id not in asked]
            asked.update(new)
            found += len(new)
            await asyncio.gather(*(store.cancel(job_id) for job_id in new))
            if len(pending) < _MOST_CANCELLED:
                break
        return found > 0

    async def ends(self, ids: Iterable[str], timeout: float | None) -> AsyncGenerator[tuple[str, Found], None]:
        """Each of these jobs once it has ended, in that order. Raises TimeoutError, `InvalidOption`, `ClientClosed`."""
        own: dict[str, str] = {}
        for job_id in ids:
            try:
                own[self._view.asked(job_id)] = job_id
            except UnknownJob as error:
                yield job_id, error
        session = self.sessions.here
        ends = session.ends(timeout)
        try:
            ends.add(own)
            ends.end()
            while page := await ends.page():
                for stored_id, status in page:
                    yield own[stored_id], session.unknown(stored_id) if status is None else self._seen(status)
        finally:
            ends.close()

    def _seen(self, status: JobStatus) -> Found:
        try:
            return self._view.seen(status)
        except UnknownJob as error:
            return error

    @override
    async def raw_result(self, job_id: str) -> RawResult:
        await self._check(job_id, for_result=True)
        return await self.sessions.here.raw_result(self._view.asked(job_id))

    @override
    async def cancel(self, job_id: str, most_result: int | None = None) -> JobStatus:
        await self._check(job_id)
        answer = await self.sessions.here.store.cancel(self._view.asked(job_id))
        if answer.is_too_late:
            raise AlreadyFinished(f"job {job_id} has already {answer}; there is nothing to cancel")
        return await self.status(job_id, most_result)

    @override
    async def retry(self, job_id: str, most_result: int | None = None, *, ignore_parents: bool = False) -> JobStatus:
        await self._check(job_id)
        answer = await self.sessions.here.store.retry(self._view.asked(job_id), ignore_parents=ignore_parents)
        if answer is RetryRefusal.parents:
            raise CannotRetry(
                f"job {job_id} comes after one that has not succeeded, and would be ended again: run that again, or ignore its parents"
            )
        if isinstance(answer, OtherJob):
            raise duplicate_of((await self.status(job_id, 0)).task, answer.id)
        if answer not in (None, State.queued, State.waiting, State.failed):
            raise CannotRetry(f"job {job_id} is {answer}; only one that failed, expired or was cancelled can be run again")
        return await self.status(job_id, most_result)

    @override
    async def delete(self, job_id: str, reason: str = "") -> None:
        await self._check(job_id)
        session = self.sessions.here
        stored_id = self._view.asked(job_id)
        answer = await session.store.delete(stored_id, checked_reason(reason))
        if answer.is_too_early:
            raise NotEnded(f"job {job_id} has not ended, it is {answer}: cancel it first, or wait for its end")
        if answer is DeleteAnswer.unknown:
            raise session.unknown(stored_id)

    async def _check(self, job_id: str, *, for_result: bool = False) -> None:
        """Before a job is waited for or changed, or its result told past the view: is it the caller's? Raises `UnknownJob`, `Forbidden`."""
        if self._view.is_by_task:
            await self.status(job_id, 0)
        if for_result:
            self._view.check_result()
