"""Runner, the user's app object, and Task: a function that can be submitted. Nothing here runs a job."""

import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Generic, Literal, ParamSpec, Protocol, TypedDict, TypeVar, Unpack, overload

from runner.client.client import Client, JobHandle
from runner.clock import monotonic_s
from runner.errors import ConfigurationError, ExceedsCapacity, UnknownLimit
from runner.jobs import Arguments, Backoff, JobOptions, LimitUse, Priority, Submission, TaskSpec, check_queue_name, prepare
from runner.limits import Limit, Need, bucket_name, template_fields
from runner.settings import Settings, load_settings

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_TIMEOUT_S = 300.0
DEFAULT_RETRIES = 3
_PUBLISH_EVERY_S = 60.0
HEAVIEST = 1000


class TaskOptions(TypedDict, total=False):
    """How a task is declared. Times are in seconds.

    limits: what it must have tokens of before it starts. cost: tokens by limit name, a number or the name of an argument
    (default 1). fair_by: a template of arguments ("{tenant_id}"); each of its values gets its share of every bucket, by
    weights if given. max_wait: after which a job that has not started ends as expired, or as a dead letter if on_expiry is
    "fail". retries: attempts after the first failed one (default 3). timeout: of one attempt (default 300, None for
    none). backoff: the waits between retries. result_ttl: how long a finished job is kept (default: the setting's day).
    """

    name: str
    limits: Sequence[Limit]
    cost: Mapping[str, int | str]
    priority: str
    fair_by: str
    weights: Mapping[str, int]
    max_wait: float
    on_expiry: Literal["expire", "fail"]
    retries: int
    timeout: float | None
    backoff: Backoff
    result_ttl: float | None


@dataclass(frozen=True, slots=True)
class AttemptPolicy:
    """How a worker treats an attempt. `timeout_s` None means no time-out, `result_ttl_s` None the setting's."""

    retries: int
    timeout_s: float | None
    backoff: Backoff
    result_ttl_s: float | None

    def __post_init__(self) -> None:
        if (
            self.retries < 0
            or (self.timeout_s is not None and self.timeout_s <= 0)
            or (self.result_ttl_s is not None and self.result_ttl_s <= 0)
        ):
            message = f"retries={self.retries}, timeout={self.timeout_s}, result_ttl={self.result_ttl_s} cannot be used: retries from 0, times above 0"
            raise ConfigurationError(message)


class Task(Generic[P, R]):
    """A registered function. Calling it runs it here and now; `submit` makes it a job."""

    def __init__(
        self, runner: "Runner", function: Callable[P, Any], spec: TaskSpec, limits: Sequence[Limit], policy: AttemptPolicy
    ) -> None:
        self.runner = runner
        self.function = function
        self.is_async = inspect.iscoroutinefunction(function)
        self.arguments = Arguments(spec.name, function)
        self.spec = replace(spec, parameters=self.arguments.schema)
        self.limits = tuple(limits)
        self.policy = policy
        self.options = JobOptions()
        self._uses = tuple(LimitUse(limit.name, limit.key, limit.capacity, limit.gives_back) for limit in limits)
        self._check_declaration()
        self.__doc__ = function.__doc__

    @property
    def name(self) -> str:
        """What producers call it."""
        return self.spec.name

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run the function itself, in this process, without queue or limits."""
        return self.function(*args, **kwargs)

    def with_options(
        self,
        *,
        id: str | None = None,
        priority: str | None = None,
        delay: float | None = None,
        run_at: datetime | None = None,
        cost: Mapping[str, int] | None = None,
        max_wait: float | None = None,
    ) -> "Task[P, R]":
        """The same task with options for its next submissions; see `JobOptions`."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.options = JobOptions(id, priority, delay, run_at, cost, max_wait)
        return other

    def prepare(self, *args: P.args, **kwargs: P.kwargs) -> Submission:
        """Check a call and make it a submission, without sending it: for `Runner.submit_many`. Raises `SubmissionRefused`."""
        encoded = self.arguments.encode(args, kwargs)
        named = {**self.spec.defaults(), **json.loads(encoded)} if self._uses else None
        return prepare(self.spec, self._uses, encoded, named, self.options)

    async def submit(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Submit one job. Raises `SubmissionRefused` (nothing is stored) or `StoreUnavailable`."""
        job = self.prepare(*args, **kwargs)
        await self.runner.publish()
        return await self.runner.client.send_one(job)

    def _check_declaration(self) -> None:
        for share, weight in self.spec.weights.items():
            if type(weight) is not int or not 1 <= weight <= HEAVIEST:
                message = f"task {self.name!r}: weight of {share!r} is {weight!r}, and must be a whole number from 1 to {HEAVIEST}"
                raise ConfigurationError(message)
        if self.spec.priority not in Priority.__members__:
            message = f"task {self.name!r}: priority {self.spec.priority!r} is unknown (known: {', '.join(Priority.__members__)})"
            raise ConfigurationError(message)
        twice = [name for name in self.spec.limits if self.spec.limits.count(name) > 1]
        if twice:
            message = f"task {self.name!r}: limit {twice[0]!r} is given twice; give it once, and a cost to take more than one token"
            raise ConfigurationError(message)
        names = self.arguments.schema.get("properties", {})
        used = [(limit.name, field) for limit in self.limits if limit.key for field in template_fields(limit.key)]
        used += [(limit, argument) for limit, argument in self.spec.cost.items() if isinstance(argument, str)]
        used += [("fair_by", argument) for argument in template_fields(self.spec.fair_by or "")]
        for limit, argument in used:
            if argument not in names:
                message = (
                    f"task {self.name!r}: limit {limit!r} uses argument {argument!r}, which it does not have (it has: {', '.join(names)})"
                )
                raise ConfigurationError(message)
        unknown = self.spec.cost.keys() - set(self.spec.limits)
        if unknown:
            message = f"task {self.name!r}: cost names limit {min(unknown)!r}, which it does not use (it uses: {', '.join(self.spec.limits) or 'none'})"
            raise ConfigurationError(message)


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
        name = options.get("name", function.__name__)
        if name in self.tasks:
            message = f"task {name!r} is registered twice on queue {self.queue!r}: {self.tasks[name].function} and {function}; name one"
            raise ConfigurationError(message)
        limits = tuple(options.get("limits", ()))
        for limit in limits:
            self._add_limit(limit)
        spec = TaskSpec(
            name=name,
            parameters={},
            limits=tuple(limit.name for limit in limits),
            cost=dict(options.get("cost", {})),
            priority=options.get("priority", "normal"),
            description=inspect.cleandoc(function.__doc__ or "").partition("\n")[0],
            fair_by=options.get("fair_by"),
            weights=dict(options.get("weights", {})),
            max_wait=options.get("max_wait"),
            on_expiry=options.get("on_expiry", "expire"),
        )
        policy = AttemptPolicy(
            retries=options.get("retries", DEFAULT_RETRIES),
            timeout_s=options.get("timeout", DEFAULT_TIMEOUT_S),
            backoff=options.get("backoff", Backoff()),
            result_ttl_s=options.get("result_ttl"),
        )
        self.tasks[name] = Task(self, function, spec, limits, policy)
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
        return {name: task.spec.to_json() for name, task in self.tasks.items()}

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
