"""The connections of an asyncio client: each finds its server when it opens, and a pool reopens those that may lead to the wrong one."""

import asyncio
from contextlib import suppress
from typing import Any

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection

from runner.connection.address import Address, Topology
from runner.connection.locator import Locator
from runner.connection.reply_reader import ReplyParser
from runner.errors import ClientClosed


class LocatedConnection(AbstractConnection):
    """What our connections have in common. The library opens and closes them; `RedisClient` sends and reads without it."""

    def __init__(self, *, locator: Locator, **options: Any) -> None:
        super().__init__(**options, parser_class=ReplyParser)
        assert isinstance(self._parser, ReplyParser)
        self.replies = self._parser
        self.locator = locator
        self.epoch = 0
        """Of the locator when the connection was opened."""

    @property
    def is_current(self) -> bool:
        """Whether the connection leads to the right server for all that the locator knows, and the locator need not ask again."""
        return not self.locator.is_due and self.epoch == self.locator.epoch

    async def disconnect(self, nowait: bool = False, *args: Any, **options: Any) -> None:
        writer = getattr(self, "_writer", None)
        if nowait and writer is not None:
            writer.transport.abort()  # TLS would wait for the server to say that it closes too
        await super().disconnect(nowait, *args, **options)

    def abandon(self) -> None:
        """Close the socket, if there is one; the event loop was closed before, so nothing can be sent, awaited or scheduled."""
        writer: asyncio.StreamWriter | None = getattr(self, "_writer", None)
        self._reader = self._writer = None
        if writer is not None:
            _drop(writer.transport)

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        await super().on_connect_check_health(check_health=check_health)
        if self.locator.address.topology is Topology.sentinel:
            await self.send_command("ROLE", check_health=False)
            self.locator.check_role(await self.read_response())


def _drop(transport: Any) -> None:
    """End a transport of asyncio whose loop is closed. Its own `abort` leaves the last step to the loop."""
    socket_transport = getattr(getattr(transport, "_ssl_protocol", None), "_transport", transport)
    with suppress(RuntimeError):
        transport.abort()
    with suppress(RuntimeError, AttributeError):  # uvloop has closed the sockets with the loop
        socket_transport._call_connection_lost(None)  # noqa: SLF001 - nothing public works without the loop


class TcpConnection(LocatedConnection, Connection):
    """A connection to a host and port."""

    async def _connect(self) -> None:
        with self.locator.suspected_on_error():
            self.host, self.port = await self.locator.where()
            self.epoch = self.locator.epoch
            await super()._connect()


class TlsConnection(TcpConnection, SSLConnection):
    """The same with TLS. All connections of a locator share the context of the first: to read the certificates is the slowest part."""

    def __init__(self, *, locator: Locator, **options: Any) -> None:
        super().__init__(locator=locator, **options)
        self.ssl_context = locator.tls_context = locator.tls_context or self.ssl_context


class UnixConnection(LocatedConnection, UnixDomainSocketConnection):
    """A connection to a socket of this machine."""

    async def _connect(self) -> None:
        with self.locator.suspected_on_error():
            self.epoch = self.locator.epoch
            await super()._connect()


def connection_class(address: Address) -> type[LocatedConnection]:
    """The class that opens an address."""
    if address.topology is Topology.socket:
        return UnixConnection
    return TcpConnection if address.tls is None else TlsConnection


class Pool(BlockingConnectionPool):
    """A pool that reopens a connection if the locator says that it may lead to the wrong server, and opens none once it is closed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._is_closed = False

    def check_open(self) -> None:
        """Raises `ClientClosed`."""
        if self._is_closed:
            raise ClientClosed("the client is closed: open another one")

    async def ensure_connection(self, connection: Any) -> None:
        self.check_open()
        locator: Locator = connection.locator
        if locator.is_due:
            await locator.refresh()
        if connection.epoch != locator.epoch:
            await connection.disconnect(nowait=True)
        await super().ensure_connection(connection)
        if self._is_closed:
            await connection.disconnect(nowait=True)
            self.check_open()

    def abandon(self) -> None:
        """Close every socket, without the event loop of the connections, which was closed before them."""
        self._is_closed = True
        connections: list[Any] = [*self._available_connections, *self._in_use_connections]
        for connection in connections:
            connection.abandon()

    async def aclose(self) -> None:
        self._is_closed = True
        await super().aclose()
