"""Uncut: awaits work that must not be cut off, as signing off, whatever is cancelled meanwhile."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

_TRIES = 3


async def uncut(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Await it to its end in a task of its own; a cancellation that comes meanwhile is raised afterwards.

    Some cancel every task of the loop, as `asyncio.run` does at its end. So the work must be safe to begin anew.
    """
    cancellation: asyncio.CancelledError | None = None
    for _ in range(_TRIES):
        task = asyncio.create_task(work())
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError as error:
                cancellation = error
        if not task.cancelled():
            break
    if cancellation is not None:
        if not task.cancelled():
            task.exception()  # retrieved; the cancellation counts
        raise cancellation
    task.result()
