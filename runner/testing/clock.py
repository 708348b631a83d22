"""VirtualClock: the time of a `TestQueue`. It stands until the queue has nothing to do at this instant, and then jumps to the next one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from runner.clock import MICROSECONDS
from runner.jobs import Attempt, current_attempt
from runner.store import QueueClock

T = TypeVar("T")

_MOST_ROUNDS = 10
"""Of looks at one instant, without anything that was done in between."""


def key_of(attempt: Attempt) -> tuple[str, int]:
    """Which attempt it is: id of the job and number."""
    return attempt.job.id, attempt.job.attempt


class Wait:
    """Somebody waits for the end of one of these jobs: a test, or the handler of an `attempt`. It gives up at `until_us`, if that is not None."""

    def __init__(self, job_ids: Sequence[str], ended: asyncio.Future[Any], until_us: int | None) -> None:
        self.job_ids = job_ids
        self.ended = ended
        self.until_us = until_us
        self.attempt: Attempt | None = current_attempt()
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()

    async def until_over(self) -> None:
        """Until the job has ended, or `end` was called. Raises what `end` was given."""
        await asyncio.wait({self.ended, self._over}, return_when=asyncio.FIRST_COMPLETED)
        if self._over.done():
            self._over.result()

    def end(self, error: Exception | None = None) -> None:
        """From any thread: the wait is over, though its job may go on."""
        self._loop.call_soon_threadsafe(self._end, error)

    def _end(self, error: Exception | None) -> None:
        if self._over.done():
            return
        if error is None:
            self._over.set_result(None)
        else:
            self._over.set_exception(error)


class Look:
    """Somebody follows these jobs, or for none of them what happens at all. `seen`: after what the look before this one was."""

    def __init__(self, job_ids: Sequence[str], until_us: int | None, seen: tuple[int, ...]) -> None:
        self.job_ids = job_ids
        self.until_us = until_us
        self.seen = seen
        self.attempt: Attempt | None = current_attempt()
        self.is_on = False
        """It is about to look."""
        self._loop = asyncio.get_running_loop()
        self._begun: asyncio.Future[None] = self._loop.create_future()

    async def until_on(self) -> None:
        """Until it is to look. Raises what `end` was given."""
        await self._begun

    def begin(self) -> None:
        """From any thread: it is to look."""
        self.is_on = True
        self._loop.call_soon_threadsafe(self._end, None)

    def end(self, error: Exception) -> None:
        """From any thread: there is nothing to be seen any more."""
        self._loop.call_soon_threadsafe(self._end, error)

    def _end(self, error: Exception | None) -> None:
        if self._begun.done():
            return
        if error is None:
            self._begun.set_result(None)
        else:
            self._begun.set_exception(error)


class VirtualClock(QueueClock):
    """What is waited for, and until when. `on_change` is called from any thread when that has changed."""

    def __init__(self, start_us: int) -> None:
        super().__init__(start_us)
        self.start_us = start_us
        self.waits: set[Wait] = set()
        self.looks: set[Look] = set()
        self._seen: tuple[int, ...] = ()
        self._rounds = 0
        self.on_change: Callable[[], None] = lambda: None

    def seconds(self) -> float:
        """How long it has run."""
        return (self.us - self.start_us) / MICROSECONDS

    async def wait(self, job_ids: Sequence[str], ended: asyncio.Future[Any], until_us: int | None) -> None:
        """The same by this clock. Raises what the queue says if nothing will ever end the job."""
        wait = Wait(job_ids, ended, until_us)
        self.waits.add(wait)
        self.on_change()
        try:
            await wait.until_over()
        finally:
            self.waits.discard(wait)
            self.on_change()

    async def look(self, call: Callable[[], Awaitable[T]], job_ids: Sequence[str], until_us: int | None = None) -> T:
        """The same by this clock. Raises what the queue says if nothing will ever change."""
        look = Look(job_ids, until_us, self._seen)
        self.looks.add(look)
        self.on_change()
        try:
            await look.until_on()
            found = await call()
            self._seen = (*self._seen[:-1], self.count)  # what it has sent itself is no news
            return found
        finally:
            self.looks.discard(look)
            self.on_change()

    def let_look(self, done: tuple[int, ...]) -> bool:
        """Let those look who have not since all this was done, or since something was sent; whether there are any.

        What is sent at one instant is news a few times only: those who follow jobs send, too.
        """
        if done != self._seen[:-1]:
            self._rounds = 0
        seen = (*done, self.count)
        due = [look for look in list(self.looks) if look.seen != seen and not look.is_on]
        if not due or self._rounds == _MOST_ROUNDS:
            return False
        self._rounds, self._seen = self._rounds + 1, seen
        for look in due:
            look.begin()
        return True

    @property
    def is_looked_at(self) -> bool:
        """Whether somebody is about to look."""
        return any(look.is_on for look in list(self.looks))

    @property
    def _all(self) -> list[Wait | Look]:
        return [*list(self.waits), *list(self.looks)]  # other threads add to them

    @property
    def waiting(self) -> set[tuple[str, int]]:
        """The attempts whose handlers wait: id of the job and number."""
        return {key_of(wait.attempt) for wait in self._all if wait.attempt is not None}

    @property
    def outside(self) -> list[Wait | Look]:
        """The waits of the test itself."""
        return [wait for wait in self._all if wait.attempt is None and wait.job_ids]

    @property
    def next_end_us(self) -> float:
        """When the next wait gives up."""
        return min((wait.until_us for wait in self._all if wait.until_us is not None), default=float("inf"))

    def jump(self, us: int) -> None:
        """Show this instant, and end the waits that give up by then."""
        self.us = max(us, self.us)
        for wait in list(self.waits):
            if wait.until_us is not None and wait.until_us <= self.us:
                wait.end()
