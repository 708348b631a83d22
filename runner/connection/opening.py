"""From a URL to a client: pools whose connections ask the locator where to go, and which are opened anew when it says so."""

from functools import partial
from pathlib import Path
from typing import Any, cast

import redis
import redis.asyncio
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.connection import Connection as ThreadConnection
from redis.connection import SSLConnection as ThreadSSLConnection
from redis.connection import UnixDomainSocketConnection as ThreadUnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry

from runner.connection.address import Address, Topology, embedded_folder, parse_address, shown_url
from runner.connection.client import RedisClient
from runner.connection.embedded import FOLDER, EmbeddedServer
from runner.connection.error_translation import note
from runner.connection.locator import Locator
from runner.errors import ConfigurationError
from runner.settings import Settings

_POOL_SIZE = 32
_TLS_FILES = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")


def redis_url(settings: Settings) -> str:
    """Where the queue lives: the configured URL, or the embedded server of a folder. Raises `ConfigurationError` if it cannot be used."""
    folder = Path() if settings.redis_url is None else embedded_folder(settings.redis_url)
    if folder is None:
        assert settings.redis_url is not None
        parse_address(settings.redis_url)
        return settings.redis_url
    server = EmbeddedServer(folder / FOLDER)
    if not server.was_started:
        message = f"no Redis to use in {folder.resolve()}: set RUNNER_REDIS_URL, or start the embedded server with `python -m runner dev`"
        raise ConfigurationError(message)
    return server.url


def located(url: str, key: str = "") -> Locator:
    """The locator of the server that a URL leads to; in a cluster of the one that holds `key`. Raises `ConfigurationError`."""
    address = parse_address(url)
    for option in _TLS_FILES:
        name = (address.tls or {}).get(option)
        if isinstance(name, str) and not Path(name).exists():
            # To open it would fail as a connection does, and be tried again for ever.
            message = f"Redis URL {shown_url(url)!r} cannot be used: {option} names {name!r}, which is not there"
            raise ConfigurationError(message)
    return Locator(address, key)


def connect(server: str | Locator, *, timeout_s: float) -> RedisClient:
    """A client whose every command is sent at most once: our loops retry, knowing what may be repeated. `timeout_s` bounds each reply."""
    locator = server if isinstance(server, Locator) else located(server)
    pool = _Pool(
        connection_class=_class_for(locator.address),
        max_connections=_POOL_SIZE,
        timeout=timeout_s,
        retry=AsyncRetry(NoBackoff(), 0),
        socket_timeout=None,
        socket_connect_timeout=timeout_s,
        locator=locator,
        **_options(locator.address),
    )
    return RedisClient(pool, timeout_s=timeout_s, is_current=partial(_is_current, locator), on_error=partial(note, locator=locator))


def connect_in_thread(server: Locator, *, timeout_s: float) -> redis.Redis:
    """The same for a thread of its own, which needs a locator of its own."""
    pool = redis.ConnectionPool(
        connection_class=_thread_class_for(server.address),
        retry=Retry(NoBackoff(), 0),
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        locator=server,
        **_options(server.address),
    )
    client = _ThreadClient(connection_pool=pool)
    client.auto_close_connection_pool = True
    return client


class _Pool(redis.asyncio.BlockingConnectionPool):
    """A pool that opens those of its connections anew which may lead to the wrong server."""

    async def ensure_connection(self, connection: Any) -> None:
        locator: Locator = connection.locator
        if locator.is_due:
            await locator.refresh()
        if connection.epoch != locator.epoch:
            await connection.disconnect(nowait=True)
        await super().ensure_connection(connection)


def _is_current(locator: Locator, connection: Any) -> bool:
    """Whether a connection can be used again without asking anybody."""
    return not locator.is_due and connection.epoch == locator.epoch


class _Located:
    """A connection that asks where its server is each time it opens."""

    epoch = 0

    def __init__(self, *, locator: Locator, **options: Any) -> None:
        self.locator = locator
        super().__init__(**options)
        if locator.address.tls is not None:
            self.ssl_context = locator.tls_context = locator.tls_context or self.ssl_context  # type: ignore[has-type]

    async def _connect(self) -> None:
        try:
            if self.locator.address.topology is not Topology.socket:
                self.host, self.port = await self.locator.where()
            self.epoch = self.locator.epoch
            await super()._connect()  # type: ignore[misc]
        except (RedisError, OSError):
            self.locator.suspect()
            raise

    async def disconnect(self, nowait: bool = False, **why: Any) -> None:
        writer = getattr(self, "_writer", None)
        if nowait and writer is not None:
            writer.transport.abort()  # TLS would wait for the other side's farewell
        await super().disconnect(nowait=nowait, **why)  # type: ignore[misc]

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        await super().on_connect_check_health(check_health=check_health)  # type: ignore[misc]
        if self.locator.address.topology is Topology.sentinel:
            await self.send_command("ROLE", check_health=False)  # type: ignore[attr-defined]
            _check_role(await self.read_response(), self.locator)  # type: ignore[attr-defined]


class _LocatedInThread:
    """The same for a thread."""

    epoch = 0

    def __init__(self, *, locator: Locator, **options: Any) -> None:
        self.locator = locator
        super().__init__(**options)

    def _connect(self) -> Any:
        try:
            if self.locator.address.topology is not Topology.socket:
                self.host, self.port = self.locator.where_in_thread()
            self.epoch = self.locator.epoch
            return super()._connect()  # type: ignore[misc]
        except (RedisError, OSError):
            self.locator.suspect()
            raise

    def on_connect_check_health(self, check_health: bool = True) -> None:
        super().on_connect_check_health(check_health=check_health)  # type: ignore[misc]
        if self.locator.address.topology is Topology.sentinel:
            self.send_command("ROLE", check_health=False)  # type: ignore[attr-defined]
            _check_role(self.read_response(), self.locator)  # type: ignore[attr-defined]


class _ThreadClient(redis.Redis):
    """Leaves its server when the locator says so, and tells it of errors."""

    _epoch = 0

    def execute_command(self, *args: Any, **options: Any) -> Any:
        locator: Locator = self.connection_pool.connection_kwargs["locator"]
        try:
            if locator.is_due:
                locator.refresh_in_thread()
            if self._epoch != locator.epoch:
                self._epoch = locator.epoch
                self.connection_pool.disconnect()
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            note(error, locator)
            raise


def _check_role(role: Any, locator: Locator) -> None:
    """Sentinels may name a server that has just been replaced, and a replica answers what only reads."""
    if role[0] != b"master":
        locator.leave()
        raise RedisConnectionError(
            f"{locator.address.service} is not led by the server that the Sentinels name: it is a {role[0].decode()}"
        )


def _options(address: Address) -> dict[str, Any]:
    options = {"protocol": 2, "db": address.db, "username": address.username, "password": address.password, **(address.tls or {})}
    return options | ({"path": address.path} if address.topology is Topology.socket else {})


def _class_for(address: Address) -> type[Connection]:
    kind = UnixDomainSocketConnection if address.topology is Topology.socket else Connection if address.tls is None else SSLConnection
    return cast("type[Connection]", type("Connection", (_Located, kind), {}))


def _thread_class_for(address: Address) -> type[ThreadConnection]:
    tcp = ThreadConnection if address.tls is None else ThreadSSLConnection
    kind = ThreadUnixDomainSocketConnection if address.topology is Topology.socket else tcp
    return cast("type[ThreadConnection]", type("ThreadConnection", (_LocatedInThread, kind), {}))
