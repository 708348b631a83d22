"""What is told of a job that has ended: Completed of one that was waited for, Done of an item of `map`."""

from typing import Generic, TypeVar, cast

from runner.client.handle import JobHandle, kind_of
from runner.client.outcome import Found, result_in, status_in
from runner.jobs import JobStatus, Result

T = TypeVar("T")
R = TypeVar("R")


class Completed(Generic[R]):
    """A job of `as_completed` that has ended. `handle` is the one that was given."""

    __slots__ = ("_found", "handle")

    def __init__(self, handle: JobHandle[R], found: Found) -> None:
        self.handle = handle
        self._found = found

    @property
    def status(self) -> JobStatus:
        """The job. Raises `UnknownJob` if there is none, as its result had expired."""
        return status_in(self._found)

    def result(self) -> R:
        """Its result. Raises `JobFailed`, `JobCancelled`, `JobExpired`, `InvalidResult`, `UnknownJob`."""
        return cast("R", result_in(self.status, self.handle.id, kind_of(self.handle)))

    def __repr__(self) -> str:
        return f"Completed({self.handle.id!r})"


class Done(Generic[T, R]):
    """An item of `map` whose job has ended, with the job's id."""

    __slots__ = ("_found", "_kind", "id", "item")

    def __init__(self, item: T, job_id: str, found: Found, kind: Result | None) -> None:
        self.item = item
        self.id = job_id
        self._found = found
        self._kind = kind

    @property
    def status(self) -> JobStatus:
        """The job. Raises `UnknownJob` if there is none, as its result had expired."""
        return status_in(self._found)

    def result(self) -> R:
        """Its result. Raises `JobFailed`, `JobCancelled`, `JobExpired`, `InvalidResult`, `UnknownJob`."""
        return cast("R", result_in(self.status, self.id, self._kind))

    def __repr__(self) -> str:
        return f"Done({self.item!r}, {self.id!r})"
