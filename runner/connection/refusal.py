"""Why a server closes every connection: what it says to one that sends nothing. A command that is sent then meets a closed socket."""

import asyncio
from contextlib import suppress

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from runner.connection.address import Topology
from runner.connection.locator import Locator

_LISTEN_S = 0.3
_LONGEST = 300


async def explained(error: Exception, locator: Locator) -> Exception:
    """The error with which a connection was closed, or what the server says at the door: Redis in protected mode, or one that is full."""
    lost = isinstance(error, (RedisConnectionError, OSError)) and not isinstance(error, (TimeoutError, ConnectionRefusedError))
    if not lost or locator.address.topology is Topology.socket or locator.address.tls is not None:
        return error
    said = b""
    with suppress(OSError, RedisError, TimeoutError):
        async with asyncio.timeout(_LISTEN_S):
            node = await locator.where()
            reader, writer = await asyncio.open_connection(node.host, node.port)
            try:
                said = await reader.readline()
            finally:
                writer.transport.abort()
    if not said.startswith(b"-"):
        return error
    text = said[1:].decode(errors="replace").strip()[:_LONGEST]
    return ResponseError(text) if text.startswith("DENIED") else RedisConnectionError(f"the server has closed the connection: {text}")
