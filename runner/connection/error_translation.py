"""What an error of Redis means: whether waiting helps, and whether the locator must look for the server again."""

import re
from contextlib import AbstractContextManager
from types import TracebackType

from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from runner.connection.lane import NoFreeConnection
from runner.connection.locator import Locator
from runner.connection.progress import TooSlow
from runner.errors import AccessRefused, DamagedQueue, NotPermitted, StoreFull, StoreUnavailable

_LOST_CLASSES = (RedisConnectionError, RedisTimeoutError, OSError)
_ELSEWHERE_CLASSES = (ClusterDownError, MasterDownError, ReadOnlyError)
"""The server is not the primary, or not now; MOVED, which has its own class, says so too. ASK does not: while a slot migrates, the client
asks its old owner again until that replies MOVED, see decision 0017."""
_ELSEWHERE_PREFIXES = ("UNBLOCKED", "NOREPLICAS", "CLUSTERDOWN", "MASTERDOWN", "READONLY")
_TRANSIENT_CLASSES = (*_LOST_CLASSES, *_ELSEWHERE_CLASSES, AskError, OutOfMemoryError, StoreUnavailable, TryAgainError)
_TRANSIENT_PREFIXES = (*_ELSEWHERE_PREFIXES, "LOADING", "MISCONF", "BUSY", "NOGROUP", "OOM", "TRYAGAIN")
"""Replies that mean "wait, then ask again": some have a class, the others are plain ResponseErrors with this first word."""
_IN_A_SCRIPT = re.compile(r"(?:ERR )?Error running script \(call to f_[0-9a-f]+\): (?:@?user_script: ?\d+: )+")
"""What Redis 6.2 puts before the error of a command inside a script; Redis 7.0 sends the error alone."""
_NO_MEMORY = "Redis has no memory left for new jobs (maxmemory is reached), and runs those it has: submit again later, or raise maxmemory"
_SHOWN = 160
"""Characters of an error that goes on for paragraphs."""
_POOL_IS_EXHAUSTED = "No connection available"
_NOT_LOST_CLASSES = (TooSlow, NoFreeConnection)
"""Waiting helps, and the server is the right one."""


def is_transient(error: BaseException) -> bool:
    """Whether the same call can succeed later, without a change of settings or code."""
    return isinstance(error, _TRANSIENT_CLASSES) or _begins(error, _TRANSIENT_PREFIXES)


def is_full(error: BaseException) -> bool:
    """Whether Redis refused to write because `maxmemory` is reached."""
    return isinstance(error, OutOfMemoryError) or _begins(error, ("OOM",))


class _TranslatedErrors:
    """One instance for all calls: a generator takes ten times as long to enter and leave."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if not isinstance(error, (RedisError, OSError)):
            return
        if is_full(error):
            raise StoreFull(_NO_MEMORY) from error
        if isinstance(error, AuthenticationError):
            raise AccessRefused(f"Redis refuses the user or password of its URL ({error}): correct the URL") from error
        if _begins(error, ("DENIED",)):
            raise AccessRefused(
                f"Redis refuses connections from this machine ({str(error)[:_SHOWN]}...): give it a password and write that into the URL,"
                " or let it listen on an address that is reached by your machines alone"
            ) from error
        if isinstance(error, NoPermissionError) or _begins(error, ("NOPERM",)):
            raise NotPermitted(
                f"the user of Redis's URL may not do what is needed ({error}): python -m runner doctor lists all that is missing"
            ) from error
        if _begins(error, ("WRONGTYPE",)):
            raise DamagedQueue(
                f"a key of the queue holds something else than it should ({error}): python -m runner doctor names it and what to do"
            ) from error
        if is_transient(error):
            raise StoreUnavailable(f"Redis is not available right now: {str(error) or type(error).__name__}") from error


_TRANSLATED = _TranslatedErrors()


def translated_errors() -> AbstractContextManager[None]:
    """Turn errors of the client into those of this library.

    `StoreUnavailable` where waiting helps, `StoreFull`, `AccessRefused`, `NotPermitted`, `DamagedQueue`.
    Others pass unchanged.
    """
    return _TRANSLATED


def note(error: BaseException, locator: Locator) -> None:
    """Tell the locator about an error of its server, so that the next connection goes to the right one."""
    if isinstance(error, (*_ELSEWHERE_CLASSES, MovedError)) or _begins(error, _ELSEWHERE_PREFIXES):
        locator.leave()
    elif isinstance(error, _LOST_CLASSES) and not isinstance(error, _NOT_LOST_CLASSES) and not str(error).startswith(_POOL_IS_EXHAUSTED):
        locator.suspect()


def _begins(error: BaseException, prefixes: tuple[str, ...]) -> bool:
    return isinstance(error, ResponseError) and _IN_A_SCRIPT.sub("", str(error), count=1).lstrip("-").startswith(prefixes)
