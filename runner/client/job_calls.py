"""JobCalls: what a handle asks about its job, wherever the job is. `StoredJobs` has the answers of Redis."""

from collections.abc import AsyncGenerator
from typing import Protocol

from runner.client import at_use
from runner.client.raw_result import RawResult
from runner.jobs import BatchProgress, JobStatus


class JobCalls(Protocol):
    """The calls about one job. Each takes its id as the caller knows it, and raises `UnknownJob` for one that is not there."""

    @property
    def clock(self) -> "at_use.QueueClock | None":
        """By which clock its callers wait, in the queue of a test; None for real time."""
        return None

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

    async def retry(self, job_id: str, most_result: int | None = None, *, ignore_parents: bool = False) -> JobStatus:
        """Run the job again. Raises `CannotRetry`, `DuplicateJob`."""

    async def delete(self, job_id: str, reason: str = "") -> None:
        """Forget the job, which has ended. Raises `NotEnded`."""

    async def batch_progress(self, batch_id: str) -> BatchProgress:
        """How far a batch is. Raises `UnknownBatch`."""

    async def batches(self, most: int) -> list[BatchProgress]:
        """Batches that have not ended, the latest first."""

    async def cancel_batch(self, batch_id: str) -> BatchProgress:
        """Cancel what has not ended of a batch, and what follows it, and let none be added. Raises `UnknownBatch`, `Forbidden`."""

    async def seal_batch(self, batch_id: str) -> BatchProgress:
        """Let no further job be added to a batch. Raises `UnknownBatch`."""
