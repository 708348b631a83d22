"""Rule: which requests take how many tokens of which limit, and by which key."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from runner.asgi.key_functions import KeyFunction
from runner.errors import ConfigurationError
from runner.limits import Limit, template_fields

Scope = Mapping[str, Any]
_METHOD = re.compile(r"[A-Z]+")
_PARAMETER = re.compile(r"\\\{[^/{}]*?(:path)?\\\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Requests to `path` by one of `methods` (none given: all) take `cost` tokens of `limit`.

    path: that path, and if it ends in "/" every path below it; "{name}" stands for one segment and "{name:path}" for any, as in a route.
    methods: "GET" means HEAD too, which runs the same code. A WebSocket's handshake is a GET.
    cost: 0 makes an exception: if several rules with the same limit match, the first one counts.
    key: for a limit with a key (`key="{user}"`), the function that gives its value; see `by_client_address` and the like.
    valid: whether a request shows a key that you gave out, for keys that a caller could invent; asked of unknown keys, and must not block.
    Without it a key is known once the app has answered it with anything but 401, 403 and 5xx.
    Raises `ConfigurationError` for anything that could never work.
    """

    limit: Limit
    cost: int = 1
    path: str = "/"
    methods: Collection[str] = ()
    key: KeyFunction | None = None
    valid: Callable[[Scope], bool] | None = None

    def __post_init__(self) -> None:
        about = f"rule for limit {self.limit.name!r}"
        if self.limit.fill_us is None:
            raise ConfigurationError(
                f"{about}: it bounds how many run at once, not how many come; hold a slot in the handler, with Runner.slot"
            )
        if type(self.cost) is not int or not 0 <= self.cost <= self.limit.capacity:
            raise ConfigurationError(f"{about}: cost {self.cost!r} cannot be taken, its bucket holds {self.limit.capacity}")
        if not self.path.startswith("/"):
            raise ConfigurationError(f"{about}: path {self.path!r} must begin with '/'")
        if isinstance(self.methods, str) or not all(_METHOD.fullmatch(method) for method in self.methods):
            raise ConfigurationError(f"{about}: methods={self.methods!r} cannot be used: give a set like {{'POST', 'PUT'}}")
        if (self.key is None) != (self.limit.key is None):
            remedy = (
                'give it one, like key="{client}"'
                if self.limit.key is None
                else "give the rule one, like key=by_client_address or by_header"
            )
            raise ConfigurationError(f"{about}: the rule and the limit must both have a key, or none of them; {remedy}")
        if self.valid is not None and self.key is None:
            raise ConfigurationError(f"{about}: valid= says whether a key is one of yours, and the rule has no key")
        if self.limit.key is not None and len(set(template_fields(self.limit.key))) != 1:
            raise ConfigurationError(f"{about}: its key {self.limit.key!r} names several values, and a rule gives one")

    @property
    def field(self) -> str | None:
        """The name in the limit's key whose value this rule gives."""
        return None if self.limit.key is None else template_fields(self.limit.key)[0]

    def matches(self, scope: Scope) -> bool:
        """Whether this rule applies to a request, by its method and by its path as the app's routes see it."""
        method = scope.get("method", "GET")
        if self.methods and method not in self.methods and not (method == "HEAD" and "GET" in self.methods):
            return False
        return _pattern(self.path).match(route_path(scope)) is not None


def route_path(scope: Scope) -> str:
    """The path below the app's mount point. It begins with a slash, even for `OPTIONS *`."""
    path, root = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    if root and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :]
    return path if path.startswith("/") else f"/{path}"


@cache
def _pattern(path: str) -> re.Pattern[str]:
    pattern = _PARAMETER.sub(lambda found: ".*" if found[1] else "[^/]+", re.escape(path))
    return re.compile(pattern if path.endswith("/") else rf"{pattern}\Z")
