"""SharedCall: one call at a time for all callers, who share its end."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class SharedCall:
    """A coroutine function of which one call runs at a time.

    A failure reaches all callers that wait: with calls of their own they would each wait for a time-out. The cancellation of one
    caller does not end the call of the others.
    """

    def __init__(self, call: Callable[[], Coroutine[Any, Any, None]], *, name: str) -> None:
        self._call = call
        self._name = name
        self._running: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        """Wait for the running call; start it if there is none."""
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
            call.exception()  # retrieved here, as every caller may have been cancelled; asyncio would log it otherwise
