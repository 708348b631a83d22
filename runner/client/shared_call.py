"""SharedCall: one call at a time, however many need it; all of them share how it ends."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class SharedCall:
    """A coroutine function that is never run twice at once.

    A failure reaches all who wait for it: one after the other, they would each wait for a time-out of their own. A waiter that
    is cancelled leaves the call to the others.
    """

    def __init__(self, call: Callable[[], Coroutine[Any, Any, None]], *, name: str) -> None:
        self._call = call
        self._name = name
        self._running: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        """Wait for the call that is running, or start it."""
        if self._running is None:
            self._running = asyncio.create_task(self._call(), name=self._name)
            self._running.add_done_callback(self._ended)
        await asyncio.shield(self._running)

    async def close(self) -> None:
        """Cancel the call that is running, if there is one."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    def _ended(self, call: asyncio.Task[None]) -> None:
        self._running = None
        if not call.cancelled():
            call.exception()  # every waiter may have been cancelled: then asyncio would log it as never retrieved
