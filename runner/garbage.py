"""Garbage: when a program of the runner has Python look through all objects for garbage. Python itself would in the middle of a burst of work.

A request or an attempt leaves next to none: what it took is free once nothing refers to it. What is loaded is 90,000 objects, a waiting request 200
more; all of them are looked through in a tenth of a second, in which nobody is answered and no job is started. Python does that whenever those that
have lived for a while have grown by a quarter, every 20,000 jobs or so, which helps nobody. The young objects are looked through as ever, some
thousands at a time. Where the process is another program's, as in a library or an app that includes the service's routes, this is its own affair.
"""

import asyncio
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LONGEST_S = 60.0
"""Between two looks, if anything became old meanwhile."""
LEAST_GROWTH = 500_000
"""Blocks of memory, some dozens of megabytes, that are no reason to look."""
_NEVER = 2_000_000_000


@contextmanager
def put_off() -> Iterator[None]:
    """Within it Python looks for none, as in imports, which leave next to none: a tenth of the time of a command's start."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Garbage:
    """Of one process, whose objects are looked through when there are twice as many as before, or a minute after the last time."""

    def __init__(self, blocks: Callable[[], int] = sys.getallocatedblocks) -> None:
        self._blocks = blocks
        self._looked_s = 0.0
        self._left = 0
        """Blocks that the last look left."""

    @contextmanager
    def kept_in_hand(self, now_s: float) -> Iterator[None]:
        """Within it only `look` looks through all objects. What is loaded stays as long, and is not looked through any more."""
        before = gc.get_threshold()
        if before[2] == _NEVER:  # another service of this process does it already
            yield
            return
        self._look(now_s)
        gc.freeze()
        gc.set_threshold(*before[:2], _NEVER)
        try:
            yield
        finally:
            gc.set_threshold(*before)
            gc.unfreeze()

    async def keep_in_hand(self) -> None:
        """The same until cancelled, with a look each second if it is time to."""
        loop = asyncio.get_running_loop()
        with self.kept_in_hand(loop.time()):
            while True:
                await asyncio.sleep(1.0)
                self.look(loop.time())

    def look(self, now_s: float) -> None:
        """Look, if it is time to. To be called about once a second, when little else is to be done."""
        grown = self._blocks() - self._left
        if grown > max(self._left, LEAST_GROWTH) or (now_s - self._looked_s > LONGEST_S and gc.get_count()[2]):
            self._look(now_s)

    def _look(self, now_s: float) -> None:
        gc.collect()
        self._looked_s, self._left = now_s, self._blocks()
