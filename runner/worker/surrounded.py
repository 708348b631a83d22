"""Surrounded: what the executor puts around the handler of one task, put together once for all of its attempts."""

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from runner.jobs import Attempt, Held, JobContext, Middleware, Plan, TaskDefinition, around, call_in_thread_with, call_with
from runner.worker.threads import ThreadCall

Call = Callable[..., Awaitable[Any]]


class Surrounded:
    """Of one task in one worker. Made for tasks that need it: a task without dependencies and middleware is called as it is."""

    __slots__ = ("_function", "_held", "_injection", "_middleware")

    def __init__(self, task: TaskDefinition, held: Held) -> None:
        self._function = task.function
        self._held = held
        self._injection = task.injection
        self._middleware: tuple[Middleware, ...] = (*task.surroundings.middleware, *task.middleware)

    def on_loop(self, attempt: Attempt, /, **arguments: Any) -> Awaitable[Any]:
        """Call an async function, in what is made on the loop, in the middleware."""
        context, injection = JobContext(attempt), self._injection
        if injection is None:
            call = partial(self._function, **arguments)
        else:
            plan = injection.plan
            values = injection.values(plan, context)
            if not self._middleware:
                return call_with(plan, values, self._held, self._function, arguments, attempt.job.id)
            call = partial(call_with, plan, values, self._held, self._function, arguments, attempt.job.id)
        return around(self._middleware, context, call)

    def in_middleware(self, attempt: Attempt, function: Call) -> Call:
        """The function in the middleware alone, as for a call in a child, which makes the dependencies itself."""
        if not self._middleware:
            return function
        return lambda **arguments: around(self._middleware, JobContext(attempt), partial(function, **arguments))

    def in_thread(self, attempt: Attempt) -> "InThread":
        """One call of a plain function."""
        context = JobContext(attempt)
        plan = None if self._injection is None else self._injection.plan
        values = [] if self._injection is None or plan is None else self._injection.values(plan, context)
        return InThread(self._function, self._middleware, self._held, context, plan, values)


class InThread:
    """One call of a plain function, whose dependencies are made in part in its thread, and in part on the loop around that."""

    __slots__ = ("_context", "_function", "_held", "_middleware", "_plan", "_values")

    def __init__(
        self,
        function: Callable[..., Any],
        middleware: tuple[Middleware, ...],
        held: Held,
        context: JobContext,
        plan: Plan | None,
        values: list[Any],
    ) -> None:
        self._function = function
        self._middleware = middleware
        self._held = held
        self._context = context
        self._plan = plan
        self._values = values

    def function(self) -> Callable[..., Any]:
        """What its thread calls: the function, in what is made there."""
        plan = self._plan
        if plan is None or not plan.inner:
            return self._function
        return lambda **arguments: call_in_thread_with(plan, self._values, self._function, arguments, self._context.id)

    def around_thread(self, call: ThreadCall, until_returned: Callable[[ThreadCall], Coroutine[Any, Any, None]]) -> Call:
        """What the loop calls: the thread, in what is made there, in the middleware. That ends after it, also if it goes on past a time-out."""
        plan, held = self._plan, self._held
        if not self._middleware and (plan is None or not (plan.outer or (plan.given and not plan.inner))):
            return call  # nothing is around it on the loop
        returned = partial(_returned, call, until_returned)

        def made(**arguments: Any) -> Awaitable[Any]:
            return returned(**arguments) if plan is None else call_with(plan, self._values, held, returned, arguments, self._context.id)

        return lambda **arguments: around(self._middleware, self._context, partial(made, **arguments))


async def _returned(call: ThreadCall, until_returned: Callable[[ThreadCall], Coroutine[Any, Any, None]], /, **arguments: Any) -> Any:
    try:
        return await call(**arguments)
    except BaseException:
        await until_returned(call)
        raise
