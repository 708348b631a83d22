"""Together: the results of many jobs, for the code that submitted them. A part of `Runner`."""

# Every tuple is an iterable too; of the overloads of gather the first that fits is meant.
# mypy: disable-error-code="overload-overlap"

from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator
from contextlib import aclosing
from typing import Any, Literal, TypeVar, overload

from runner.client import at_use
from runner.client.blocking import Blocking, door, each
from runner.client.completed import Completed, Done
from runner.client.handle import BlockingHandle, JobHandle, async_of, calls_of
from runner.client.task import Task
from runner.errors import InvalidOption, RunnerError
from runner.foreign import shown
from runner.jobs import Submission

R = TypeVar("R")
T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")


class Together:
    """A part of `Runner`."""

    tasks: dict[str, Task[..., Any]]

    @property
    def _jobs(self) -> "at_use.StoredJobs":
        raise NotImplementedError

    async def submit_many(self, jobs: Iterable[Submission[R]]) -> list[JobHandle[R]]:
        """See `Runner.submit_many`."""
        raise NotImplementedError

    @overload
    async def gather(self, handles: tuple[JobHandle[A]], return_exceptions: Literal[False] = False) -> tuple[A]: ...
    @overload
    async def gather(self, handles: tuple[JobHandle[A], JobHandle[B]], return_exceptions: Literal[False] = False) -> tuple[A, B]: ...
    @overload
    async def gather(
        self, handles: tuple[JobHandle[A], JobHandle[B], JobHandle[C]], return_exceptions: Literal[False] = False
    ) -> tuple[A, B, C]: ...
    @overload
    async def gather(
        self, handles: tuple[JobHandle[A], JobHandle[B], JobHandle[C], JobHandle[D]], return_exceptions: Literal[False] = False
    ) -> tuple[A, B, C, D]: ...
    @overload
    async def gather(
        self,
        handles: tuple[JobHandle[A], JobHandle[B], JobHandle[C], JobHandle[D], JobHandle[E]],
        return_exceptions: Literal[False] = False,
    ) -> tuple[A, B, C, D, E]: ...
    @overload
    async def gather(self, handles: tuple[JobHandle[A]], return_exceptions: bool) -> tuple[A | RunnerError]: ...
    @overload
    async def gather(
        self, handles: tuple[JobHandle[A], JobHandle[B]], return_exceptions: bool
    ) -> tuple[A | RunnerError, B | RunnerError]: ...
    @overload
    async def gather(
        self, handles: tuple[JobHandle[A], JobHandle[B], JobHandle[C]], return_exceptions: bool
    ) -> tuple[A | RunnerError, B | RunnerError, C | RunnerError]: ...
    @overload
    async def gather(
        self, handles: tuple[JobHandle[A], JobHandle[B], JobHandle[C], JobHandle[D]], return_exceptions: bool
    ) -> tuple[A | RunnerError, B | RunnerError, C | RunnerError, D | RunnerError]: ...
    @overload
    async def gather(
        self, handles: tuple[JobHandle[A], JobHandle[B], JobHandle[C], JobHandle[D], JobHandle[E]], return_exceptions: bool
    ) -> tuple[A | RunnerError, B | RunnerError, C | RunnerError, D | RunnerError, E | RunnerError]: ...
    @overload
    async def gather(self, handles: Iterable[JobHandle[R]], return_exceptions: Literal[False] = False) -> list[R]: ...
    @overload
    async def gather(self, handles: Iterable[JobHandle[R]], return_exceptions: bool) -> list[R | RunnerError]: ...
    async def gather(self, handles: Iterable[JobHandle[Any]], return_exceptions: bool = False) -> Any:
        """The results of these jobs, in their order: a tuple of a tuple, else a list.

        The first failure that is met is raised, see `JobHandle.result`, and the other jobs go on. With `return_exceptions` errors are
        returned in the place of results. Redis is not polled meanwhile, whatever their number.
        """
        given = tuple(handles) if isinstance(handles, tuple) else list(handles)
        results: dict[int, Any] = {}
        async with aclosing(self.as_completed(given)) as ended:
            async for job in ended:
                results[id(job.handle)] = _result_of(job) if return_exceptions else job.result()
        return type(given)(results[id(handle)] for handle in given)

    async def as_completed(self, handles: Iterable[JobHandle[R]], timeout: float | None = None) -> AsyncGenerator[Completed[R], None]:
        """These jobs as they end: `async for job in jobs.as_completed(handles): print(job.handle.id, job.result())`.

        timeout: seconds for all of them; then it raises TimeoutError, or `StillUnavailable` if Redis is away. A wait goes on while Redis
        is away. Of the results a page is held at a time, so who takes slowly holds few. Raises `InvalidOption`, `ClientClosed`.
        """
        by_id: defaultdict[str, list[JobHandle[R]]] = defaultdict(list)
        calls: at_use.StoredJobs | None = None
        for handle in handles:
            calls = _same_calls(handle, calls)
            by_id[handle.id].append(handle)
        if calls is None:
            return
        async with aclosing(calls.ends(by_id, timeout)) as ends:
            async for job_id, found in ends:
                for handle in by_id[job_id]:
                    yield Completed(handle, found)

    async def map(
        self,
        task: Task[..., R],
        items: Iterable[T] | AsyncIterable[T],
        window: int = 1000,
        id: str | Callable[[T], str] | None = None,
        *,
        ordered: bool = False,
        cancel: bool = False,
    ) -> AsyncGenerator[Done[T, R], None]:
        """Submit a job for each item and give each once its job has ended: `async for done in jobs.map(charge, orders): print(done.result())`.

        An item is the arguments by name (a dict), by position (a tuple), or the one argument. window: at most so many jobs are unended at
        once, and so many items held; the next are submitted when half of it is free. id: a template over the arguments, "import-{order}",
        or a function of the item. With it a second run finds the jobs of the first: those that have ended are given at once, and
        nothing is done twice. ordered: in the order of the items, so a slow job holds up those after it.

        Who leaves the loop submits no more, and leaves the submitted jobs to go on; with `cancel` those that have not ended are cancelled.
        Leave it by `async with aclosing(...)` to have that done before the next line. It goes on while Redis is away. Raises what a
        submission raises (`index` of the error is the item's number), and what `items` raises.
        """
        self._check_own(task)
        mapped = at_use.Mapped(self.submit_many, self._jobs.sessions.again, task, items, window=window, id=id)
        async with aclosing(mapped.results(ordered=ordered, cancel=cancel)) as results:
            async for done in results:
                yield done

    def _check_own(self, task: object) -> None:
        if not (isinstance(task, Task) and any(own.definition is task.definition for own in self.tasks.values())):
            raise InvalidOption(f"the task to map is {shown(task, 80)}, which is no task of this app: give the function that is decorated")


class BlockingTogether(Blocking):
    """A part of `BlockingRunner`."""

    __slots__ = ()
    _of: Together

    def gather(self, handles: Iterable[BlockingHandle[R]]) -> list[R]:
        """The results of these jobs, in their order, see `Runner.gather`."""
        given = [async_of(handle) for handle in handles]
        return door.call(lambda: self._of.gather(given))

    def as_completed(self, handles: Iterable[BlockingHandle[R]], timeout: float | None = None) -> Iterator[Completed[R]]:
        """These jobs as they end, see `Runner.as_completed`."""
        given = [async_of(handle) for handle in handles]
        return each(lambda: self._of.as_completed(given, timeout))

    def map(
        self,
        task: Task[..., R],
        items: Iterable[T],
        window: int = 1000,
        id: str | Callable[[T], str] | None = None,
        *,
        ordered: bool = False,
        cancel: bool = False,
    ) -> Iterator[Done[T, R]]:
        """Submit a job for each item and give each once its job has ended, see `Runner.map`. `items` are read in another thread."""
        return each(lambda: self._of.map(task, items, window, id, ordered=ordered, cancel=cancel))


def _same_calls(handle: object, calls: "at_use.StoredJobs | None") -> "at_use.StoredJobs":
    if not isinstance(handle, JobHandle):
        raise InvalidOption(f"a handle is {shown(handle, 80)}: give the handles that submit and submit_many return")
    own = calls_of(handle)
    if not isinstance(own, at_use.StoredJobs):
        raise InvalidOption(f"job {handle.id!r} is asked for over HTTP: await its result() instead")
    if calls is not None and own is not calls:
        raise InvalidOption(f"job {handle.id!r} is of another app or client than those before it: wait for those of each by themselves")
    return own


def _result_of(job: Completed[Any]) -> Any:
    try:
        return job.result()
    except RunnerError as error:
        return error
