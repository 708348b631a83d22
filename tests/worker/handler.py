"""What a handler of tests does: its first attempt does not come back by itself, the later ones do."""

import asyncio
from contextlib import suppress


class Handler:
    """Counts the attempts at one job. The task of the test calls one of the methods in each."""

    def __init__(self) -> None:
        self.count = 0
        self.begun = asyncio.Event()
        self.stopped = asyncio.Event()
        self._released = asyncio.Event()

    async def hang_at_first(self) -> int:
        """The number of the attempt. The first one goes on until it is stopped."""
        if self._begin() == 1:
            try:
                await asyncio.Event().wait()
            finally:
                self.stopped.set()
        return self.count

    async def be_deaf_at_first(self) -> int:
        """The number of the attempt. The first one cannot be stopped: it goes on until `release`."""
        number = self._begin()
        while number == 1 and not self._released.is_set():
            with suppress(asyncio.CancelledError):
                await self._released.wait()
        return number

    def release(self) -> None:
        self._released.set()

    def _begin(self) -> int:
        self.count += 1
        self.begun.set()
        return self.count
