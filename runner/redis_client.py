"""How a command is sent: once, bounded as a whole, its reply as the server gave it. Where the connections come from is connection/'s affair."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import hiredis
import redis
import redis.asyncio
from redis.asyncio.connection import AbstractConnection
from redis.connection import HiredisRespSerializer
from redis.exceptions import RedisError, ResponseError

from runner.deadlines import Deadlines

_library = HiredisRespSerializer()


class _PacksInC:
    """A connection that packs its commands in C, as the library does for blocking clients only: a fifth of a busy worker's time."""

    @staticmethod
    def pack_command(*words: Any) -> list[bytes]:
        """The command as it is sent. The library splits a command of two words, and looks for buffers in all others."""
        if isinstance(words[0], str) and " " not in words[0]:
            try:
                return [hiredis.pack_command(words)]
            except TypeError:
                pass  # the library knows more types, and how to complain
        packed: list[bytes] = _library.pack(*words)
        return packed


class RedisClient(redis.asyncio.Redis):
    """Sends a command at most once, and bounds it as a whole by `timeout_s`. Owns its pool, which must not retry.

    A connection that has answered is kept here for the next command: the library's own way, by the pool and back, costs twice
    as much processor time as the command itself. One whose command was cancelled, timed out or did not come through is closed.
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
        pool.connection_class = type("Connection", (_PacksInC, pool.connection_class), {})
        self._is_current = is_current
        self._on_error = on_error
        self._deadlines = Deadlines()
        self._idle: list[AbstractConnection] = []
        self._most = asyncio.Semaphore(pool.max_connections)

    async def execute_command(self, *words: Any, **_: Any) -> Any:
        try:
            with self._deadlines.within(self.timeout_s):
                async with self._most:
                    return await self._send(await self._connected(), words)
        except (RedisError, OSError) as error:
            self._on_error(error)
            raise

    async def execute_pair(self, first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
        """Send two commands at once, of which the first may block: the server runs the second right behind it, without a word from here.

        Both replies; one that is a `ResponseError` is returned in its place, as the other command ran all the same.
        """
        try:
            with self._deadlines.within(self.timeout_s):
                async with self._most:
                    replies = await self._send_both(await self._connected(), first, second)
        except (RedisError, OSError) as error:
            self._on_error(error)
            raise
        for reply in replies:
            if isinstance(reply, ResponseError):
                self._on_error(reply)
        return replies

    async def _send_both(self, connection: AbstractConnection, first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
        try:
            packed = [*connection.pack_command(*first), *connection.pack_command(*second)]
            await connection.send_packed_command(packed, check_health=False)
            replies = [await _reply_or_refusal(connection), await _reply_or_refusal(connection)]
        except BaseException:
            await self._discard(connection)
            raise
        self._idle.append(connection)
        return replies

    async def _send(self, connection: AbstractConnection, words: tuple[Any, ...]) -> Any:
        try:
            await connection.send_packed_command(connection.pack_command(*words), check_health=False)
            reply = await connection.read_response()
        except ResponseError:
            self._idle.append(connection)
            raise
        except BaseException:
            await self._discard(connection)
            raise
        self._idle.append(connection)
        return reply

    async def _connected(self) -> AbstractConnection:
        """A connection that is ready for a command: of the idle ones the latest used, or a new one."""
        if not self._idle:
            opened = await self.connection_pool.get_connection()  # type: ignore[no-untyped-call]
            assert isinstance(opened, AbstractConnection)
            return opened
        connection = self._idle.pop()
        try:
            if not self._is_current(connection) or await _has_ended(connection):
                await self.connection_pool.ensure_connection(connection)
        except BaseException:
            await self._discard(connection)
            raise
        return connection

    async def _discard(self, connection: AbstractConnection) -> None:
        try:
            await connection.disconnect(nowait=True)
        finally:
            await self.connection_pool.release(connection)


async def _reply_or_refusal(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


async def _has_ended(connection: AbstractConnection) -> bool:
    """Whether the server has closed an idle connection: there is nothing else to read before a command is sent."""
    try:
        return await connection.can_read()
    except (RedisError, OSError):
        return True


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
