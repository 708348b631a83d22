"""What a handler asks of the jobs that its own comes after; who runs it brings what reads them."""

from typing import Any, Protocol, TypeVar, overload

from runner.errors import ConfigurationError
from runner.jobs.flow import Parent
from runner.jobs.results import Result, result_of

R = TypeVar("R")


class ReadParents(Protocol):
    """Reads the parents of a job, for a handler in any thread."""

    async def __call__(self, job_id: str, kind: Result | None, first: int, most: int | None) -> list[Parent[Any]]:
        """For a handler on the worker's event loop."""

    def blocking(self, job_id: str, kind: Result | None, first: int, most: int | None) -> list[Parent[Any]]:
        """For one in a thread of its own."""


class HasParents:
    """A part of `JobContext`."""

    __slots__ = ()

    @property
    def id(self) -> str:
        """The job's id."""
        raise NotImplementedError

    @property
    def _parents(self) -> ReadParents | None:
        """None where they are not at hand."""
        raise NotImplementedError

    @overload
    async def parents(self, *, first: int = 0, most: int | None = None) -> list[Parent[Any]]: ...
    @overload
    async def parents(self, *, result: type[R], first: int = 0, most: int | None = None) -> list[Parent[R]]: ...
    @overload
    async def parents(self, *, result: Any, first: int = 0, most: int | None = None) -> list[Parent[Any]]: ...
    async def parents(self, *, result: Any = Any, first: int = 0, most: int | None = None) -> list[Parent[Any]]:
        """The jobs that this one comes after, in that order, with what they returned: `for page in await job.parents(result=Page): page.result()`.

        Of a job that follows a batch, the jobs of that batch. result: the type of their results; JSON without one. first, most: a part of
        them; more than 1,000 are read in parts only. Raises `InvalidOption`, `StoreUnavailable`; `ConfigurationError` outside of a worker.
        """
        return await self._read()(self.id, None if result is Any else result_of(result), first, most)

    @property
    def blocking(self) -> "BlockingJobContext":
        """The same for a plain function: `current_job().blocking.parents()`."""
        return BlockingJobContext(self)

    def _read(self) -> ReadParents:
        if self._parents is None:
            raise ConfigurationError(
                f"job {self.id}: what came before it cannot be read here: a worker reads it, for tasks that do not run in a child process,"
                " and a TestQueue, not `run`"
            )
        return self._parents


class BlockingJobContext:
    """What a plain function asks of its job and has to wait for."""

    __slots__ = ("_of",)

    _of: HasParents

    def __init__(self, context: Any) -> None:
        self._of = context  # a JobContext, which stands on this file

    @overload
    def parents(self, *, first: int = 0, most: int | None = None) -> list[Parent[Any]]: ...
    @overload
    def parents(self, *, result: type[R], first: int = 0, most: int | None = None) -> list[Parent[R]]: ...
    @overload
    def parents(self, *, result: Any, first: int = 0, most: int | None = None) -> list[Parent[Any]]: ...
    def parents(self, *, result: Any = Any, first: int = 0, most: int | None = None) -> list[Parent[Any]]:
        """The jobs that this one comes after, see `JobContext.parents`. Raises `ConfigurationError` on an event loop."""
        kind = None if result is Any else result_of(result)
        return self._of._read().blocking(self._of.id, kind, first, most)  # noqa: SLF001 - the same to users
