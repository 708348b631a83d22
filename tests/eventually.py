"""Waiting for a condition: the only place of the suite that sleeps."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast, overload

T = TypeVar("T")

POLL_S = 0.005
PATIENCE_S = 30.0
"""How long tests wait for what ends as soon as something happens at all: no machine is so busy."""


@overload
async def eventually(condition: Callable[[], Awaitable[T]], within_s: float = PATIENCE_S) -> T: ...
@overload
async def eventually(condition: Callable[[], T], within_s: float = PATIENCE_S) -> T: ...
async def eventually(condition: Callable[[], Awaitable[T] | T], within_s: float = PATIENCE_S) -> T:
    """Return what `condition` (plain or async) returns as soon as that is true; AssertionError with its last value after `within_s`."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + within_s
    while True:
        outcome = condition()
        value = cast("T", await outcome if inspect.isawaitable(outcome) else outcome)
        if value:
            return value
        if loop.time() >= deadline_s:
            raise AssertionError(f"not within {within_s:g} s: {_describe(condition)}; last value {value!r}")
        await asyncio.sleep(POLL_S)


def _describe(condition: Callable[[], object]) -> str:
    try:
        return inspect.getsource(condition).strip()
    except (OSError, TypeError):
        return repr(condition)
