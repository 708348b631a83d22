"""Surrounded: one call of a handler with what its task needs around it, as the executor makes it."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from runner.jobs import Attempt, Held, JobContext, Middleware, Plan, TaskDefinition, around, call_in_thread_with, call_with
from runner.worker.threads import ThreadCall


class Surrounded:
    """The call of one attempt. Made for tasks that need it: a task without dependencies is called as it is."""

    _middleware: Sequence[Middleware]
    __slots__ = ("_context", "_held", "_job", "_middleware", "_plan", "_values")

    def __init__(self, attempt: Attempt, task: TaskDefinition, held: Held) -> None:
        self._held = held
        self._job = attempt.job.id
        self._context = JobContext(attempt)
        of_app, own = task.surroundings.middleware, task.middleware
        self._middleware = own if not of_app else (*of_app, *own) if own else of_app
        self._plan: Plan | None = None
        self._values: list[Any] = []
        if task.injection is not None:
            self._plan = task.injection.plan
            self._values = task.injection.values(self._plan, self._context)

    def in_thread(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """What a plain function's thread calls: the function, in what is made there."""
        plan = self._plan
        if plan is None or not plan.inner:
            return function
        return lambda **arguments: call_in_thread_with(plan, self._values, function, arguments, self._job)

    @property
    def _is_called_alone(self) -> bool:
        """Whether nothing is around it on the loop."""
        plan = self._plan
        return not self._middleware and (plan is None or not (plan.outer or (plan.given and not plan.inner)))

    def on_loop(self, function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """What the loop calls: an async function in what is made there, in the middleware."""
        return self.in_middleware(self._with_dependencies(function))

    def in_middleware(self, function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """The function in the middleware alone, as for a call in a child, which makes the dependencies itself."""
        if not self._middleware:
            return function
        return lambda **arguments: around(self._middleware, self._context, function, arguments)

    def _with_dependencies(self, function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        plan = self._plan
        if plan is None:
            return function
        return lambda **arguments: call_with(plan, self._values, self._held, function, arguments, self._job)

    def around_thread(
        self, call: ThreadCall, until_returned: Callable[[ThreadCall], Coroutine[Any, Any, None]]
    ) -> Callable[..., Awaitable[Any]]:
        """The same for the call of a thread. What is around it ends after it, also if it goes on past a time-out."""
        return call if self._is_called_alone else self.on_loop(partial(_returned, call, until_returned))


async def _returned(call: ThreadCall, until_returned: Callable[[ThreadCall], Coroutine[Any, Any, None]], **arguments: Any) -> Any:
    try:
        return await call(**arguments)
    except BaseException:
        await until_returned(call)
        raise
