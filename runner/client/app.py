"""Runner, the user's app object: the tasks and limits of a queue, and the way to submit to it. It runs no job."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from typing import Any, ParamSpec, Protocol, TypeVar, Unpack, overload

from typing_extensions import override

from runner.client import at_use
from runner.client.blocking import door, through
from runner.client.declared_schedules import DeclaredSchedules
from runner.client.flows import Flowing, checked_jobs
from runner.client.handle import BlockingHandle, JobHandle, handle_of
from runner.client.patience import Patience
from runner.client.scheduling import Scheduling
from runner.client.surrounded import S_co, Surrounded, checked_lifespan
from runner.client.task import AsyncTask, PlainTask, Task
from runner.client.together import BlockingTogether, Together
from runner.errors import ConfigurationError, UnknownLimit
from runner.jobs import (
    JOB,
    RUNNER,
    Children,
    JobContext,
    Result,
    Submission,
    Surroundings,
    TaskDefinition,
    TaskOptions,
    check_queue_name,
)
from runner.limits import Limit, Need, check_no_home, check_one_home, need_of
from runner.ranges import checked_whole
from runner.settings import Settings, chosen_settings

P = ParamSpec("P")
R = TypeVar("R")

_PUBLISH_EVERY_S = 60.0
_SHARED_WAIT_S = 0.3
"""Tokens of a shared limit are at its home until somebody in the queue waits for them: so long `take` does in any case."""


class Runner(Together, Flowing, Scheduling, Surrounded[S_co]):
    """The tasks and limits of one queue, and the way to submit to it.

    Without `redis_url` and RUNNER_REDIS_URL it uses the embedded server of the current folder. Of two versions of an app that declare a
    task or a limit differently, the one with the higher `revision` is published, a build number; without it RUNNER_REVISION counts.
    share: where several queues want more of a shared limit than there is, this one gets so many times as much as one with 1.
    dependencies: `Depends(...)` that run for every job, without a parameter for their values. lifespan: an async context
    manager of the app, like FastAPI's; a worker enters it before its first job, and what it yields is `state`. children: the processes that a
    worker has for tasks with `executor="process"`.
    """

    def __init__(
        self,
        queue: str = "default",
        *,
        redis_url: str | None = None,
        settings: Settings | None = None,
        revision: int | None = None,
        share: int = 1,
        dependencies: Sequence[object] = (),
        lifespan: Callable[["Runner[S_co]"], AbstractAsyncContextManager[S_co]] | None = None,
        children: Children | None = None,
    ) -> None:
        self.queue = check_queue_name(queue)
        check_no_home(queue)
        self._surroundings = Surroundings(self, dependencies, {JobContext: JOB, Runner: RUNNER, type(self): RUNNER})
        self._lifespan = checked_lifespan(lifespan)
        self._revision = None if revision is None else checked_whole("revision", revision, of=f"queue {queue!r}")
        self._share = checked_whole("share", share, of=f"queue {queue!r}")
        self.settings = chosen_settings(settings, redis_url)
        self.children = children or Children()
        self.tasks: dict[str, Task[..., Any]] = {}
        self.limits: dict[str, Limit] = {}
        self._schedules = DeclaredSchedules(self.queue)
        self._client: at_use.Client | None = None
        self._at_hand: at_use.StoredJobs | None = None
        self._published: at_use.Publication | None = None

    @overload
    def task(self, function: Callable[P, Awaitable[R]], /) -> AsyncTask[P, R]: ...  # type: ignore[overload-overlap] # the first that fits is meant
    @overload
    def task(self, function: Callable[P, R], /) -> PlainTask[P, R]: ...
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
        definition = TaskDefinition.of(function, options, self._surroundings)
        name = definition.spec.name
        if name in self.tasks:
            first = self.tasks[name].definition.function
            raise ConfigurationError(f"task {name!r} is registered twice on queue {self.queue!r}: {first} and {function}; name one")
        check_one_home(f"task {name!r}", (limit.shared for limit in definition.limits))
        for limit in definition.limits:
            self._add_limit(limit)
        kind = AsyncTask[..., Any] if definition.is_async else PlainTask[..., Any]
        task = self.tasks[name] = kind(definition, self._submit, jobs=lambda: self._jobs, foresee=self._foresee)
        self._schedules.claim(function, task)
        return task

    def _add_limit(self, limit: Limit) -> None:
        known = self.limits.setdefault(limit.name, limit)
        if known.to_json() != limit.to_json():
            raise ConfigurationError(
                f"limit {limit.name!r} is declared twice, and differently: {known} and {limit}; use one object for both, or rename one"
            )

    @property
    def revision(self) -> int:
        """The build number of this app's declarations; 0 if none was given."""
        return self.settings.revision if self._revision is None else self._revision

    @property
    def share(self) -> int:
        """The weight of this queue where it competes for a shared limit."""
        return self._share

    @property
    def client(self) -> "at_use.Client":
        """The client of this app's queue, which uses the same connections. It is another one after `settings` was replaced."""
        self._sessions.reopen()
        return self._current_client()

    @property
    def blocking(self) -> "BlockingRunner":
        """The same for code without an event loop: `jobs.blocking.submit_many(...)`, `jobs.client.blocking.limits()`."""
        return BlockingRunner(self)

    @property
    @override
    def _jobs(self) -> "at_use.StoredJobs":
        """The calls of the client. Every submission asks for them, so they are kept at hand."""
        jobs = self._at_hand
        if jobs is None or jobs.sessions.settings is not self.settings:
            jobs = self._at_hand = at_use.jobs_of(self._current_client())
        return jobs

    @property
    def _sessions(self) -> "at_use.Sessions":
        return self._jobs.sessions

    @property
    def _session(self) -> "at_use.Session":
        """That of the running event loop, another one if it was closed."""
        return self._sessions.again

    def _current_client(self) -> "at_use.Client":
        client = self._client
        if client is None or client.settings is not self.settings:
            client = self._client = at_use.Client(self.queue, settings=self.settings)
            self._published = None
        return client

    @property
    @override
    def _publication(self) -> "at_use.Publication":
        """That of the client, by which the queue knows what this app declares."""
        publication = self._published
        if publication is None:
            publication = self._published = at_use.Publication(
                self.tasks, self.limits, self._schedules, revision=self.revision, every_s=_PUBLISH_EVERY_S
            )
        return publication

    async def _submit(self, job: Submission[R]) -> JobHandle[R]:
        calls = self._jobs
        session = calls.sessions.again
        if self._publication.is_due:
            await self._publication.keep(session.store)
        job = self._hooked(job)
        return handle_of(calls, job.id, await session.submit(job), self._kind_of(job))

    @override
    async def submit_many(self, jobs: Iterable[Submission[R]]) -> list[JobHandle[R]]:
        """Submit jobs made by `Task.prepare`, hundreds in one step.

        Raises `JobIdConflict` for an id that another job has, `DuplicateJob` for one that is refused, `BacklogFull` or `StoreFull` if there is no room. The same jobs can be
        submitted again, whatever was stored of them.
        """
        jobs = checked_jobs(jobs)
        calls, session = self._jobs, await self._published_session()
        states = await session.submit_many([self._hooked(job) for job in jobs])
        return [handle_of(calls, job.id, state, self._kind_of(job)) for job, state in zip(jobs, states, strict=True)]

    def _kind_of(self, job: Submission[Any]) -> Result | None:
        """Of what type its result is; None for a job of a task that is declared elsewhere."""
        task = self.tasks.get(job.task)
        return None if task is None else task.definition.arguments.result

    def limit(self, limit: Limit) -> Limit:
        """Declare a limit that no task uses, for `take`, `slot` and the middleware. Raises `ConfigurationError`."""
        self._add_limit(limit)
        return limit

    async def take(
        self, limit: str | Limit, key: Mapping[str, object] | None = None, *, cost: int = 1, wait: float | None = 0.0
    ) -> "at_use.Taken":
        """Take tokens in any code: `await jobs.take("openai", cost=3, wait=10)`, `await jobs.take("tenant", {"tenant_id": "t7"})`.

        key: values for the template of a keyed limit. wait: seconds to stand in line for the tokens, None for as long as it takes; no
        worker is needed for that, but for a limit that several queues share: for its tokens `take` waits 0.3 s in any case. A caller that is cancelled leaves the line, one whose process dies within `lease_s`.
        A wait goes on while Redis is away. Raises `TakeRefused` with the time to come back, `UnknownLimit`, `ExceedsCapacity`,
        `StoreUnavailable` (after a wait `StillUnavailable`, which is a TimeoutError too), `ClientClosed`. What it returns
        can be told what the provider says is left of the account, see `Taken`.
        """
        need = self._need(limit, cost, key)
        if need.given_back:
            raise ConfigurationError(
                f"limit {need.limit!r} is a concurrency: what is taken must come back; use `async with jobs.slot(...)`"
            )
        if self.limits[need.limit].shared is not None and wait is not None:
            wait = max(wait, _SHARED_WAIT_S)
        session, wait = await self._ready(wait)
        _, decision = await session.limiter.take([need], wait=wait)
        return session.counting.taken([need], self.limits, decision)

    @asynccontextmanager
    async def slot(self, limit: str | Limit, key: Mapping[str, object] | None = None, *, wait: float | None = None) -> AsyncIterator[None]:
        """Hold a slot of a `Concurrency` limit for a block of code: `async with jobs.slot("gpu"): ...`. See `take`."""
        need = self._need(limit, 1, key)
        session, wait = await self._ready(wait)
        async with session.limiter.held([need], wait=wait):
            yield

    async def _ready(self, wait_s: float | None) -> "tuple[at_use.Session, float | None]":
        """The session, once the limits are published, and what is left of a wait."""
        session = self._session
        if not self._publication.is_due:
            return session, wait_s
        patience = Patience(wait_s)
        await patience.through(lambda: self._publication.keep(session.store), "the wait for tokens")
        return session, patience.left_s

    def _need(self, limit: str | Limit, cost: int, key: Mapping[str, object] | None) -> Need:
        if not isinstance(limit, (str, Limit)):
            raise UnknownLimit(f"limit is {limit!r:.80}: give its name, or the limit itself")
        name = limit if isinstance(limit, str) else self.limit(limit).name
        if name not in self.limits:
            raise UnknownLimit(f"unknown limit {name!r} on queue {self.queue!r} (known: {', '.join(self.limits) or 'none'})")
        return need_of(self.limits[name], cost, key or {})

    async def close(self) -> None:
        """Close the connections of the running event loop, if it used any; its next use opens others. Other loops go on.

        Whoever waits here gets `ClientClosed`.
        """
        if self._client is not None:
            await self._publication.close()
            await self._client.close()


class BlockingRunner(BlockingTogether):
    """What a `Runner` does, for code without an event loop."""

    __slots__ = ()
    _of: Runner

    take = through(Runner.take)
    foresee_many = through(Runner.foresee_many)
    close = through(Runner.close)

    def submit_many(self, jobs: Iterable[Submission[R]]) -> list[BlockingHandle[R]]:
        """Submit jobs made by `Task.prepare`, see `Runner.submit_many`."""
        return [job.blocking for job in door.call(lambda: self._of.submit_many(jobs))]

    def slot(
        self, limit: str | Limit, key: Mapping[str, object] | None = None, *, wait: float | None = None
    ) -> AbstractContextManager[None]:
        """Hold a slot of a `Concurrency` limit for a block of code: `with jobs.blocking.slot("gpu"): ...`. See `Runner.take`."""
        return door.entered(self._of.slot(limit, key, wait=wait))


class _Decorator(Protocol):
    """What `runner.task(...)` returns: it keeps the parameters and the result of what it decorates."""

    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> AsyncTask[P, R]: ...  # type: ignore[overload-overlap] # the first that fits is meant
    @overload
    def __call__(self, function: Callable[P, R], /) -> PlainTask[P, R]: ...
