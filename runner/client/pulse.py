"""Pulse: one timer for all who look again and again, so that they look together, and share what is read."""

import asyncio


class Pulse:
    """Wakes all who wait for it at once. Without them there is no timer."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._next: asyncio.Future[None] | None = None

    async def beat(self) -> None:
        """Wait for the next beat."""
        if self._next is None:
            loop = asyncio.get_running_loop()
            self._next = loop.create_future()
            loop.call_later(self._every_s, self._wake)
        await asyncio.shield(self._next)  # who leaves takes it from nobody

    def _wake(self) -> None:
        if self._next is not None:
            self._next.set_result(None)
            self._next = None
