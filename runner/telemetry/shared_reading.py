"""SharedReading: something that is read once for all who ask within a second, and by one call for those who ask at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from runner.clock import monotonic_s

T = TypeVar("T")

KEPT_S = 1.0


class SharedReading(Generic[T]):
    """What `read` returned last, for `kept_s` seconds. On one event loop. Nothing is read while nobody asks."""

    def __init__(self, read: Callable[[], Awaitable[T]], *, kept_s: float = KEPT_S) -> None:
        self._read = read
        self._kept_s = kept_s
        self._reading: asyncio.Task[T] | None = None
        self._read_at_s = float("-inf")

    async def get(self) -> T:
        """The value, from a call that began a second ago at most or is under way. Raises what `read` raises, to all who asked for it."""
        reading = self._reading
        if reading is None or (reading.done() and (monotonic_s() - self._read_at_s > self._kept_s or reading.exception() is not None)):
            self._read_at_s = monotonic_s()
            reading = self._reading = asyncio.ensure_future(self._read_once())
        # Shielded: one who does not wait for it any more must not end the call of the others.
        return await asyncio.shield(reading)

    async def close(self) -> None:
        """End a call that is under way."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            self._reading = None

    async def _read_once(self) -> T:
        return await self._read()
