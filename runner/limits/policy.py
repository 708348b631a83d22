"""Limit: what every kind of limit has in common: a name, a key, a most that can be taken at once, and a published form."""

import copy
import json
import re
import string
from typing import Any, ClassVar, Self

from runner.clock import MICROSECONDS
from runner.errors import ConfigurationError
from runner.limits.bucket import Bucket
from runner.limits.rates import EXACT

_LIMIT_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Limit:
    """One rule of a provider. `key` makes one bucket per value of the arguments it names: `key="{tenant_id}"`.

    A kind is a class here and a file of the same name in lua/include/; the scripts read what `fields` publishes.
    """

    kind: ClassVar[str]
    gives_back: ClassVar[bool] = False
    """Whether what a job took comes back at its end."""

    revision: int = 0
    """Of two declarations that differ the one with the higher revision wins; see `revised`."""

    def __init__(self, name: str, capacity: int, key: str | None, *, capacity_is: str = "capacity") -> None:
        if not _LIMIT_NAME.fullmatch(name):
            message = f"limit name {name!r} cannot be used: give 1 to 64 letters, digits, '.', '_' or '-'"
            raise ConfigurationError(message)
        self.name = name
        self.key = _checked_template(name, key)
        self.capacity = self._whole(capacity_is, capacity)

    def fields(self) -> dict[str, Any]:
        """The numbers of this kind, as the scripts read them."""
        raise NotImplementedError

    def bound(self, window_s: float) -> int:
        """Most tokens that can be taken in any closed window of `window_s` seconds."""
        raise NotImplementedError

    def full_bucket(self, now_us: int) -> Bucket:
        """A bucket of which nothing has been taken yet, in virtual time: the arithmetic of the scripts without Redis."""
        raise NotImplementedError

    def revised(self, revision: int) -> Self:
        """The same limit, declared to supersede every lower revision: for rolling deploys in which old processes may start late."""
        other = copy.copy(self)
        other.revision = revision
        return other

    def to_json(self) -> str:
        """The policy as workers publish it."""
        fields = {"kind": self.kind, "name": self.name, "key": self.key, "capacity": self.capacity, **self.fields()}
        return json.dumps(fields, separators=(",", ":"))

    def _whole(self, field: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < EXACT // 1024:
            message = f"limit {self.name!r}: {field} is {value!r}, and must be a whole number from 1 to {EXACT // 1024 - 1}"
            raise ConfigurationError(message)
        return value

    def _span_us(self, field: str, seconds: object) -> int:
        """A span of time, given in seconds."""
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < EXACT // 1024 / MICROSECONDS:
            message = f"limit {self.name!r}: {field} is {seconds!r}, and must be a number of seconds above 0 and below 100 days"
            raise ConfigurationError(message)
        return self._whole(f"{field} (in µs)", round(seconds * MICROSECONDS))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Limit) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.to_json())


def template_fields(template: str) -> list[str]:
    """The argument names a key template uses."""
    return [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]


def _checked_template(name: str, template: str | None) -> str | None:
    if template is None:
        return None
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        message = f"limit {name!r}: key {template!r} is not a template: {error}"
        raise ConfigurationError(message) from error
    fields = [field for _, field, _, _ in parts if field is not None]
    # A conversion or a format could fail on a job's arguments, long after this declaration.
    formatted = any(form or conversion for _, _, form, conversion in parts)
    if not fields or not all(field.isidentifier() for field in fields) or formatted:
        message = f'limit {name!r}: key {template!r} must name arguments in braces, like "{{tenant_id}}"'
        raise ConfigurationError(message)
    return template
