"""Runner, the user's app object: the tasks and limits of a queue, and the way to submit to it. It runs no job."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any, ParamSpec, Protocol, TypeVar, Unpack, overload

from runner.client.client import Client, session_of
from runner.client.handle import JobHandle
from runner.client.publication import Publication
from runner.client.session import Session
from runner.client.task import Task
from runner.errors import ConfigurationError, UnknownLimit
from runner.jobs import Submission, TaskDefinition, TaskOptions, check_queue_name
from runner.limits import Limit, Need, need_of
from runner.settings import Settings, load_settings

P = ParamSpec("P")
R = TypeVar("R")

_PUBLISH_EVERY_S = 60.0


class Runner:
    """The tasks and limits of one queue, and the way to submit to it.

    Without `redis_url` and RUNNER_REDIS_URL it uses the embedded server of the current folder.
    """

    def __init__(self, queue: str = "default", *, redis_url: str | None = None, settings: Settings | None = None) -> None:
        self.queue = check_queue_name(queue)
        self.settings = settings or load_settings(redis_url=redis_url)
        self.tasks: dict[str, Task[..., Any]] = {}
        self.limits: dict[str, Limit] = {}

    @overload
    def task(self, function: Callable[P, Awaitable[R]], /) -> Task[P, R]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R]: ...
    @overload
    def task(self, **options: Unpack[TaskOptions]) -> "_Decorator": ...
    def task(self, function: Any = None, /, **options: Unpack[TaskOptions]) -> Any:  # type: ignore[misc] # the checker misreads `/` before **options
        """Register a function as a task; it may be async, or plain (then it runs in a thread). See `TaskOptions`.

        Raises `ConfigurationError` for anything that could never work.
        """
        if function is not None:
            return self._register(function, options)
        return lambda decorated: self._register(decorated, options)

    def _register(self, function: Callable[..., Any], options: TaskOptions) -> Task[..., Any]:
        definition = TaskDefinition.of(function, options)
        name = definition.spec.name
        if name in self.tasks:
            first = self.tasks[name].definition.function
            raise ConfigurationError(f"task {name!r} is registered twice on queue {self.queue!r}: {first} and {function}; name one")
        for limit in definition.limits:
            self._add_limit(limit)
        self.tasks[name] = Task(definition, self._submit)
        return self.tasks[name]

    def _add_limit(self, limit: Limit) -> None:
        known = self.limits.setdefault(limit.name, limit)
        if known.to_json() != limit.to_json():
            raise ConfigurationError(
                f"limit {limit.name!r} is declared twice with different numbers: {known} and {limit}; share one object or rename one"
            )

    @cached_property
    def client(self) -> Client:
        """The client of this app's queue. It is opened at its first use, in the event loop that uses it."""
        return Client(self.queue, settings=self.settings)

    @cached_property
    def _publication(self) -> Publication:
        return Publication(self._session.store, self.tasks, self.limits, every_s=_PUBLISH_EVERY_S)

    @cached_property
    def _session(self) -> Session:
        return session_of(self.client)

    async def _submit(self, job: Submission) -> JobHandle[Any]:
        if self._publication.is_due:
            await self._publication.keep()
        session = self._session
        return JobHandle(session, job.id, await session.submit(job))

    async def submit_many(self, jobs: Sequence[Submission]) -> list[JobHandle[Any]]:
        """Submit jobs made by `Task.prepare`, 500 in one step.

        Raises `JobIdConflict` for an id that another job has, `BacklogFull` or `StoreFull` if there is no room. The same jobs can be
        submitted again, whatever was stored of them.
        """
        await self._publication.keep()
        session = self._session
        states = await session.submit_many(jobs)
        return [JobHandle(session, job.id, state) for job, state in zip(jobs, states, strict=True)]

    def limit(self, limit: Limit) -> Limit:
        """Declare a limit that no task uses, for `take`, `slot` and the middleware. Raises `ConfigurationError`."""
        self._add_limit(limit)
        return limit

    async def take(self, limit: str | Limit, key: Mapping[str, object] | None = None, *, cost: int = 1, wait: float | None = 0.0) -> None:
        """Take tokens in any code: `await jobs.take("openai", cost=3, wait=10)`, `await jobs.take("tenant", {"tenant_id": "t7"})`.

        key: values for the template of a keyed limit. wait: seconds to stand in line for the tokens, None for as long as it takes.
        Raises `TakeRefused` with the time to come back, `UnknownLimit`, `ExceedsCapacity`, `StoreUnavailable`.
        """
        need = self._need(limit, cost, key)
        if need.given_back:
            raise ConfigurationError(
                f"limit {need.limit!r} is a concurrency: what is taken must come back; use `async with jobs.slot(...)`"
            )
        await self._publication.keep()
        await self._session.limiter.take([need], wait=wait)

    @asynccontextmanager
    async def slot(self, limit: str | Limit, key: Mapping[str, object] | None = None, *, wait: float | None = None) -> AsyncIterator[None]:
        """Hold a slot of a `Concurrency` limit for a block of code: `async with jobs.slot("gpu"): ...`. See `take`."""
        need = self._need(limit, 1, key)
        await self._publication.keep()
        async with self._session.limiter.held([need], wait=wait):
            yield

    def _need(self, limit: str | Limit, cost: int, key: Mapping[str, object] | None) -> Need:
        name = limit if isinstance(limit, str) else self.limit(limit).name
        if name not in self.limits:
            raise UnknownLimit(f"unknown limit {name!r} on queue {self.queue!r} (known: {', '.join(self.limits) or 'none'})")
        return need_of(self.limits[name], cost, key or {})

    async def close(self) -> None:
        """Close the connection, if it was used; the next use opens another one."""
        publication, _, client = (self.__dict__.pop(name, None) for name in ("_publication", "_session", "client"))
        if publication is not None:
            await publication.close()
        if client is not None:
            await client.close()


class _Decorator(Protocol):
    """What `runner.task(...)` returns: it keeps the parameters and the result of what it decorates."""

    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...
