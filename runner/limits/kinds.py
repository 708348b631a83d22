"""KINDS: every kind of limit by its name, and the way from a published policy back to a limit."""

from collections.abc import Mapping
from typing import Any, Self

from typing_extensions import override

from runner.clock import microseconds
from runner.errors import ConfigurationError
from runner.limits.concurrency import Concurrency
from runner.limits.policy import Limit
from runner.limits.quota import Quota
from runner.limits.sharing import LEASED
from runner.limits.sliding_window import SlidingWindow
from runner.limits.token_bucket import TokenBucket

KINDS: dict[str, type[Limit]] = {kind.kind: kind for kind in (TokenBucket, SlidingWindow, Concurrency, Quota)}

_OF_ALL_KINDS = frozenset({"kind", "name", "key", "capacity", "rate", "period_us", "gives_back"})
_OF_THE_CATALOG = frozenset({"version", "at_us", "until_us", "reason", "by"})
"""What the scripts add to a policy that they keep in the catalog."""


def limit_of(policy: Mapping[str, Any]) -> Limit:
    """The limit that was published as this policy; a `ForeignLimit` if this version of the library cannot make it."""
    try:
        if policy["kind"] == LEASED:
            return limit_of(policy["of"]).in_scope(policy["scope"])
        return KINDS[policy["kind"]].from_policy(policy).in_scope(policy.get("shared"))
    except (KeyError, TypeError, ValueError, ConfigurationError):
        return ForeignLimit(policy)


def limit_of_document(name: str, document: Mapping[str, Any]) -> Limit:
    """The limit that shows itself to readers by this document, see `Limit.document`."""
    times = {field: value for field, value in document.items() if field.endswith("_s") and isinstance(value, (int, float))}
    others = {field: value for field, value in document.items() if field not in times}
    return limit_of({"name": name, **others, **{f"{field.removesuffix('_s')}_us": microseconds(value) for field, value in times.items()}})


class ForeignLimit(Limit):
    """A limit whose kind or numbers only a newer version of the library knows. Jobs can use it, and readers are shown what it says."""

    numbers = frozenset()

    def __init__(self, policy: Mapping[str, Any]) -> None:
        self.kind = policy["kind"]  # type: ignore[misc] # a class variable of every kind that is known
        self.name, self.key, self.capacity = policy["name"], policy["key"], policy["capacity"]
        self.gives_back = bool(policy.get("gives_back"))
        self._policy = {name: value for name, value in policy.items() if name not in _OF_THE_CATALOG}

    @classmethod
    @override
    def from_policy(cls, policy: Mapping[str, Any]) -> Self:
        """Any policy."""
        return cls(policy)

    @property
    @override
    def rate(self) -> str:
        """As the newer version says it."""
        return str(self._policy["rate"])

    @override
    def fields(self) -> dict[str, Any]:
        """All that is not common to all kinds."""
        return {name: value for name, value in self._policy.items() if name not in _OF_ALL_KINDS}

    @override
    def published(self) -> dict[str, Any]:
        """As it was published."""
        return self._policy

    def __repr__(self) -> str:
        return f"ForeignLimit({self._policy})"
