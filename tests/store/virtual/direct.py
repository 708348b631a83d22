"""A client that is asked and answers at once, for a store that is driven without an event loop: a tenth of a millisecond a call."""

import socket
from collections.abc import Coroutine
from typing import Any, TypeVar
from urllib.parse import urlsplit

import hiredis
from redis.exceptions import NoScriptError, ResponseError

from runner.connection.client import packed

T = TypeVar("T")


class DirectRedis:
    """One connection. `execute_command` is a coroutine that never waits for the loop: see `done`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme == "unix":
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.connect(parts.path)
        else:
            self._socket = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379))
        self._reader = hiredis.Reader(replyError=_error)

    async def execute_command(self, *words: Any, **_: Any) -> Any:
        return self.ask(*words)

    def ask(self, *words: Any) -> Any:
        self._socket.sendall(packed(words))
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(1 << 16))
        if isinstance(reply, ResponseError):
            raise reply
        return reply

    def close(self) -> None:
        self._socket.close()


def done(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise RuntimeError(f"{coroutine} waits: it can be used with an event loop only")


def _error(text: str) -> ResponseError:
    return NoScriptError(text) if text.startswith("NOSCRIPT") else ResponseError(text)
