"""Seconds as the test's own event loop had them: while a busy machine gives it no turn, they do not pass.

A test that must tell "at once" from "a second later" measures by the fixture `pace`. On a quiet machine its seconds are those
of the clock; on a busy one, where other processes make everything late, fewer of them pass, never more.
"""

import asyncio
from collections.abc import AsyncIterator

TICK_S = 0.01


class Pace:
    """Counts the turns of a loop that sleeps for 10 ms again and again."""

    def __init__(self) -> None:
        self._ticks = 0

    @property
    def now_s(self) -> float:
        return self._ticks * TICK_S

    async def run(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._ticks += 1


async def kept() -> AsyncIterator[Pace]:
    """The body of the fixture."""
    pace = Pace()
    running = asyncio.create_task(pace.run(), name="pace")
    yield pace
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
