"""Middleware: functions around each attempt, the outermost first, as those of web apps are around a request."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from runner.errors import ConfigurationError
from runner.foreign import shown
from runner.jobs.handlers import is_coroutine_function

Next = Callable[[], Awaitable[Any]]
"""Goes on to the next middleware, and in the end to the handler; its value is the result."""
Middleware = Callable[[Any, Next], Awaitable[Any]]
"""Called with the job's context and the way on."""


def checked_middleware(whose: str, function: Any) -> Middleware:
    """The function. Raises `ConfigurationError` for one that cannot be a middleware."""
    call = function if inspect.isroutine(function) else type(function).__call__ if callable(function) else None
    if inspect.isclass(function) or not is_coroutine_function(call):
        raise ConfigurationError(
            f"{whose}: middleware {shown(function, 80)} is no async function: write `async def timing(job, call_next): return await call_next()`"
        )
    middleware: Middleware = function
    return middleware


def around(middleware: Sequence[Middleware], job: Any, call: Next) -> Awaitable[Any]:
    """Call with all of these around it, the first as the outermost."""
    if not middleware:
        return call()
    for function in middleware[:0:-1]:
        call = partial(function, job, _once(function, call))
    outermost = middleware[0]
    return outermost(job, _once(outermost, call))


def _once(middleware: Middleware, call: Next) -> Next:
    """The way on from a middleware."""
    is_called = False

    def call_next() -> Awaitable[Any]:
        nonlocal is_called
        if is_called:
            raise RuntimeError(f"middleware {middleware!r} called call_next twice: an attempt runs its handler once")
        is_called = True
        return call()

    return call_next
