"""ReplyReader: parses the replies of one connection as the event loop reads them. Through asyncio's streams a command costs half as much again."""

import asyncio
from typing import Any, cast

import hiredis
from redis._parsers import BaseParser
from redis.asyncio.connection import AbstractConnection, DefaultParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse

from runner.connection.progress import FIRST_BYTES, LARGE, LOOKS, Progress, unsent
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
        self.at_s = self._begun_s = self._came_s = 0.0
        self._sent = self._came = 0
        """Bytes of the exchange under way."""
        self._timeout_s = 0.0
        self._deadlines: Deadlines | None = None
        self._progress: Progress | None = None
        """Of an exchange that has been looked at."""
        transport.set_protocol(self)

    @property
    def is_quiet(self) -> bool:
        """Whether a command can be sent: the connection has not ended, and no reply is left that no command asked for."""
        return self._end is None and not self._replies.has_data()

    async def ask(self, packed: bytes, count: int, deadlines: Deadlines, timeout_s: float) -> list[Any]:
        """Send packed commands, and wait for `count` replies. Raises TimeoutError once nothing has moved for `timeout_s`."""
        self._deadlines, self._timeout_s, self._sent, self._came, self._progress = deadlines, timeout_s, len(packed), 0, None
        self._begun_s = begun_s = self._loop.time()
        self.at_s = begun_s + (timeout_s if self._sent <= LARGE else timeout_s / LOOKS)
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
            if self._came > FIRST_BYTES:
                self._came_s = self._loop.time()
            self._awaited = self._loop.create_future()
            try:
                await self._awaited
            finally:
                self._awaited = None
        if isinstance(reply, RedisConnectionError):
            raise reply
        return reply

    def expire(self) -> None:
        """Called by the deadlines: the time for a reply is over, unless bytes still move."""
        assert self._deadlines is not None
        now_s, (left, is_seen) = self._loop.time(), unsent(self._transport)
        if self._progress is None:
            self._progress = Progress(self._begun_s, self._timeout_s, self._sent, is_seen=is_seen)
        next_look_s = self._progress.next_look_s(now_s, left, self._came, self._came_s)
        if next_look_s is None:
            self._ended(self._progress.end(now_s, left, self._came))
        else:
            self.at_s = next_look_s
            self._deadlines.watch(self)

    def data_received(self, data: bytes) -> None:
        self._came += len(data)
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
