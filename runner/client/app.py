"""Runner, the user's app object: its tasks, its limits, and the way to submit to its queue. Nothing here runs a job."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any, ParamSpec, Protocol, TypeVar, Unpack, overload

from runner.client.client import Client, JobHandle
from runner.client.task import Task
from runner.clock import monotonic_s
from runner.errors import ConfigurationError, ExceedsCapacity, UnknownLimit
from runner.jobs import Submission, TaskDefinition, TaskOptions, check_queue_name
from runner.limits import Limit, Need, bucket_name
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
        self._published_s = float("-inf")
        self._since_us = 0

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
            message = f"limit {limit.name!r} is declared twice with different numbers: {known} and {limit}; share one object or rename one"
            raise ConfigurationError(message)

    @cached_property
    def client(self) -> Client:
        """The connection this app submits through; opened at its first use, in the event loop that uses it."""
        return Client(self.queue, settings=self.settings)

    async def _submit(self, job: Submission) -> JobHandle[Any]:
        await self.publish()
        return await self.client.send_one(job)

    async def submit_many(self, jobs: Sequence[Submission]) -> list[JobHandle[Any]]:
        """Submit jobs made by `Task.prepare`, 500 in one step. Raises `JobIdConflict` for an id taken by another body.

        Raises `BacklogFull` or `StoreFull` if there is no room; the same jobs can be submitted again, whatever was stored of them.
        """
        await self.publish()
        return await self.client.send(jobs)

    async def publish(self) -> None:
        """Put this app's tasks and limits into the catalog; again after a minute of use, as there may be no worker to heal a lost catalog."""
        if monotonic_s() - self._published_s > _PUBLISH_EVERY_S:
            since_us, _ = await self.client.store.publish(self.specs(), list(self.limits.values()), self._since_us)
            self._since_us, self._published_s = since_us, monotonic_s()

    def specs(self) -> dict[str, str]:
        """The tasks as published: name -> JSON."""
        return {name: task.definition.spec.to_json() for name, task in self.tasks.items()}

    def limit(self, limit: Limit) -> Limit:
        """Declare a limit that no task uses, for `take`, `slot` and the middleware. Raises `ConfigurationError`."""
        self._add_limit(limit)
        return limit

    async def take(self, limit: str | Limit, *, cost: int = 1, wait: float | None = 0.0, **key: object) -> None:
        """Take tokens in any code: `await jobs.take("openai", cost=3, wait=10)`; `key` fills a keyed limit's template.

        wait: seconds to stand in line for them, None for as long as it takes. Raises `TakeRefused` with the time to come back,
        `UnknownLimit`, `ExceedsCapacity`, `StoreUnavailable`.
        """
        need = self.need(limit, cost, key)
        if need.given_back:
            message = (
                f"limit {need.bucket.partition('/')[0]!r} is a concurrency: what is taken must come back; use `async with jobs.slot(...)`"
            )
            raise ConfigurationError(message)
        await self.publish()
        await self.client.limiter.take([need], wait=wait)

    @asynccontextmanager
    async def slot(self, limit: str | Limit, *, wait: float | None = None, **key: object) -> AsyncIterator[None]:
        """Hold a slot of a `Concurrency` limit for a block of code: `async with jobs.slot("gpu"): ...`."""
        need = self.need(limit, 1, key)
        await self.publish()
        async with self.client.limiter.held([need], wait=wait):
            yield

    def need(self, limit: str | Limit, cost: int, key: Mapping[str, object]) -> Need:
        """One bucket of one of this app's limits. Raises `UnknownLimit`, `ExceedsCapacity`, `InvalidArguments`."""
        name = limit if isinstance(limit, str) else self.limit(limit).name
        if name not in self.limits:
            message = f"unknown limit {name!r} on queue {self.queue!r} (known: {', '.join(self.limits) or 'none'})"
            raise UnknownLimit(message)
        known = self.limits[name]
        if not 1 <= cost <= known.capacity:
            message = f"cost {cost} of limit {name!r} cannot be taken: its bucket holds 1 to {known.capacity}"
            raise ExceedsCapacity(message)
        return Need(bucket_name(name, known.key, key), cost, known.gives_back)

    async def close(self) -> None:
        """Close the client, if it was used."""
        if "client" in self.__dict__:
            await self.client.close()
            del self.__dict__["client"]
            self._published_s = float("-inf")


class _Decorator(Protocol):
    """What `runner.task(...)` returns: it keeps the parameters and the result of what it decorates."""

    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...
