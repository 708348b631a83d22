"""How a command is sent: once, bounded as a whole, its reply as the server gave it. Where the connections come from is connection/'s affair."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

import hiredis
import redis
import redis.asyncio
from redis.asyncio.connection import AbstractConnection
from redis.connection import HiredisRespSerializer
from redis.exceptions import RedisError, ResponseError

from runner.connection.reply_reader import ReplyParser, ReplyReader
from runner.deadlines import Deadlines

_library = HiredisRespSerializer()


def packed(words: Sequence[Any]) -> bytes:
    """A command as it is sent. The library splits a command of two words, and looks for buffers in all others."""
    if isinstance(words[0], str) and " " not in words[0]:
        try:
            command: bytes = hiredis.pack_command(tuple(words))  # annotated as a tuple of one
            return command
        except TypeError:
            pass  # the library knows more types, and how to complain
    return b"".join(_library.pack(*words))


class _Direct(AbstractConnection):
    """A connection that the library opens and closes, and that is used without it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, parser_class=ReplyParser)

    @property
    def socket(self) -> ReplyReader | None:
        """What there is to ask while the connection is open."""
        return self._parser.reader  # type: ignore[attr-defined, no-any-return] # the library's attribute, of our class


class RedisClient(redis.asyncio.Redis):
    """Sends a command at most once, and bounds it as a whole by `timeout_s`. Owns its pool, which must not retry.

    A connection that has answered is kept here for the next command: the library's own way, by the pool and back, costs more
    processor time than the command itself. One whose command was cancelled, timed out or did not come through is closed.
    `is_current` says whether a connection still leads to the right server, else the pool opens it anew; `on_error` hears of
    every error of a command before it is raised.
    """

    def __init__(
        self,
        pool: redis.asyncio.ConnectionPool,
        *,
        timeout_s: float,
        is_current: Callable[[AbstractConnection], bool],
        on_error: Callable[[BaseException], None],
    ) -> None:
        super().__init__(connection_pool=pool)
        self.auto_close_connection_pool = True
        self.response_callbacks.clear()
        self.timeout_s = timeout_s
        pool.connection_class = type("Connection", (_Direct, pool.connection_class), {})
        self._is_current = is_current
        self._on_error = on_error
        self._deadlines = Deadlines()
        self._idle: list[_Direct] = []
        self._unopened = pool.max_connections
        self._waiting: deque[asyncio.Future[_Direct | None]] = deque()

    async def execute_command(self, *words: Any, **_: Any) -> Any:
        try:
            (reply,) = await self._ask(packed(words), 1)
            if isinstance(reply, ResponseError):
                raise reply
        except (RedisError, OSError) as error:
            self._on_error(error)
            raise
        return reply

    async def execute_pair(self, first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
        """Send two commands at once, of which the first may block: the server runs the second right behind it, without a word from here.

        Both replies; one that is a `ResponseError` is returned in its place, as the other command ran all the same.
        """
        try:
            replies = await self._ask(packed(first) + packed(second), 2)
        except (RedisError, OSError) as error:
            self._on_error(error)
            raise
        for reply in replies:
            if isinstance(reply, ResponseError):
                self._on_error(reply)
        return replies

    async def _ask(self, commands: bytes, count: int) -> list[Any]:
        at_s = asyncio.get_running_loop().time() + self.timeout_s
        connection = self._ready()
        if connection is None:
            with self._deadlines.until(at_s):
                connection = await self._connected()
        socket = connection.socket
        assert socket is not None, "a connection without a socket"
        try:
            replies = await socket.ask(commands, count, self._deadlines, at_s)
        except BaseException:
            await self._discard(connection)
            raise
        self._hand_on(connection)
        return replies

    def _ready(self) -> _Direct | None:
        """Of the idle connections the latest used, if it can take a command as it is."""
        if self._idle and self._is_usable(self._idle[-1]):
            return self._idle.pop()
        return None

    def _is_usable(self, connection: _Direct) -> bool:
        socket = connection.socket
        return socket is not None and socket.is_quiet and self._is_current(connection)

    async def _connected(self) -> _Direct:
        """A connection that had to be waited for, or to be opened."""
        connection = None
        if self._idle:
            connection = self._idle.pop()
        elif self._unopened:
            self._unopened -= 1
        else:
            connection = await self._handed_over()
        if connection is None:
            try:
                connection = cast("_Direct", await self.connection_pool.get_connection())  # type: ignore[no-untyped-call]
            except BaseException:
                self._hand_on(None)
                raise
        elif not self._is_usable(connection):
            try:
                await self.connection_pool.ensure_connection(connection)
            except BaseException:
                await self._discard(connection)
                raise
        return connection

    async def _handed_over(self) -> _Direct | None:
        """The next connection that is free, or None: one may be opened."""
        waiter: asyncio.Future[_Direct | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self._hand_on(waiter.result())
            raise

    def _hand_on(self, connection: _Direct | None) -> None:
        """A connection is free, or with None one more may be opened: who waits longest is next, and nobody can come between."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if connection is None:
            self._unopened += 1
        else:
            self._idle.append(connection)

    async def _discard(self, connection: _Direct) -> None:
        try:
            await connection.disconnect(nowait=True)
        finally:
            await self.connection_pool.release(connection)
            self._hand_on(None)


async def command(client: redis.asyncio.Redis, *words: str | bytes | float) -> Any:
    """Send one command; its reply comes as the server gave it, not rearranged by the client."""
    return await client.execute_command(*words)  # type: ignore[no-untyped-call]


async def pair(client: redis.asyncio.Redis, first: Sequence[str | bytes | float], second: Sequence[str | bytes | float]) -> list[Any]:
    """Send two commands at once, see `RedisClient.execute_pair`."""
    assert isinstance(client, RedisClient)
    return await client.execute_pair(first, second)


def command_in_thread(client: redis.Redis, *words: str | bytes | float) -> Any:
    """The same from a thread."""
    return client.execute_command(*words)  # type: ignore[no-untyped-call]
