"""Turns: how much of what callers send is read in one turn of the event loop, and how many requests begin in it.

An event loop reads from every connection that has sent something before anything else has its turn: of a thousand requests that come at the
same instant the reading alone keeps everybody waiting for a tenth of a second.
"""

import asyncio
from collections import deque
from collections.abc import Callable

MOST = 20
"""Requests that are read and begin in one turn: some ms of work."""


class Turns:
    """Of one event loop. Requests are read in the order in which they came, but those on connections that have had an answer before all others.

    So who has just come, with however many connections, keeps nobody waiting who is here already.
    """

    def __init__(self) -> None:
        self._left = 0
        self._has_begun = False
        """Whether something was read in this turn."""
        self._known: deque[Callable[[], object]] = deque()
        self._strangers: deque[Callable[[], object]] = deque()

    def take(self) -> bool:
        """Whether this turn has room for one more request."""
        if not self._has_begun:
            self._has_begun, self._left = True, MOST
            asyncio.get_running_loop().call_soon(self._next)
        if self._left <= 0:
            return False
        self._left -= 1
        return True

    def charge(self, requests: int) -> None:
        """What was read since `take` is as much work as so many requests more."""
        self._left -= requests

    def later(self, start: Callable[[], object], *, is_known: bool) -> None:
        """Call it in one of the next turns. `take` has said that this one has had enough."""
        (self._known if is_known else self._strangers).append(start)

    def begin(self, start: Callable[[], object], *, is_known: bool) -> None:
        """Call it now, if this turn has room for it, else in one of the next ones."""
        if self.take():
            start()
        else:
            self.later(start, is_known=is_known)

    def _next(self) -> None:
        self._has_begun = False
        while (self._known or self._strangers) and self.take():
            (self._known or self._strangers).popleft()()
