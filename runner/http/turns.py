"""Turns: how many requests begin in one turn of the event loop.

Many that come at the same instant would otherwise all begin before anything else has its turn, and keep everybody waiting for half a second.
"""

import asyncio
from collections import deque
from collections.abc import Callable

MOST = 20
"""Requests that begin in one turn: some ms of work."""


class Turns:
    """Of one event loop. Requests begin in the order in which they came, but those on connections that have had an answer before all others.

    So who has just come, with however many connections, keeps nobody waiting who is here already.
    """

    def __init__(self) -> None:
        self._free = MOST
        self._known: deque[Callable[[], object]] = deque()
        self._strangers: deque[Callable[[], object]] = deque()

    def begin(self, start: Callable[[], object], *, is_known: bool) -> None:
        """Call it now, or in one of the next turns if this one has had enough."""
        if self._free == MOST:
            asyncio.get_running_loop().call_soon(self._next)
        if self._free:
            self._free -= 1
            start()
        else:
            (self._known if is_known else self._strangers).append(start)

    def _next(self) -> None:
        self._free = MOST
        while self._free and (self._known or self._strangers):
            is_known = bool(self._known)
            self.begin((self._known or self._strangers).popleft(), is_known=is_known)
