"""ReplyReader: the replies of one connection, taken from its socket as they come. Through asyncio's streams a command costs a half more."""

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
    """Reads for one socket, in the place of the protocol it was opened with. That one goes on hearing of all else, as the writer asks it.

    One command at a time. After an error, or when whoever waits for a reply was cancelled, the connection must be closed: a reply that
    comes late would be taken for another command's.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._before: Any = transport.get_protocol()
        self._replies = hiredis.Reader(protocolError=InvalidResponse, replyError=DefaultParser.parse_error, notEnoughData=_NOT_YET)
        self._awaited: asyncio.Future[None] | None = None
        self._end: Exception | None = None
        self.at_s = 0.0
        transport.set_protocol(self)

    @property
    def is_quiet(self) -> bool:
        """Whether a command can be sent: the connection has not ended, and nothing came that nobody asked for."""
        return self._end is None and not self._replies.has_data()

    async def ask(self, packed: bytes, count: int, deadlines: Deadlines, at_s: float) -> list[Any]:
        """Send what is packed already; so many replies. Raises TimeoutError if they are not all there at `at_s`."""
        self.at_s = at_s
        deadlines.keep(self)
        try:
            self._transport.write(packed)
            return [await self.reply() for _ in range(count)]
        finally:
            deadlines.drop(self)

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
        """The time for a reply is over."""
        self._ended(TimeoutError("no answer in time"))

    def data_received(self, data: bytes) -> None:
        self._replies.feed(data)
        self._wake()

    def eof_received(self) -> bool | None:
        self._ended(RedisConnectionError(_CLOSED))
        return self._before.eof_received()  # type: ignore[no-any-return]

    def connection_lost(self, error: Exception | None) -> None:
        self._ended(RedisConnectionError(f"{_CLOSED}: {error}" if error else _CLOSED))
        self._before.connection_lost(error)

    def pause_writing(self) -> None:
        self._before.pause_writing()

    def resume_writing(self) -> None:
        self._before.resume_writing()

    def _ended(self, why: Exception) -> None:
        self._end = self._end or why
        self._wake()

    def _wake(self) -> None:
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(None)


class ReplyParser(BaseParser):
    """What redis-py asks for replies while it opens a connection or listens to announcements: a reader for each socket."""

    def __init__(self, socket_read_size: int) -> None:  # noqa: ARG002 - the library's signature
        self.reader: ReplyReader | None = None

    def on_connect(self, connection: AbstractConnection) -> None:
        writer: asyncio.StreamWriter = cast("Any", connection)._writer  # noqa: SLF001 - what the library's own parsers read is as private
        self.reader = ReplyReader(cast("asyncio.Transport", writer.transport))

    def on_disconnect(self) -> None:
        self.reader = None

    async def can_read(self) -> bool:
        """Whether there is something to read, which also the end of a connection is."""
        return self.reader is None or not self.reader.is_quiet

    async def read_response(self, disable_decoding: bool = False) -> Any:  # noqa: ARG002 - the library's signature
        if self.reader is None:
            raise RedisConnectionError(_CLOSED)
        return await self.reader.reply()
