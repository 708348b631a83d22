"""WorkerValues: the dependencies that are per worker. Each is made once, at its first use, and closed when the worker has stopped."""

import asyncio
import contextvars
import logging
from collections.abc import Callable
from typing import Any

from runner.foreign import indented, kind_of, text_of
from runner.jobs import FIRST_STEP, Plan, Step, call_with
from runner.traces import trace_of

log = logging.getLogger("runner")


class WorkerValues:
    """Each value lives in an asyncio task of its own, which makes and closes it: cancel scopes and task groups may stay open in it.

    An attempt that ends while it waits for a value stops nothing: the next one finds it made. What could not be made is tried again by
    the next attempt that needs it, from its beginning. All of it is on the event loop, in the context in which this object is made.
    """

    def __init__(self) -> None:
        self._context = contextvars.copy_context()
        self.ready: dict[Callable[..., Any], Any] = {}
        self._lives: dict[Callable[..., Any], _Life] = {}

    async def make(self, step: Step, arguments: dict[str, Any]) -> Any:
        """The value of a step, made now unless it is. Raises what its function raises."""
        life = self._lives.get(step.function)
        if life is None or life.has_failed:
            life = self._lives[step.function] = _Life(step, arguments, self._context.copy())
        value = await life.value()
        self.ready[step.function] = value
        return value

    async def close(self) -> None:
        """Close all, the latest first. Errors are logged. Safe to begin anew."""
        while self._lives:
            function, life = next(reversed(self._lives.items()))
            await life.end()
            self.ready.pop(function, None)
            self._lives.pop(function, None)


class _Life:
    """One value, from its making to its end."""

    def __init__(self, step: Step, arguments: dict[str, Any], context: contextvars.Context) -> None:
        self._name = step.name
        self._made: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._over = asyncio.Event()
        self._task = asyncio.create_task(self._live(step, arguments), context=context, name=f"per worker: {step.name}")

    @property
    def has_failed(self) -> bool:
        return self._made.done() and self._made.exception() is not None

    async def value(self) -> Any:
        return await asyncio.shield(self._made)

    async def end(self) -> None:
        """Close it, or stop making it."""
        if not self._made.done():
            self._task.cancel()
        self._over.set()
        await asyncio.wait({self._task})

    async def _live(self, step: Step, arguments: dict[str, Any]) -> None:
        alone = Step(step.kind, lambda: step.function(**arguments), (), FIRST_STEP, per_worker=False, name=step.name)
        plan = Plan((alone,), (), (("value", FIRST_STEP),), FIRST_STEP + 1)
        try:
            await call_with(plan, [None] * plan.size, None, self._hold, {}, "(any: it is per worker)")
        except BaseException as error:  # noqa: BLE001 - what is per worker ends no worker
            if self._made.done():
                log.error("dependency %s, which is per worker, could not be closed:\n%s", self._name, indented(trace_of(error)))
            else:
                self._made.set_exception(_carried(self._name, error))
                self._made.exception()  # retrieved, also if no attempt waits any more

    async def _hold(self, value: Any) -> None:
        self._made.set_result(value)
        await self._over.wait()


def _carried(name: str, error: BaseException) -> BaseException:
    """The error as a future can carry it to the attempts that wait: one that would end them from outside becomes a failure."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    carried = RuntimeError(f"dependency {name} could not be made: {kind_of(error)}: {text_of(error)}")
    carried.__cause__ = error
    return carried
