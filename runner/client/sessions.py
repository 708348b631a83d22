"""Sessions: what one client has open: a `Session` for each event loop that uses it."""

import asyncio
import os
import weakref
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from runner.client.session import Session
from runner.connection import redis_url
from runner.forks import forget_after_fork, keep
from runner.settings import Settings

_closing: set[asyncio.Task[None]] = set()


class OfALoop(Protocol):
    """What belongs to one event loop, and is opened inside of it."""

    is_closed: bool

    async def close(self) -> None:
        """Close it for good."""

    def abandon(self) -> None:
        """Close it without the event loop, which has ended."""


S = TypeVar("S", bound=OfALoop)


class InEachLoop(Generic[S]):
    """Connections belong to the event loop that opened them, a client to the process: each loop has its own, and they end together.

    May be used from any thread.
    """

    def __init__(self, make: Callable[[], S]) -> None:
        self._make = make
        self._open = _Open[S]()
        weakref.finalize(self, self._open.close_soon).atexit = False

    @property
    def here(self) -> S:
        """The session of the running event loop, opened at its first use. Once it is closed it refuses every call."""
        loop = asyncio.get_running_loop()
        try:
            return self._open.sessions[loop]
        except KeyError:
            return self._new(loop)

    @property
    def again(self) -> S:
        """The same; but if it is closed, another one."""
        loop = asyncio.get_running_loop()
        session = self._open.sessions.get(loop)
        return self._new(loop) if session is None or session.is_closed else session

    def reopen(self) -> None:
        """If the running event loop, should there be one, has closed its session, open another one there."""
        with suppress(RuntimeError):
            loop = asyncio.get_running_loop()
            if (session := self._open.sessions.get(loop)) is not None and session.is_closed:
                self._new(loop)

    def _new(self, loop: asyncio.AbstractEventLoop) -> S:
        self._open.abandon_dead()
        session = self._make()
        self._open.add(loop, session)
        return session


class Sessions(InEachLoop[Session]):
    """The sessions of one client. Raises `ConfigurationError` for a URL that cannot be used."""

    def __init__(self, queue: str, settings: Settings) -> None:
        self.queue = queue
        self.settings = settings
        url = redis_url(settings)
        super().__init__(lambda: Session(url, queue, settings))


class _Open(Generic[S]):
    """The sessions, and for each loop the generator that ends with it. Stays when the client has gone, until they are closed."""

    def __init__(self) -> None:
        self.sessions: dict[asyncio.AbstractEventLoop, S] = {}
        self._ends: dict[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = {}
        forget_after_fork(self)

    def add(self, loop: asyncio.AbstractEventLoop, session: S) -> None:
        """Call it in the loop."""
        self.sessions[loop] = session
        if loop not in self._ends:
            end = self._ends[loop] = self._closed_with(loop)
            with suppress(StopIteration):
                end.__anext__().send(None)  # up to its `yield`: from there on the loop knows of it

    def forget(self) -> None:
        """In a forked child: all connections are the parent's."""
        keep(self.sessions, self._ends)
        self.sessions, self._ends = {}, {}

    def abandon_dead(self) -> None:
        """Forget the loops that have ended. One that was closed by hand has left its connections open."""
        for loop in list(self.sessions):
            if loop.is_closed() and (session := self.sessions.pop(loop, None)) is not None:
                self._ends.pop(loop, None)
                session.abandon()

    def close_soon(self) -> None:
        """Nothing uses the client any more, in whatever thread that is noticed."""
        self.abandon_dead()
        for loop, end in list(self._ends.items()):
            with suppress(RuntimeError):  # it ends just now, and closes the session itself
                loop.call_soon_threadsafe(_close, loop, end)

    async def _closed_with(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None, None]:
        """Closes a session when its loop ends: `asyncio.run` and all that do alike end the async generators, after all tasks."""
        process = os.getpid()
        try:
            yield
        finally:
            if os.getpid() == process:  # a forked child may end a copy of the loop
                await self.sessions[loop].close()


def _close(loop: asyncio.AbstractEventLoop, end: AsyncGenerator[None, None]) -> None:
    closing = loop.create_task(end.aclose(), name="close the connections of a client that is gone")
    _closing.add(closing)
    closing.add_done_callback(_closing.discard)
