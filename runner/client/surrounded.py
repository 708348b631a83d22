"""Surrounded: how a user's app puts something around its tasks. `Runner` is one."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, nullcontext
from typing import Any, Generic, Self

from typing_extensions import TypeVar

from runner.client import at_use
from runner.client.beside import beside
from runner.client.hooked import Hooked, with_metadata
from runner.client.overriding import overriding
from runner.client.task import Task
from runner.errors import ConfigurationError
from runner.foreign import shown
from runner.jobs import (
    BudgetWarning,
    Hooks,
    JobContext,
    Next,
    Overrides,
    Submission,
    Surroundings,
    checked_hook,
    checked_middleware,
    state_of,
)
from runner.settings import Settings

R = TypeVar("R")
S_co = TypeVar("S_co", covariant=True, default=None)
"""What the lifespan of an app gives."""
B = TypeVar("B", bound=Callable[[BudgetWarning], object])
M = TypeVar("M", bound=Callable[[JobContext, Next], Awaitable[Any]])


class Surrounded(Hooked, Generic[S_co]):
    """An app with what surrounds its tasks."""

    queue: str
    settings: Settings
    _lifespan: Callable[[Any], AbstractAsyncContextManager[S_co]] | None
    tasks: dict[str, Task[..., Any]]
    _surroundings: Surroundings

    @property
    def _hooks(self) -> Hooks:
        return self._surroundings.hooks

    def _hooked(self, job: Submission[R]) -> Submission[R]:
        """The job with what the hooks of the app and of its task give it."""
        task = self.tasks.get(job.task)
        return with_metadata(job, self._surroundings.hooks, None if task is None else task.definition.hooks)

    @property
    def lifespan(self) -> Callable[[Any], AbstractAsyncContextManager[S_co]] | None:
        """What a worker of this app enters before its first job, and leaves after its last."""
        return self._lifespan

    @property
    def state(self) -> S_co:
        """What the lifespan gave, in tasks, their threads, dependencies, middleware and hooks of a worker. Raises `ConfigurationError` elsewhere."""
        value: S_co = state_of(self)
        return value

    def middleware(self, function: M) -> M:
        """Put an async function around every attempt of this app: `async def timing(job: JobContext, call_next: Next) -> Any`.

        The first that is declared is the outermost. It awaits `call_next()` once, whose value is the handler's result, and returns that or
        another one; an error passes through it. Raises `ConfigurationError` for what is no async function.
        """
        self._surroundings.middleware.append(checked_middleware(f"queue {self.queue!r}", function))
        return function

    def on_budget(self, hook: B) -> B:
        """Call a function, plain or async, with each `BudgetWarning` of a limit with `warn_at`, in one of the workers whose apps have such a hook.

        Once for each share in a period, whichever worker notices it; again if it raises or its worker dies meanwhile, after half a minute and
        then less and less often, for a day. So it may come twice: `warning.id` is the same then.
        """
        self._hooks.on_budget.append(checked_hook("on_budget", hook))
        return hook

    def overrides(self, functions: Overrides) -> AbstractContextManager[None]:
        """Call other functions in the place of dependencies: `with jobs.overrides({get_http: lambda: fake}): ...`, for tests.

        Of any task of this app, wherever the dependency is nested, also in a worker that runs in this process. A block inside of another
        adds to it. Raises `ConfigurationError` for a function on which no task depends, and for a replacement that cannot be called.
        """
        return overriding(self._surroundings, self.tasks, functions)

    @asynccontextmanager
    async def running(self, *, worker: bool = False) -> AsyncIterator[Self]:
        """Use this app in a block of code, as FastAPI's lifespan does: its connections of this event loop are closed at the end.

        worker: also run a worker in this process, which drains at the end. Signals stay with their owner. Without a URL it starts the embedded
        server of the folder, unless that runs, as `python -m runner worker` does. If the worker ends by an error, such as `StartFailed`, the
        block is cancelled and that is raised.
        """
        async with at_use.embedded_server(self.settings) if worker else nullcontext():
            try:
                async with beside(self) if worker else nullcontext():
                    yield self
            finally:
                await self.close()

    async def close(self) -> None:
        """Close the connections of the running event loop."""
        raise NotImplementedError


def hooks_of(app: Surrounded[Any]) -> Hooks:
    """The hooks of an app, for the other rooms of this library."""
    return app._hooks  # noqa: SLF001 - private to users, who have the decorators


L = TypeVar("L")


def checked_lifespan(lifespan: L) -> L:
    """The lifespan. Raises `ConfigurationError` for a generator that nobody has made a context manager."""
    if lifespan is not None and (not callable(lifespan) or inspect.isasyncgenfunction(lifespan)):
        raise ConfigurationError(
            f"lifespan is {shown(lifespan, 80)}: give a function that returns an async context manager, an async generator with"
            " contextlib's @asynccontextmanager"
        )
    return lifespan
