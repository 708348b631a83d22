"""Limit: what every kind of limit has in common: a name, a key, the most that can be taken at once, and a published form."""

import copy
import json
import re
import string
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from runner.clock import MICROSECONDS, microseconds
from runner.errors import ConfigurationError
from runner.limits.bucket import Bucket
from runner.limits.limit_text import Form, LimitText
from runner.limits.rates import EXACT
from runner.limits.usage import Taken, Usage, worst_window

_LIMIT_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Limit:
    """One rule of a provider. `key` makes one bucket per value of the arguments it names: `key="{tenant_id}"`.

    A kind is a class in its own file and a row of `KINDS`; in store/lua/include/ it is a file of the same name, and the scripts read
    what `published` returns. All other code uses the attributes and methods below, and knows no kind by name.
    """

    kind: ClassVar[str]
    numbers: ClassVar[frozenset[str]] = frozenset({"capacity"})
    """The arguments of the constructor that an override may change."""
    script_fields: ClassVar[frozenset[str]] = frozenset()
    """Those of `fields` that only the scripts need: readers are not shown them."""
    forms: ClassVar[Sequence[Form]] = ()
    """The ways to write a limit of this kind in one line of text, which `from_text` reads."""

    gives_back: bool = False
    """Whether what a job took comes back at its end."""
    resets: bool = False
    """Whether all tokens come back together at an instant of the calendar."""
    fails_when_spent: bool = False
    """Whether a job that finds no token fails instead of waiting."""
    calendar: str | None = None
    """The calendar whose instants the scripts need, see `Calendars` in the store."""
    window_us: int | None = None
    """The length of window that the limit is declared for. None: its window has no fixed length, see `window_words`."""
    window_words: str = "at once"
    """What takes the place of a window without a fixed length."""
    fill_us: int | None = None
    """The time in which an empty bucket fills at its average rate. None: the limit bounds no rate."""

    revision: int = 0
    """Of two declarations that differ the one with the higher revision wins; see `revised`."""

    def __init__(self, name: str, capacity: int, key: str | None, *, capacity_is: str = "capacity") -> None:
        if not _LIMIT_NAME.fullmatch(name):
            raise ConfigurationError(f"limit name {name!r} cannot be used: give 1 to 64 letters, digits, '.', '_' or '-'")
        self.name = name
        self.key = _checked_template(name, key)
        self.capacity = self._whole(capacity_is, capacity)

    # What a kind says of itself

    @property
    def rate(self) -> str:
        """The rate in words."""
        raise NotImplementedError

    @property
    def words(self) -> str:
        """The limit in a few words."""
        return self.rate

    @property
    def period_us(self) -> int:
        """About how long one token takes to come back; 0 if it comes back at the end of its job."""
        raise NotImplementedError

    def fields(self) -> dict[str, Any]:
        """The numbers of this kind as they are published, beside those that all kinds have. Their order is part of the published text."""
        raise NotImplementedError

    @classmethod
    def from_policy(cls, policy: Mapping[str, Any]) -> Self:
        """The limit that was published with these fields."""
        raise NotImplementedError

    @classmethod
    def from_text(cls, text: LimitText) -> Self:
        """The limit that was written in one of the `forms`. Raises ValueError with the reason for a body that fits none."""
        raise NotImplementedError

    def _changed(self, given: Mapping[str, Any]) -> Self:
        """The same limit with these of its `numbers` changed."""
        raise NotImplementedError

    def bound(self, window_s: float) -> int:
        """Most tokens that can be taken in any closed window of `window_s` seconds. Raises TypeError if the limit bounds no rate."""
        raise NotImplementedError

    def full_bucket(self, now_us: int) -> Bucket:
        """A bucket of which nothing has been taken yet, in virtual time: the arithmetic of the scripts without Redis."""
        raise NotImplementedError

    def usage(self, taken: Sequence[Taken], first_us: int) -> Usage:
        """How near a log of one bucket came to the limit, if its first job was submitted at `first_us`."""
        span_s = (taken[-1].at_us - first_us) / MICROSECONDS
        return Usage(worst_window(taken, self.window_us or 0), sum(row.cost for row in taken) / self.bound(span_s))

    # What follows from it

    @property
    def most(self) -> int:
        """Most tokens that can be taken of one bucket in a window of the length the limit is declared for."""
        return self.capacity if self.window_us is None else self.bound(self.window_us / MICROSECONDS)

    def with_numbers(self, **numbers: Any) -> Self:
        """The same limit with other numbers; those that are None stay as they are.

        Raises `ConfigurationError` for numbers that this kind does not have, or that cannot work.
        """
        given = {name: value for name, value in numbers.items() if value is not None}
        strange = given.keys() - self.numbers
        if strange or not given:
            what = f"{min(strange)!r} is not a number of it" if strange else "no number was given"
            known = ", ".join(sorted(self.numbers)) or "none"
            raise ConfigurationError(f"limit {self.name!r} is a {self.kind}: {what} (it has: {known})")
        return self._changed(given)

    def revised(self, revision: int) -> Self:
        """The same limit, declared to supersede every lower revision: for rolling deploys in which old processes may start late."""
        other = copy.copy(self)
        other.revision = revision
        return other

    def published(self) -> dict[str, Any]:
        """The limit as workers publish it and the scripts read it."""
        common = {"kind": self.kind, "name": self.name, "key": self.key, "capacity": self.capacity, "rate": self.rate}
        # A producer of an older version, which does not know the kind, submits what comes back at its end as such.
        return {**common, **self.fields(), "period_us": self.period_us, **({"gives_back": True} if self.gives_back else {})}

    def to_json(self) -> str:
        """The published text: two declarations are equal if their texts are."""
        return json.dumps(self.published(), separators=(",", ":"))

    def document(self) -> dict[str, Any]:
        """The limit for readers: times are in seconds, and what only the scripts need is left out."""
        own = {name: value for name, value in self.fields().items() if name not in self.script_fields}
        shown = {"kind": self.kind, "rate": self.rate, "capacity": self.capacity, "key": self.key, **own}
        return dict(_in_seconds(name, value) for name, value in shown.items())

    def _whole(self, field: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < EXACT // 1024:
            raise ConfigurationError(f"limit {self.name!r}: {field} is {value!r}, and must be a whole number from 1 to {EXACT // 1024 - 1}")
        return value

    def _span_us(self, field: str, seconds: object) -> int:
        """A span of time, given in seconds."""
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < EXACT // 1024 / MICROSECONDS:
            raise ConfigurationError(
                f"limit {self.name!r}: {field} is {seconds!r}, and must be a number of seconds above 0 and below 100 days"
            )
        return self._whole(f"{field} (in µs)", microseconds(seconds))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Limit) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.to_json())


def template_fields(template: str) -> list[str]:
    """The argument names that a key template uses."""
    return [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]


def _in_seconds(name: str, value: Any) -> tuple[str, Any]:
    return (f"{name.removesuffix('_us')}_s", value / MICROSECONDS) if name.endswith("_us") else (name, value)


def _checked_template(name: str, template: str | None) -> str | None:
    if template is None:
        return None
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ConfigurationError(f"limit {name!r}: key {template!r} is not a template: {error}") from error
    fields = [field for _, field, _, _ in parts if field is not None]
    # A conversion or a format could fail on a job's arguments, long after this declaration.
    formatted = any(form or conversion for _, _, form, conversion in parts)
    if not fields or not all(field.isidentifier() for field in fields) or formatted:
        raise ConfigurationError(f'limit {name!r}: key {template!r} must name arguments in braces, like "{{tenant_id}}"')
    return template
