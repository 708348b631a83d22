"""JobCalls: what a handle asks about its job, wherever the job is. StoredJobs: the answers of Redis, within what the caller may see."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Protocol

from typing_extensions import override

from runner.client.outcome import Found
from runner.client.raw_result import RawResult
from runner.client.reasons import checked_reason
from runner.client.session import duplicate_of
from runner.client.sessions import Sessions
from runner.client.view import EVERYTHING, View
from runner.errors import AlreadyFinished, CannotRetry, NotEnded, UnknownJob
from runner.jobs import JobStatus, OtherJob, State
from runner.store import DeleteAnswer


class JobCalls(Protocol):
    """The calls about one job. Each takes its id as the caller knows it, and raises `UnknownJob` for one that is not there."""

    async def status(self, job_id: str, most_result: int | None = None) -> JobStatus:
        """The job as it is now; a larger result than `most_result` bytes is left out."""

    async def wait(self, job_id: str, timeout: float | None, most_result: int | None = None) -> JobStatus:
        """The job once it is final, or as it is after `timeout` seconds."""

    def changes(self, job_id: str) -> AsyncGenerator[JobStatus, None]:
        """The job as it is now, and whenever it has changed, until it has ended."""

    async def raw_result(self, job_id: str) -> RawResult:
        """The job's result as JSON. Raises `NoResult`."""

    async def cancel(self, job_id: str, most_result: int | None = None) -> JobStatus:
        """Stop the job. Raises `AlreadyFinished`."""

    async def retry(self, job_id: str, most_result: int | None = None) -> JobStatus:
        """Run the job again. Raises `CannotRetry`, `DuplicateJob`."""

    async def delete(self, job_id: str, reason: str = "") -> None:
        """Forget the job, which has ended. Raises `NotEnded`."""


class StoredJobs(JobCalls):
    """The jobs of a queue as one caller sees them. May be used in any event loop."""

    def __init__(self, sessions: Sessions, view: View = EVERYTHING) -> None:
        self.sessions = sessions
        self._view = view

    @override
    async def status(self, job_id: str, most_result: int | None = None) -> JobStatus:
        view = self._view
        return view.seen(await self.sessions.here.status(view.stored(job_id), most_result))

    @override
    async def wait(self, job_id: str, timeout: float | None, most_result: int | None = None) -> JobStatus:
        await self._check(job_id)
        view = self._view
        return view.seen(await self.sessions.here.wait(view.stored(job_id), timeout, most_result))

    @override
    async def changes(self, job_id: str) -> AsyncGenerator[JobStatus, None]:
        async with aclosing(self.sessions.here.changes(self._view.stored(job_id))) as changes:
            async for status in changes:
                yield self._view.seen(status)

    async def ends(self, ids: Iterable[str], timeout: float | None) -> AsyncGenerator[tuple[str, Found], None]:
        """Each of these jobs once it has ended, in that order. Raises TimeoutError, `InvalidOption`, `ClientClosed`."""
        own: dict[str, str] = {}
        for job_id in ids:
            try:
                own[self._view.stored(job_id)] = job_id
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
        return await self.sessions.here.raw_result(self._view.stored(job_id))

    @override
    async def cancel(self, job_id: str, most_result: int | None = None) -> JobStatus:
        await self._check(job_id)
        answer = await self.sessions.here.store.cancel(self._view.stored(job_id))
        if answer.is_too_late:
            raise AlreadyFinished(f"job {job_id} has already {answer}; there is nothing to cancel")
        return await self.status(job_id, most_result)

    @override
    async def retry(self, job_id: str, most_result: int | None = None) -> JobStatus:
        await self._check(job_id)
        answer = await self.sessions.here.store.retry(self._view.stored(job_id))
        if isinstance(answer, OtherJob):
            raise duplicate_of((await self.status(job_id, 0)).task, answer.id)
        if answer not in (None, State.queued, State.waiting, State.failed):
            raise CannotRetry(f"job {job_id} is {answer}; only one that failed, expired or was cancelled can be run again")
        return await self.status(job_id, most_result)

    @override
    async def delete(self, job_id: str, reason: str = "") -> None:
        await self._check(job_id)
        session = self.sessions.here
        stored_id = self._view.stored(job_id)
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
