"""JobHandle: one submitted job, for the code that asks for its status or waits for its result."""

from typing import Generic, TypeVar, cast

from runner.client.session import Session
from runner.errors import AlreadyFinished, JobCancelled, JobExpired, JobFailed
from runner.jobs import Acceptance, JobError, JobStatus, State

R = TypeVar("R")


class JobHandle(Generic[R]):
    """One submitted job. `first_state` is what the submission answered: its first state, or that it existed."""

    __slots__ = ("_session", "first_state", "id")

    def __init__(self, session: Session, job_id: str, first_state: Acceptance = Acceptance.existing) -> None:
        self._session = session
        self.id = job_id
        self.first_state = first_state

    async def status(self) -> JobStatus:
        """The job as it is now. Raises `UnknownJob` once its result has expired."""
        return await self._session.status(self.id)

    async def wait(self, timeout: float | None = None) -> JobStatus:
        """The job once it is final, or as it is after `timeout` seconds. Redis is not polled meanwhile."""
        return await self._session.wait(self.id, timeout)

    async def result(self, timeout: float | None = None) -> R:
        """The job's result. Raises `JobFailed`, `JobCancelled` or `JobExpired` if there is none, TimeoutError after `timeout` seconds."""
        status = await self.wait(timeout)
        if status.state is State.succeeded:
            return cast("R", status.result)
        if status.state is State.failed:
            error = status.error or JobError("error", "")
            raise JobFailed(f"job {self.id} failed: {error.type}: {error.message}")
        if status.state is State.cancelled:
            raise JobCancelled(f"job {self.id} was cancelled")
        if status.state is State.expired:
            raise JobExpired(f"job {self.id} waited longer than its max_wait")
        raise TimeoutError(f"job {self.id} is still {status.state} after {timeout} s")

    async def cancel(self) -> JobStatus:
        """Stop the job; a running one ends when its handler does. Cancelling twice is the same answer.

        Raises `AlreadyFinished` if it ended otherwise, `UnknownJob`.
        """
        answer = await self._session.store.cancel(self.id)
        if answer.is_too_late:
            raise AlreadyFinished(f"job {self.id} has already {answer}; there is nothing to cancel")
        return await self.status()

    def __repr__(self) -> str:
        return f"JobHandle({self.id!r})"
