"""RedisClient: sends each command once, bounds its silence by one time-out, and returns the reply as the server gave it."""

from collections.abc import Callable, Sequence
from typing import Any

import hiredis
import redis.asyncio
from redis.connection import HiredisRespSerializer
from redis.exceptions import RedisError, ResponseError

from runner.connection.connections import Pool
from runner.connection.lane import Lane
from runner.connection.progress import LARGE
from runner.connection.refusal import explained
from runner.deadlines import Deadlines

LARGE_LANE = 2
"""Connections of a client for what is large: two, so that one line is filled and one slow transfer does not stop the other."""

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
    """Sends a command at most once. It ends `timeout_s` after its last byte has moved, see `Progress`. Owns its pool, which must not retry.

    What is large has connections of its own, so that all others need not wait for it.
    Once it is closed every command raises `ClientClosed`, one under way too.
    `on_error` is called with every error of a command before it is raised.
    """

    def __init__(self, pool: Pool, *, timeout_s: float, on_error: Callable[[BaseException], None]) -> None:
        super().__init__(connection_pool=pool)
        self.auto_close_connection_pool = True
        self.response_callbacks.clear()
        self.timeout_s = timeout_s
        self._pool = pool
        self._on_error = on_error
        self._deadlines = Deadlines()
        self._has_replied = False
        self._lane = Lane(pool, pool.max_connections - LARGE_LANE, self._deadlines, timeout_s)
        self._large_lane = Lane(pool, LARGE_LANE, self._deadlines, timeout_s)

    async def execute_command(self, *words: Any, is_large: bool = False, **_: Any) -> Any:
        """The reply. is_large: it will be long; of a long command that is seen."""
        try:
            (reply,) = await self._ask(packed(words), 1, is_large=is_large)
            if isinstance(reply, ResponseError):
                raise reply
        except (RedisError, OSError) as error:
            told = await self._noted(error)
            if told is error:
                raise
            raise told from error
        self._has_replied = True
        return reply

    async def execute_pair(self, first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
        """Send two commands in one write; the first may block, and the server runs the second when the first has replied.

        Both replies. A `ResponseError` is returned in its place, since the other command ran all the same.
        """
        try:
            replies = await self._ask(packed(first) + packed(second), 2)
        except (RedisError, OSError) as error:
            told = await self._noted(error)
            if told is error:
                raise
            raise told from error
        for reply in replies:
            if isinstance(reply, ResponseError):
                self._on_error(reply)
            else:
                self._has_replied = True
        return replies

    async def _noted(self, error: Exception) -> Exception:
        """The error to raise for a command that failed. Of a server that never replied it is asked why."""
        self._pool.check_open()  # a command under way ends with its connection
        if not self._has_replied:
            error = await explained(error, self._pool.connection_kwargs["locator"])
            self._pool.check_open()
        self._on_error(error)
        return error

    def abandon(self) -> None:
        """Close every socket, without the event loop of the connections, which was closed before them."""
        self._pool.abandon()

    async def _ask(self, commands: bytes, count: int, *, is_large: bool = False) -> list[Any]:
        lane = self._large_lane if is_large or len(commands) > LARGE else self._lane
        connection = lane.take_idle()
        if connection is None:
            connection = await lane.take()
        reader = connection.replies.reader
        assert reader is not None, "a connection without a socket"
        try:
            replies = await reader.ask(commands, count, self._deadlines, self.timeout_s)
        except BaseException:
            await lane.discard(connection)
            raise
        lane.hand_on(connection)
        return replies


async def command(client: redis.asyncio.Redis, *words: str | bytes | float) -> Any:
    """Send one command; its reply comes as the server gave it, not rearranged by the library."""
    return await client.execute_command(*words)


async def pair(client: redis.asyncio.Redis, first: Sequence[str | bytes | float], second: Sequence[str | bytes | float]) -> list[Any]:
    """Send two commands in one write, see `RedisClient.execute_pair`."""
    assert isinstance(client, RedisClient)
    return await client.execute_pair(first, second)
