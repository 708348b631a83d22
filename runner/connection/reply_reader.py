"""ReplyReader: parses the replies of one connection as the event loop reads them. Through asyncio's streams a command costs half as much again."""

import asyncio
from typing import Any, cast

import hiredis
from redis._parsers import BaseParser
from redis.asyncio.connection import AbstractConnection, DefaultParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse

from runner.deadlines import Deadlines

_NOT_YET = object()
_CLOSED = "the server has closed the connection"


class ReplyReader(asyncio.Protocol):
    """Replaces the stream protocol of one connection for reading, and forwards all other events to it.

    The connection's StreamWriter still asks that protocol for the state of flow control.
    One command at a time. After an error, or when a task that waits for a reply is cancelled, the connection must be closed: a late
    reply would be taken for that of the next command.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._stream: Any = transport.get_protocol()
        self._replies = hiredis.Reader(protocolError=InvalidResponse, replyError=DefaultParser.parse_error, notEnoughData=_NOT_YET)
        self._awaited: asyncio.Future[None] | None = None
        self._end: Exception | None = None
        self.at_s = 0.0
        transport.set_protocol(self)

    @property
    def is_quiet(self) -> bool:
        """Whether a command can be sent: the connection has not ended, and no reply is left that no command asked for."""
        return self._end is None and not self._replies.has_data()

    async def ask(self, packed: bytes, count: int, deadlines: Deadlines, at_s: float) -> list[Any]:
        """Send packed commands, and wait for `count` replies. Raises TimeoutError if they are not all there at `at_s`."""
        self.at_s = at_s
        deadlines.watch(self)
        try:
            self._transport.write(packed)
            return [await self.reply() for _ in range(count)]
        finally:
            deadlines.unwatch(self)

    async def reply(self) -> Any:
        """The next reply, which may be a `ResponseError`. Raises redis's ConnectionError if the connection is lost."""
        while (reply := self._replies.gets()) is _NOT_YET:
            if self._end is not None:
                raise self._end
            self._awaited = self._loop.create_future()
            try:
                await self._awaited
            finally:
                self._awaited = None
        if isinstance(reply, RedisConnectionError):
            raise reply
        return reply

    def expire(self) -> None:
        """Called by the deadlines: the time for a reply is over."""
        self._ended(TimeoutError("no answer in time"))

    def data_received(self, data: bytes) -> None:
        self._replies.feed(data)
        self._wake()

    def eof_received(self) -> bool | None:
        self._ended(RedisConnectionError(_CLOSED))
        keeps_open: bool | None = self._stream.eof_received()
        return keeps_open

    def connection_lost(self, error: Exception | None) -> None:
        self._ended(RedisConnectionError(f"{_CLOSED}: {error}" if error else _CLOSED))
        self._stream.connection_lost(error)

    def pause_writing(self) -> None:
        self._stream.pause_writing()

    def resume_writing(self) -> None:
        self._stream.resume_writing()

    def _ended(self, why: Exception) -> None:
        self._end = self._end or why
        self._wake()

    def _wake(self) -> None:
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(None)


class ReplyParser(BaseParser):
    """What the library asks for replies while it opens a connection or listens to a channel. Makes a reader for each socket."""

    def __init__(self, socket_read_size: int) -> None:  # noqa: ARG002 - the library's signature
        self.reader: ReplyReader | None = None

    def on_connect(self, connection: AbstractConnection) -> None:
        writer: asyncio.StreamWriter = cast("Any", connection)._writer  # noqa: SLF001 - the library's own parsers read private names too
        self.reader = ReplyReader(cast("asyncio.Transport", writer.transport))

    def on_disconnect(self) -> None:
        self.reader = None

    async def can_read(self) -> bool:
        """Whether there is something to read; the end of the connection counts as something."""
        return self.reader is None or not self.reader.is_quiet

    async def read_response(self, disable_decoding: bool = False) -> Any:  # noqa: ARG002 - the library's signature
        if self.reader is None:
            raise RedisConnectionError(_CLOSED)
        return await self.reader.reply()
