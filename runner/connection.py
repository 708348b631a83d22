"""From a URL to a Redis client, and from an error to what it means. The only module that opens connections to Redis."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import (
    ClusterDownError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from runner.embedded import FOLDER, EmbeddedServer
from runner.errors import ConfigurationError, StoreUnavailable
from runner.redis_client import RedisClient, client_over
from runner.settings import Settings

_POOL_SIZE = 32
_TRANSIENT_CLASSES = (
    RedisConnectionError,
    RedisTimeoutError,
    ClusterDownError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)
_TRANSIENT_PREFIXES = ("LOADING", "UNBLOCKED", "NOREPLICAS", "MISCONF", "BUSY", "NOGROUP")
"""Answers that mean "wait, then ask again": some have a class, the others are plain ResponseErrors, known only by their first word."""


def redis_url(settings: Settings) -> str:
    """Where the queue lives: the configured URL, or the embedded server of this folder. Raises `ConfigurationError` if there is neither."""
    if settings.redis_url is not None:
        return settings.redis_url
    server = EmbeddedServer(Path.cwd() / FOLDER)
    if not server.was_started:
        message = f"no Redis to use in {Path.cwd()}: set RUNNER_REDIS_URL, or start the embedded server with `python -m runner dev`"
        raise ConfigurationError(message)
    return server.url


def connect(url: str, *, timeout_s: float) -> RedisClient:
    """A client whose every command is sent at most once: our loops retry, knowing what may be repeated. `timeout_s` bounds each reply."""
    try:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            max_connections=_POOL_SIZE,
            timeout=timeout_s,
            protocol=2,
            retry=AsyncRetry(NoBackoff(), 0),
            socket_timeout=None,
            socket_connect_timeout=timeout_s,
        )
    except ValueError as error:
        raise ConfigurationError(_bad_url(url, error)) from error
    return client_over(pool, timeout_s=timeout_s)


def connect_in_thread(url: str, *, timeout_s: float) -> redis.Redis:
    """The same for a thread of its own."""
    try:
        return redis.Redis.from_url(
            url,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
        )
    except ValueError as error:
        raise ConfigurationError(_bad_url(url, error)) from error


def is_transient(error: BaseException) -> bool:
    """Whether the same call can succeed later without anybody's help. Looks inside exception groups."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_transient(inner) for inner in error.exceptions)
    if isinstance(error, (StoreUnavailable, OSError, *_TRANSIENT_CLASSES)):
        return True
    return isinstance(error, ResponseError) and str(error).lstrip("-").startswith(_TRANSIENT_PREFIXES)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn what the client raises into `StoreUnavailable` where waiting helps; everything else passes unchanged."""
    try:
        yield
    except (RedisError, OSError) as error:
        if is_transient(error):
            message = f"Redis is not available right now: {str(error) or type(error).__name__}"
            raise StoreUnavailable(message) from error
        raise


def shown_url(url: str) -> str:
    """The URL without its password, for people to read."""
    scheme, separator, rest = url.partition("://")
    credentials, at, host = rest.rpartition("@")
    if not at:
        return url
    user = credentials.partition(":")[0]
    return f"{scheme}{separator}{user + ':' if user else ''}***@{host}"


def _bad_url(url: str, error: Exception) -> str:
    return f"Redis URL {shown_url(url)!r} cannot be used: {error} (like redis://localhost:6379/0, rediss://... or unix:///path)"
