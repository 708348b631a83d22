"""From a URL to a client whose every command is sent at most once: our loops retry, as they know what may be repeated."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import redis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from runner.connection import connections, thread_client
from runner.connection.address import Address, Topology, embedded_folder, parse_address
from runner.connection.client import LARGE_LANE, RedisClient
from runner.connection.embedded import FOLDER, EmbeddedServer
from runner.connection.error_translation import note
from runner.connection.locator import Locator
from runner.connection.server_process import find_binary
from runner.errors import ConfigurationError
from runner.masking import shown_url
from runner.settings import Settings

_POOL_SIZE = 32
_TLS_FILES = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")


def redis_url(settings: Settings) -> str:
    """Where the queue lives: the configured URL, or the embedded server of a folder. Raises `ConfigurationError` if it cannot be used.

    So it does for the server of shared limits, which is asked later and beside: jobs that nobody can start are worse than an error here.
    """
    _check_shared(settings.shared_url)
    folder = _folder_of(settings)
    if folder is None:
        assert settings.redis_url is not None
        parse_address(settings.redis_url)
        return settings.redis_url
    server = EmbeddedServer(folder / FOLDER)
    if not server.was_started:
        find_binary()  # raises if none can be started here
        raise ConfigurationError(
            f"no Redis to use in {folder.resolve()}: set RUNNER_REDIS_URL, or start the embedded server with `python -m runner dev`"
        )
    server.refuse_foreign()
    return server.url


def _check_shared(url: str | None) -> None:
    if url is None:
        return
    try:
        parse_address(url)
    except ConfigurationError as error:
        raise ConfigurationError(f"RUNNER_SHARED_URL, or shared_url of the settings: {error}") from None


@asynccontextmanager
async def embedded_server(settings: Settings) -> AsyncIterator[None]:
    """Have the embedded server that these settings mean: started if it does not run, and stopped at the end if it was started here.

    Nothing is done for a URL of another server. Raises `ConfigurationError` as `EmbeddedServer.attach_or_start`.
    """
    folder = _folder_of(settings)
    if folder is None:
        yield
        return
    server = await asyncio.to_thread(EmbeddedServer.attach_or_start, folder)
    try:
        yield
    finally:
        await asyncio.to_thread(server.close)


def _folder_of(settings: Settings) -> Path | None:
    return Path() if settings.redis_url is None else embedded_folder(settings.redis_url)


def located(url: str, key: str = "") -> Locator:
    """The locator of the server that a URL leads to; in a cluster of the one that holds `key`. Raises `ConfigurationError`."""
    address = parse_address(url)
    for option in _TLS_FILES:
        name = (address.tls or {}).get(option)
        if isinstance(name, str) and not Path(name).exists():
            # The library would fail as if the server were away, and our loops would try again for ever.
            raise ConfigurationError(f"Redis URL {shown_url(url)!r} cannot be used: {option} names {name!r}, which is not there")
    return Locator(address, key)


def connect(server: str | Locator, *, timeout_s: float) -> RedisClient:
    """A client for one event loop. `timeout_s` bounds the silence before each reply."""
    locator = server if isinstance(server, Locator) else located(server)
    pool = connections.Pool(
        connection_class=connections.connection_class(locator.address),
        max_connections=_POOL_SIZE + LARGE_LANE,
        timeout=timeout_s,
        retry=AsyncRetry(NoBackoff(), 0),
        socket_timeout=None,
        socket_connect_timeout=timeout_s,
        locator=locator,
        **_options(locator.address),
    )
    return RedisClient(pool, timeout_s=timeout_s, on_error=partial(note, locator=locator))


def connect_in_thread(server: Locator, *, timeout_s: float) -> redis.Redis:
    """A client for one thread, which needs a locator of its own."""
    pool = redis.ConnectionPool(
        connection_class=thread_client.connection_class(server.address),
        retry=Retry(NoBackoff(), 0),
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        locator=server,
        **_options(server.address),
    )
    return thread_client.ThreadClient(pool, server)


def _options(address: Address) -> dict[str, Any]:
    options = {"protocol": 2, "db": address.db, "username": address.username, "password": address.password, **(address.tls or {})}
    return options | ({"path": address.path} if address.topology is Topology.socket else {})
