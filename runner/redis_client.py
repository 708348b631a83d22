"""How a command is sent: once, bounded as a whole, its reply as the server gave it. Where the connections come from is connection.py's affair."""

import asyncio
from collections.abc import Callable
from typing import Any

import redis
import redis.asyncio
from redis.connection import HiredisRespSerializer
from redis.exceptions import RedisError


class _PacksInC:
    """A connection that packs its commands in C, as the library does for blocking clients only: a fifth of a busy worker's time."""

    pack_command = staticmethod(HiredisRespSerializer().pack)


class RedisClient(redis.asyncio.Redis):
    """Bounds each command as a whole.

    The library's own time-out for sending is asyncio.wait_for, which before Python 3.12 can swallow a cancellation:
    a worker told to stop would go on claiming.
    """

    timeout_s: float | None = None
    on_error: Callable[[BaseException], None] | None = None

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            async with asyncio.timeout(self.timeout_s):
                return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            if self.on_error is not None:
                self.on_error(error)
            raise


def client_over(pool: redis.asyncio.ConnectionPool, *, timeout_s: float, on_error: Callable[[BaseException], None]) -> RedisClient:
    """A client that owns this pool. The pool must not retry: a command is sent at most once. `timeout_s` bounds each command.

    `on_error` hears of every error of a command before it is raised.
    """
    pool.connection_class = type("Connection", (_PacksInC, pool.connection_class), {})
    client = RedisClient(connection_pool=pool)
    client.auto_close_connection_pool = True
    client.timeout_s = timeout_s
    client.on_error = on_error
    client.response_callbacks.clear()
    return client


async def command(client: redis.asyncio.Redis, *words: str | bytes | float) -> Any:
    """Send one command; its reply comes as the server gave it, not rearranged by the client."""
    return await client.execute_command(*words)  # type: ignore[no-untyped-call]


def command_in_thread(client: redis.Redis, *words: str | bytes | float) -> Any:
    """The same from a thread."""
    return client.execute_command(*words)  # type: ignore[no-untyped-call]
