"""Limit: what every kind of limit has in common: a name, a key, the most that can be taken at once, and a published form."""

import copy
import inspect
import json
import string
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, ClassVar, NamedTuple, Self

from runner.clock import MICROSECONDS, microseconds
from runner.errors import ConfigurationError
from runner.limits.bucket import Bucket, StoredBucket
from runner.limits.limit_text import Form, LimitText
from runner.limits.sharing import checked_scope, refuse_shared, shared_policy, words_of
from runner.limits.usage import Taken, Usage, worst_window
from runner.names import SHORT_NAME, first_unknown, fits, unknown_name
from runner.ranges import checked, checked_whole


def part_in_words(tokens: int, whole: int, unit: "Unit | None") -> str:
    """So many tokens of all: "12 of 500", of a budget "12.34 of 5,000.00 USD"."""
    return f"{unit.figure(tokens)} of {unit.words(whole)}" if unit else f"{tokens} of {whole}"


class Unit(NamedTuple):
    """What a token is: the 10^`scale`-th part of one `name`. With `Unit("USD", 2)` tokens are cents."""

    name: str
    scale: int = 0

    def figure(self, tokens: int) -> str:
        """The number alone: 500_000 tokens of scale 2 are "5,000.00"."""
        whole, part = divmod(abs(tokens), 10**self.scale)
        return ("-" if tokens < 0 else "") + f"{whole:,}" + (f".{part:0{self.scale}d}" if self.scale else "")

    def words(self, tokens: int) -> str:
        """The number with its unit: "5,000.00 USD"."""
        return f"{self.figure(tokens)} {self.name}"

    def fields(self) -> dict[str, Any]:
        """As it is published."""
        return {"unit": self.name, "scale": self.scale}


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
    why_not_lowered: str | None = None
    """Why a provider's word of what is left cannot lower it; None: it can."""
    calendar: str | None = None
    """The calendar whose instants the scripts need, see `Calendars` in the store."""
    window_us: int | None = None
    """The length of window that the limit is declared for. None: its window has no fixed length, see `window_words`."""
    window_words: str = "at once"
    """What takes the place of a window without a fixed length."""
    fill_us: int | None = None
    """The time in which an empty bucket fills at its average rate. None: the limit bounds no rate."""

    shared: str | None = None
    """The scope in which several queues share it. None: it is this queue's own."""
    jitter_us: int = 0
    """So much later than one another calls may reach the provider that start at the same time."""
    unit: Unit | None = None
    """Of a budget: what its tokens are. None: tokens are counted, and mean nothing else."""
    warn_at: tuple[float, ...] = ()
    """Shares of a budget of which hooks are told, the smallest first."""
    declared: "Limit | None" = None
    """With a jitter: the limit as the provider keeps it at its door. This one says when calls may start, so that they keep to that."""
    revision: int = 0
    """Of two declarations that differ the one with the higher revision wins; see `revised`."""

    def __new__(cls, *_: object, **options: object) -> Self:
        """Raises `ConfigurationError` for an option that the kind does not have, naming the one that is meant."""
        known = _options_of(cls)  # type: ignore[arg-type] # a class is hashable
        unknown = first_unknown(options, known) if known else None
        if unknown is not None:
            if unknown == "shared":
                refuse_shared(cls.__name__)
            raise ConfigurationError(unknown_name(cls.__name__, "option", unknown, known))
        return super().__new__(cls)

    def __init__(self, name: str, capacity: int, key: str | None, *, capacity_is: str = "capacity") -> None:
        if not fits(SHORT_NAME, name):
            raise ConfigurationError(f"limit name {name!r} cannot be used: give 1 to 64 letters, digits, '.', '_' or '-'")
        self.name = name
        self.key = None if key is None else checked_template(f"limit {name!r}: key", key)
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

    def _most_within(self, window_us: int) -> int:
        """Most tokens that can be taken in any closed window of this length. Raises TypeError if the limit bounds no rate."""
        raise NotImplementedError

    def full_bucket(self, now_us: int) -> Bucket:
        """A bucket of which nothing has been taken yet, in virtual time: the arithmetic of the scripts without Redis."""
        raise NotImplementedError

    def bucket_of(self, stored: StoredBucket, now_us: int) -> Bucket:
        """The bucket that Redis holds, in virtual time."""
        raise NotImplementedError

    def usage(self, taken: Sequence[Taken], first_us: int) -> Usage:
        """How near a log of one bucket came to the limit, if its first job was submitted at `first_us`."""
        span_s = (taken[-1].at_us - first_us) / MICROSECONDS
        return Usage(worst_window(taken, self.window_us or 0), sum(row.cost for row in taken) / self.bound(span_s))

    # What follows from it

    def bound(self, window_s: float, *, arriving: bool = False) -> int:
        """Most tokens that can be taken in any closed window of `window_s` seconds. Raises TypeError if the limit bounds no rate.

        arriving: most whose calls can reach the provider in such a window, if none is on its way for longer than `jitter` more than another.
        """
        return self._most_within(microseconds(window_s) + (self.jitter_us if arriving else 0))

    @property
    def jitter_s(self) -> float:
        """Seconds, see `jitter_us`."""
        return self.jitter_us / MICROSECONDS

    def left_words(self, tokens: int) -> str:
        """So many tokens of all that a bucket holds: "12 of 500", of a budget "12.34 of 5,000.00 USD"."""
        return part_in_words(tokens, self.capacity, self.unit)

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
        if strange:
            raise ConfigurationError(unknown_name(f"limit {self.name!r}, a {self.kind},", "number", min(strange), sorted(self.numbers)))
        if not given:
            raise ConfigurationError(
                f"limit {self.name!r} is a {self.kind}: no number was given (it has: {', '.join(sorted(self.numbers))})"
            )
        return self._changed(given)

    def revised(self, revision: int) -> Self:
        """The same limit, declared to supersede every lower revision: for rolling deploys in which old processes may start late."""
        other = copy.copy(self)
        other.revision = checked_whole("revision", revision, of=f"limit {self.name!r}")
        return other

    def published(self) -> dict[str, Any]:
        """The limit as workers publish it and the scripts read it."""
        return self._own_policy() if self.shared is None else shared_policy(self._own_policy(), self.period_us, self.shared)

    def _own_policy(self) -> dict[str, Any]:
        """As it is where its bucket is."""
        common = {"kind": self.kind, "name": self.name, "key": self.key, "capacity": self.capacity, "rate": self.rate}
        # A producer of an older version, which does not know the kind, submits what comes back at its end as such.
        gives_back = {"gives_back": True} if self.gives_back else {}
        return {**common, **self.fields(), **self._jitter_fields(), "period_us": self.period_us, **gives_back}

    def in_scope(self, scope: str | None) -> Self:
        """The same limit shared by the queues of a scope, or with None as it is at its home, where its bucket is."""
        other = copy.copy(self)
        other.shared = scope
        return other

    def to_json(self) -> str:
        """The published text: two declarations are equal if their texts are."""
        return json.dumps(self.published(), separators=(",", ":"))

    def document(self) -> dict[str, Any]:
        """The limit for readers: times are in seconds, and what only the scripts need is left out."""
        own = {name: value for name, value in self.fields().items() if name not in self.script_fields}
        shown = {"kind": self.kind, "rate": self.rate, "capacity": self.capacity, "key": self.key, **own, **self._jitter_fields()}
        if self.shared is not None:
            shown["shared"] = self.shared
        return dict(_in_seconds(name, value) for name, value in shown.items())

    def _jitter_fields(self) -> dict[str, Any]:
        return {"jitter_us": self.jitter_us} if self.jitter_us else {}

    def _jitter_us(self, jitter: object) -> int:
        return microseconds(checked("jitter of a limit", jitter, of=f"limit {self.name!r}"))

    def _scope(self, shared: object) -> str | None:
        return checked_scope(f"limit {self.name!r}", shared)

    def _with_declared(self, words: str) -> str:
        """These words, and what they allow for."""
        return f"{words} ({self.declared.words} with {self.jitter_s:g} s of jitter)" if self.declared else words

    def _whole(self, field: str, value: object) -> int:
        return checked_whole(field, value, of=f"limit {self.name!r}")

    def _span_us(self, field: str, seconds: object) -> int:
        """A span of time, given in seconds."""
        return microseconds(checked(field, seconds, of=f"limit {self.name!r}"))

    def _options_in_words(self) -> str:
        """The options of all kinds that were given, as a declaration has them."""
        key, jitter = f", key={self.key!r}" if self.key else "", f", jitter={self.jitter_s:g}" if self.jitter_us else ""
        return key + jitter + words_of(self.shared)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Limit) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.to_json())


@cache
def _options_of(kind: type[Limit]) -> tuple[str, ...]:
    """What the constructor of a kind takes by name; nothing if that is not told."""
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
    return tuple(parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD)


@lru_cache(maxsize=1024)
def template_fields(template: str) -> tuple[str, ...]:
    """The argument names that a key template uses."""
    return tuple(field for _, field, _, _ in string.Formatter().parse(template) if field is not None)


def _in_seconds(name: str, value: Any) -> tuple[str, Any]:
    return (f"{name.removesuffix('_us')}_s", value / MICROSECONDS) if name.endswith("_us") else (name, value)


def checked_template(what: str, template: object) -> str:
    """A template of arguments like "{tenant_id}". `what` it is, for the `ConfigurationError` that is raised for any other value."""
    if not isinstance(template, str):
        raise ConfigurationError(f'{what} is {template!r:.80}, and must be a text that names arguments, like "{{tenant_id}}"')
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ConfigurationError(f"{what} {template!r} is not a template: {error}") from error
    fields = [field for _, field, _, _ in parts if field is not None]
    # A conversion or a format could fail on a job's arguments, long after this declaration.
    formatted = any(form or conversion for _, _, form, conversion in parts)
    if not fields or not all(field.isidentifier() for field in fields) or formatted:
        raise ConfigurationError(f'{what} {template!r} must name arguments in braces, like "{{tenant_id}}"')
    return template
