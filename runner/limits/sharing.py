"""Sharing: limits that several queues share, each with a hand of tokens from one bucket. Values only; store/lua/lease.lua gives the tokens."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Never

from runner.errors import ConfigurationError
from runner.names import SHORT_NAME, fits

log = logging.getLogger("runner")

LEASED = "leased"
"""The kind under which a queue knows the limit. The home knows it as what it is."""
SCOPE = "shared"
"""The scope of `shared=True`."""
_LONGEST_SCOPE = 57
_HOME = "limits."
_PACED = 20.0
"""Starts a second above which a bucket of one token loses some of its rate: each token makes the way to the home and back."""


def home_of(scope: str) -> str:
    """The name of the key space in which the buckets of a scope are: `limits` commands take it as a queue."""
    return f"{_HOME}{scope}"


def check_no_home(queue: str) -> None:
    """That no app has its queue in the key space of a home, where its limits would take the place of those that are shared there. Raises `ConfigurationError`."""
    if queue.startswith(_HOME):
        raise ConfigurationError(
            f"queue name {queue!r} cannot be used: {queue!r} is the home of the limits that are shared in scope {queue.removeprefix(_HOME)!r};"
            f" choose a name that does not begin with {_HOME!r}"
        )


def checked_scope(what: str, shared: object) -> str | None:
    """The scope that `shared` means; None if the limit is not shared. Raises `ConfigurationError`."""
    if shared is False or shared is None:
        return None
    if shared is True:
        return SCOPE
    if not isinstance(shared, str) or not fits(SHORT_NAME, shared) or len(shared) > _LONGEST_SCOPE:
        raise ConfigurationError(
            f"{what}: shared={shared!r:.80} must be True, or the name of a scope: up to {_LONGEST_SCOPE} letters, digits, '.', '_' or '-'"
        )
    return shared


def check_one_home(what: str, scopes: Iterable[str | None]) -> None:
    """That all shared limits of a task have one home, which gives the tokens of all of them. Raises `ConfigurationError`."""
    found = sorted({scope for scope in scopes if scope is not None})
    if len(found) > 1:
        raise ConfigurationError(f"{what} has limits that are shared in several scopes ({', '.join(found)}): share them all in one")


def refuse_shared(kind: str) -> Never:
    """For kinds that cannot be shared. Raises `ConfigurationError`."""
    raise ConfigurationError(
        f"a {kind} cannot be shared by several queues: a slot is out as long as its job runs, and a queue that cannot reach the home of the"
        " limit would have to end its jobs; share a TokenBucket, a SlidingWindow or a Quota"
    )


def shared_policy(own: Mapping[str, Any], period_us: int, scope: str) -> dict[str, Any]:
    """What a queue publishes of a limit that is shared. Older versions, which do not know the kind, start nothing under it."""
    common = {name: own[name] for name in ("name", "key", "capacity", "rate")}
    return {"kind": LEASED, **common, "period_us": period_us, "scope": scope, "of": dict(own)}


def words_of(scope: str | None) -> str:
    """As a declaration has it."""
    return "" if scope is None else ", shared=True" if scope == SCOPE else f", shared={scope!r}"


def warn_of_single_token(name: str, capacity: int, per_second: float) -> None:
    """A bucket of one token is given, used and reported before the next can be given."""
    if capacity == 1 and per_second > _PACED:
        log.warning(
            "limit %s is shared and has a burst of 1: above %g starts a second it loses up to a quarter of its rate; a burst of rate x (2 round trips"
            " + 20 ms) loses none",
            name,
            _PACED,
        )
