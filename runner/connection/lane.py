"""Lane: the connections that commands of one kind share. A free one is kept, a missing one opened, and who finds none waits in line."""

import asyncio
from collections import deque

from redis.exceptions import TimeoutError as RedisTimeoutError

from runner.connection.connections import LocatedConnection, Pool
from runner.deadlines import Deadlines

_PATIENCE = 20
"""Time-outs for which a command waits until one before it leaves its connection free: these commands are alive, there are only many."""


class NoFreeConnection(TimeoutError):
    """All connections were in use for too long; nothing is wrong with them."""


class Lane:
    """At most `most` connections of a pool.

    A connection that has replied stays here for the next command: to release it to the library's pool and take it again costs more
    processor time than the command itself. A connection whose command was cancelled, timed out or failed is closed.
    """

    def __init__(self, pool: Pool, most: int, deadlines: Deadlines, timeout_s: float) -> None:
        self._pool = pool
        self._most = most
        self._deadlines = deadlines
        self._timeout_s = timeout_s
        self._idle: list[LocatedConnection] = []
        self._unopened = most
        self._waiting: deque[asyncio.Future[LocatedConnection | None]] = deque()

    def take_idle(self) -> LocatedConnection | None:
        """The idle connection that was used last, if it can take a command as it is."""
        if self._idle and _is_usable(self._idle[-1]):
            return self._idle.pop()
        return None

    async def take(self) -> LocatedConnection:
        """A connection that must be opened or reopened first, or that another command hands over."""
        connection = None
        if self._idle:
            connection = self._idle.pop()
        elif self._unopened:
            self._unopened -= 1
        else:
            connection = await self._handed_over()
        if connection is not None and _is_usable(connection):
            return connection
        try:
            with self._deadlines.within(self._timeout_s):
                if connection is not None:
                    await self._pool.ensure_connection(connection)
                    return connection
                opened: LocatedConnection = await self._pool.get_connection()
                return opened
        except BaseException as error:
            if isinstance(error, (TimeoutError, RedisTimeoutError)):
                self._fail_all(error)
            if connection is None:
                self.hand_on(None)
            else:
                await self.discard(connection)
            raise

    def hand_on(self, connection: LocatedConnection | None) -> None:
        """Give a free connection, or with None the right to open one, to the command that has waited longest; if none waits, keep it."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if connection is None:
            self._unopened += 1
        else:
            self._idle.append(connection)

    async def discard(self, connection: LocatedConnection) -> None:
        """Close a connection that is in no state to be used."""
        try:
            await connection.disconnect(nowait=True)
        finally:
            await self._pool.release(connection)
            self.hand_on(None)

    async def _handed_over(self) -> LocatedConnection | None:
        """The next connection that another command no longer needs; None: this command may open one."""
        waiter: asyncio.Future[LocatedConnection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        patience_s = _PATIENCE * self._timeout_s
        deadline = self._deadlines.within(patience_s)
        try:
            with deadline:
                return await waiter
        except asyncio.CancelledError:
            self._pass_on(waiter)
            raise
        except TimeoutError:
            self._pass_on(waiter)
            if deadline.expired:
                raise NoFreeConnection(f"no free connection in {patience_s:g} s: all {self._most} are in use") from None
            raise

    def _pass_on(self, waiter: "asyncio.Future[LocatedConnection | None]") -> None:
        """What has just come to a command that is not there any more."""
        if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            self.hand_on(waiter.result())

    def _fail_all(self, error: BaseException) -> None:
        """The server does not answer to who comes: those who wait need not find out one after the other."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(type(error)(*error.args))


def _is_usable(connection: LocatedConnection) -> bool:
    """Whether a connection can take a command without being opened again."""
    reader = connection.replies.reader
    return reader is not None and reader.is_quiet and connection.is_current
