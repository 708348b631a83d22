"""RedisClient: sends each command once, bounds it by one time-out, and returns the reply as the server gave it."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import hiredis
import redis.asyncio
from redis.connection import HiredisRespSerializer
from redis.exceptions import RedisError, ResponseError

from runner.connection.connections import LocatedConnection
from runner.deadlines import Deadlines

_library = HiredisRespSerializer()


def packed(words: Sequence[Any]) -> bytes:
    """A command in the bytes that are sent. The library's own way splits a first word with a space, and looks for buffers in all others."""
    if isinstance(words[0], str) and " " not in words[0]:
        try:
            command: bytes = hiredis.pack_command(tuple(words))  # annotated as a tuple of one
            return command
        except TypeError:
            pass  # the library knows more types, and names the one it does not
    return b"".join(_library.pack(*words))


class RedisClient(redis.asyncio.Redis):
    """Sends a command at most once, and bounds it as a whole by `timeout_s`. Owns its pool, which must not retry.

    A connection that has replied stays here for the next command: to release it to the library's pool and take it again costs more
    processor time than the command itself. A connection whose command was cancelled, timed out or failed is closed.
    `on_error` is called with every error of a command before it is raised.
    """

    def __init__(self, pool: redis.asyncio.ConnectionPool, *, timeout_s: float, on_error: Callable[[BaseException], None]) -> None:
        super().__init__(connection_pool=pool)
        self.auto_close_connection_pool = True
        self.response_callbacks.clear()
        self.timeout_s = timeout_s
        self._on_error = on_error
        self._deadlines = Deadlines()
        self._idle: list[LocatedConnection] = []
        self._unopened = pool.max_connections
        self._waiting: deque[asyncio.Future[LocatedConnection | None]] = deque()

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
        """Send two commands in one write; the first may block, and the server runs the second when the first has replied.

        Both replies. A `ResponseError` is returned in its place, since the other command ran all the same.
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
        connection = self._take_idle()
        if connection is None:
            with self._deadlines.until(at_s):
                connection = await self._wait_for_connection()
        reader = connection.replies.reader
        assert reader is not None, "a connection without a socket"
        try:
            replies = await reader.ask(commands, count, self._deadlines, at_s)
        except BaseException:
            await self._discard(connection)
            raise
        self._hand_on(connection)
        return replies

    def _take_idle(self) -> LocatedConnection | None:
        """The idle connection that was used last, if it can take a command as it is."""
        if self._idle and _is_usable(self._idle[-1]):
            return self._idle.pop()
        return None

    async def _wait_for_connection(self) -> LocatedConnection:
        """A connection that must be opened or reopened first, or that another command hands over."""
        connection = None
        if self._idle:
            connection = self._idle.pop()
        elif self._unopened:
            self._unopened -= 1
        else:
            connection = await self._handed_over()
        if connection is None:
            try:
                connection = await self.connection_pool.get_connection()
            except BaseException:
                self._hand_on(None)
                raise
        elif not _is_usable(connection):
            try:
                await self.connection_pool.ensure_connection(connection)
            except BaseException:
                await self._discard(connection)
                raise
        return connection

    async def _handed_over(self) -> LocatedConnection | None:
        """The next connection that another command no longer needs; None: this command may open one."""
        waiter: asyncio.Future[LocatedConnection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self._hand_on(waiter.result())
            raise

    def _hand_on(self, connection: LocatedConnection | None) -> None:
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

    async def _discard(self, connection: LocatedConnection) -> None:
        try:
            await connection.disconnect(nowait=True)
        finally:
            await self.connection_pool.release(connection)
            self._hand_on(None)


def _is_usable(connection: LocatedConnection) -> bool:
    """Whether a connection can take a command without being opened again."""
    reader = connection.replies.reader
    return reader is not None and reader.is_quiet and connection.is_current


async def command(client: redis.asyncio.Redis, *words: str | bytes | float) -> Any:
    """Send one command; its reply comes as the server gave it, not rearranged by the library."""
    return await client.execute_command(*words)


async def pair(client: redis.asyncio.Redis, first: Sequence[str | bytes | float], second: Sequence[str | bytes | float]) -> list[Any]:
    """Send two commands in one write, see `RedisClient.execute_pair`."""
    assert isinstance(client, RedisClient)
    return await client.execute_pair(first, second)
