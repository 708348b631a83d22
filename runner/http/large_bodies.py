"""LargeBodies: what the large bodies of all requests may take together: memory while they come, and time of the event loop to read them as JSON.

A body that comes slowly makes room for others: while there is no room, the one that has been coming the longest is given up.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from starlette.types import Scope

from runner.http.problems import Problem

LARGE_BYTES = 64 * 1024
"""Up to here a body is read at once, by the event loop."""
MOST_BYTES = 64 * 1024 * 1024
MOST_AT_ONCE = 4
"""Requests whose values are in memory at the same time: each takes a multiple of its body."""
_STATE = "runner.http.large_body"

T = TypeVar("T")


class LargeBody:
    """One large body, from its coming to the end of its request."""

    __slots__ = ("bytes", "coming", "has_turn")

    def __init__(self, coming: asyncio.Timeout | None) -> None:
        self.bytes = 0
        self.coming = coming
        """What gives it up; None once it is here."""
        self.has_turn = False


class LargeBodies:
    """Those of one event loop."""

    def __init__(self) -> None:
        self._bytes = 0
        self._all: dict[LargeBody, None] = {}
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)
        self._reader = asyncio.Lock()

    @asynccontextmanager
    async def coming(self, scope: Scope) -> AsyncIterator[Callable[[int], None]]:
        """Around the coming of a body; gives what is told of each new length. Raises `Problem`."""
        try:
            async with asyncio.timeout(None) as timeout:
                yield lambda length: self._grow(scope, length, timeout)
        except TimeoutError:
            raise _busy() from None
        if (body := scope.get(_STATE)) is not None:
            body.coming = None

    async def read(self, scope: Scope, length: int, load: Callable[[], T]) -> T:
        """What `load` makes of a large body, in a thread, one after the other. The turn lasts until the request ends. Raises `Problem`."""
        self._grow(scope, length, None)
        await self._turns.acquire()
        scope[_STATE].has_turn = True
        async with self._reader:
            return await asyncio.to_thread(load)

    def end(self, body: LargeBody) -> None:
        """The request is answered."""
        if self._all.pop(body, body) is None:
            self._bytes -= body.bytes
        if body.has_turn:
            self._turns.release()

    def _grow(self, scope: Scope, length: int, coming: asyncio.Timeout | None) -> None:
        if length <= LARGE_BYTES:
            return
        body = scope.get(_STATE)
        if body is None:
            body = scope[_STATE] = LargeBody(coming)
            self._all[body] = None
        elif body not in self._all:
            raise _busy()  # it has made room for another meanwhile
        self._bytes += length - body.bytes
        body.bytes = length
        while self._bytes > MOST_BYTES:
            slowest = next((other for other in self._all if other.coming is not None and other is not body), None)
            if slowest is None or slowest.coming is None:
                raise _busy()
            slowest.coming.reschedule(asyncio.get_running_loop().time())
            self._bytes -= slowest.bytes
            del self._all[slowest]


def here() -> LargeBodies:
    """Those of the running event loop."""
    loop = asyncio.get_running_loop()
    found = _OF_LOOPS.get(loop)
    if found is None:
        found = _OF_LOOPS[loop] = LargeBodies()
    return found


def ended(scope: Scope) -> None:
    """The request is answered: what its body took is free."""
    body = scope.pop(_STATE, None)
    if body is not None:
        here().end(body)


_OF_LOOPS: WeakKeyDictionary[Any, LargeBodies] = WeakKeyDictionary()


def _busy() -> Problem:
    return Problem("busy", f"large bodies of others take the {MOST_BYTES} bytes that there are for them: repeat the request")
