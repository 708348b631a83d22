"""Asking: the verbs of a client about one job by its id, wherever its queue is."""

from typing import Any, TypeVar, overload

from runner.client.batch import BatchHandle, BlockingBatchHandle
from runner.client.blocking import Blocking, through
from runner.client.handle import JobHandle
from runner.client.job_calls import JobCalls
from runner.errors import InvalidOption
from runner.jobs import BatchProgress, JobStatus, check_known_id, result_of
from runner.ranges import checked_whole

R = TypeVar("R")


class Asking:
    """A part of `Client`."""

    _jobs: JobCalls

    @overload
    def job(self, job_id: str) -> JobHandle[Any]: ...
    @overload
    def job(self, job_id: str, *, result: type[R]) -> JobHandle[R]: ...
    @overload
    def job(self, job_id: str, *, result: Any) -> JobHandle[Any]: ...
    def job(self, job_id: str, *, result: Any = Any) -> JobHandle[Any]:
        """A handle on a job submitted elsewhere; its result is JSON, or of the type given as `result`: a model, `list[Point]`, `datetime`.

        Raises `InvalidJobId`, `ConfigurationError` for a type that no result can have.
        """
        return JobHandle(self._jobs, check_known_id(job_id), kind=None if result is Any else result_of(result))

    async def status(self, job_id: str) -> JobStatus:
        """The job as it is now. Questions that are asked at the same time share a call. Raises `UnknownJob`, `InvalidJobId`."""
        return await self._jobs.status(check_known_id(job_id))

    async def wait(self, job_id: str, timeout: float | None = None) -> JobStatus:
        """The job once it is final, or as it is after `timeout` seconds. Raises `UnknownJob`, `InvalidJobId`."""
        return await self._jobs.wait(check_known_id(job_id), timeout)

    async def result(self, job_id: str, timeout: float | None = None) -> Any:
        """The job's result. Raises `JobFailed`, `JobCancelled`, `JobExpired`, `UnknownJob`, or TimeoutError."""
        return await self.job(job_id).result(timeout)

    async def cancel(self, job_id: str, *, most_result: int | None = None) -> JobStatus:
        """Stop a job. Cancelling twice is the same answer; raises `AlreadyFinished` if it ended otherwise, `UnknownJob`."""
        return await self.job(job_id).cancel(most_result=most_result)

    async def retry(self, job_id: str, *, most_result: int | None = None, ignore_parents: bool = False) -> JobStatus:
        """Run a job again that failed, expired or was cancelled; one that is ready or waits already stays as it is.

        most_result: see `JobHandle.status`. ignore_parents: even if a job that it comes after has not succeeded, or has not ended. Raises
        `UnknownJob`, `CannotRetry` for any other.
        """
        return await self.job(job_id).retry(most_result=most_result, ignore_parents=ignore_parents)

    async def delete(self, job_id: str, *, reason: str = "") -> None:
        """Forget a job that has ended, before its time to live has passed: its record, its result, its mark.

        Raises `UnknownJob`, and `NotEnded` for one that has not ended: cancel it first.
        """
        await self.job(job_id).delete(reason=reason)

    async def batches(self, most: int = 100) -> list[BatchProgress]:
        """How far the batches are that have not ended, the latest first; 100 at most. Raises `InvalidOption`, `StoreUnavailable`."""
        return await self._jobs.batches(checked_whole("most", most, error=InvalidOption))

    def open_batch(self, batch_id: str) -> BatchHandle:
        """A batch that was opened elsewhere: how far it is, and to cancel it. Raises `InvalidJobId`."""
        return BatchHandle(self._jobs, check_known_id(batch_id))


class BlockingAsking(Blocking):
    """The same for code without an event loop."""

    __slots__ = ()

    status = through(Asking.status)
    wait = through(Asking.wait)
    result = through(Asking.result)
    cancel = through(Asking.cancel)
    retry = through(Asking.retry)
    delete = through(Asking.delete)
    batches = through(Asking.batches)

    def open_batch(self, batch_id: str) -> BlockingBatchHandle:
        """A batch that was opened elsewhere, see `Client.open_batch`."""
        return BlockingBatchHandle(self._of.open_batch(batch_id))
