"""The client and the connections of a thread: blocking calls, otherwise as `connections` and `client` for asyncio."""

from typing import Any

import redis
from redis.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import RedisError

from runner.connection.address import Address, Topology
from runner.connection.error_translation import note
from runner.connection.locator import Locator


class LocatedConnection(AbstractConnection):
    """What our connections have in common."""

    def __init__(self, *, locator: Locator, **options: Any) -> None:
        super().__init__(**options)
        self.locator = locator

    def on_connect_check_health(self, check_health: bool = True) -> None:
        super().on_connect_check_health(check_health=check_health)
        if self.locator.address.topology is Topology.sentinel:
            self.send_command("ROLE", check_health=False)
            self.locator.check_role(self.read_response())


class TcpConnection(LocatedConnection, Connection):
    """A connection to a host and port."""

    def _connect(self) -> Any:
        with self.locator.suspected_on_error():
            self.host, self.port = self.locator.where_in_thread()
            return super()._connect()


class TlsConnection(TcpConnection, SSLConnection):
    """The same with TLS."""


class UnixConnection(LocatedConnection, UnixDomainSocketConnection):
    """A connection to a socket of this machine."""

    def _connect(self) -> Any:
        with self.locator.suspected_on_error():
            return super()._connect()


def connection_class(address: Address) -> type[LocatedConnection]:
    """The class that opens an address."""
    if address.topology is Topology.socket:
        return UnixConnection
    return TcpConnection if address.tls is None else TlsConnection


class ThreadClient(redis.Redis):
    """Closes its connections when the locator says that they may lead to the wrong server, and tells the locator of every error."""

    def __init__(self, pool: redis.ConnectionPool, locator: Locator) -> None:
        super().__init__(connection_pool=pool)
        self.auto_close_connection_pool = True
        self._locator = locator
        self._epoch = locator.epoch

    def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            if self._locator.is_due:
                self._locator.refresh_in_thread()
            if self._epoch != self._locator.epoch:
                self._epoch = self._locator.epoch
                self.connection_pool.disconnect()
            return super().execute_command(*args, **options)
        except (RedisError, OSError) as error:
            note(error, self._locator)
            raise


def command_in_thread(client: redis.Redis, *words: str | bytes | float) -> Any:
    """Send one command; its reply comes as the server gave it."""
    return client.execute_command(*words)
