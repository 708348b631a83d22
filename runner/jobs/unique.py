"""Unique: that of the jobs of a task which are alike one at most is there at a time, and what a second submission of one comes to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from runner.clock import microseconds
from runner.errors import ConfigurationError, InvalidOption
from runner.foreign import shown
from runner.limits import checked_template
from runner.names import first_unknown, unknown_name
from runner.ranges import checked

Until = Literal["end", "start"] | float
Duplicate = Literal["return", "refuse", "replace"]
_DUPLICATES = ("return", "refuse", "replace")
_WHOSE = "a unique job"


@dataclass(frozen=True, slots=True)
class Unique:
    """One job at a time of those with this key.

    key: a template of arguments like "{order_id}"; without it all arguments are compared. until: the "end" of the job, its "start", or so
    many seconds after its submission, and then until it has ended. duplicate: what a second submission does meanwhile: "return" the job that is
    there, "refuse" with `DuplicateJob`, or "replace" the arguments of the one that waits, which takes until="start". Raises
    `ConfigurationError`.
    """

    key: str | None = None
    until: Until = "end"
    duplicate: Duplicate = "return"

    def __post_init__(self) -> None:
        if self.key is not None:
            checked_template(f"key of {_WHOSE}", self.key)
        if not isinstance(self.until, str):
            checked("until", self.until, of=_WHOSE)
        elif self.until not in ("end", "start"):
            raise ConfigurationError(f"{_WHOSE}: until is {self.until!r:.80}, and must be 'end', 'start' or a number of seconds")
        if self.duplicate not in _DUPLICATES:
            raise ConfigurationError(f"{_WHOSE}: duplicate is {self.duplicate!r:.80}, and must be one of {', '.join(_DUPLICATES)}")
        if self.duplicate == "replace" and self.until != "start":
            raise ConfigurationError(
                f"{_WHOSE}: duplicate is 'replace' and until {self.until!r}: only a job that has not started can be replaced, so it takes"
                " until='start'"
            )


@dataclass(frozen=True, slots=True)
class Debounce:
    """One job for many submissions: it waits until none has come for `delay` seconds, `max_delay` at most, and runs with the newest arguments.

    key: as of `Unique`. A submission that comes once it runs is the next job. Raises `ConfigurationError`.
    """

    key: str | None = None
    delay: float = 1.0
    max_delay: float | None = None

    def __post_init__(self) -> None:
        if self.key is not None:
            checked_template("key of a debounced job", self.key)
        checked("delay", self.delay, of="a debounced job")
        if self.max_delay is not None:
            checked("max_delay", self.max_delay, of="a debounced job")
            if self.max_delay < self.delay:
                raise ConfigurationError(
                    f"a debounced job: max_delay is {self.max_delay:g}, and its delay {self.delay:g}: give more, or leave it out"
                )


Uniqueness = Unique | Debounce
UniqueOption = Uniqueness | Mapping[str, Any] | str | bool
"""What `unique=...` takes: a mapping has the fields of one by name."""
_FIELDS = {"key", "until", "duplicate", "delay", "max_delay"}


def uniqueness(given: object) -> Uniqueness | None:
    """What `unique=...` stands for: True, a key, the fields of one by name, or one. None for one that is none. Raises `ConfigurationError`."""
    if given is None or given is False:
        return None
    if given is True:
        return Unique()
    if isinstance(given, (Unique, Debounce)):
        return given
    if isinstance(given, str):
        return Unique(given)
    if isinstance(given, Mapping):
        return _from_fields(given)
    raise ConfigurationError(f'unique is {shown(given, 80)}, and must be True, a key like "{{order_id}}", Unique(...) or Debounce(...)')


def _from_fields(fields: Mapping[Any, Any]) -> Uniqueness:
    if (unknown := first_unknown(fields, _FIELDS)) is not None:
        raise ConfigurationError(unknown_name("unique", "field", unknown, sorted(_FIELDS)))
    given = {name: value for name, value in fields.items() if value is not None}
    if "delay" not in given:
        if "max_delay" in given:
            raise ConfigurationError("unique has a max_delay and no delay: give both")
        return Unique(**given)
    if given.keys() & {"until", "duplicate"}:
        raise ConfigurationError("unique has a delay: such a job is unique until its start, and replaced; leave until and duplicate out")
    return Debounce(**given)


def fields_of_unique(unique: Uniqueness) -> dict[str, Any]:
    """As the catalog, and the HTTP API, have it."""
    if isinstance(unique, Debounce):
        fields = {"key": unique.key, "delay": unique.delay, "max_delay": unique.max_delay}
    else:
        fields = {"key": unique.key, "until": unique.until, "duplicate": unique.duplicate}
    return {name: value for name, value in fields.items() if value is not None}


def asked_uniqueness(given: object) -> Uniqueness | None:
    """The same for what a submission asks. Raises `InvalidOption`."""
    try:
        return uniqueness(given)
    except ConfigurationError as error:
        raise InvalidOption(str(error)) from None


def fields_of_mark(unique: Uniqueness, mark: str) -> dict[str, Any]:
    """What include/unique.lua is told of a job with this mark."""
    if isinstance(unique, Debounce):
        most = {} if unique.max_delay is None else {"max_delay_us": microseconds(unique.max_delay)}
        return {"mark": mark, "mode": "start", "duplicate": "replace", **most}
    if isinstance(unique.until, str):
        return {"mark": mark, "mode": unique.until, "duplicate": unique.duplicate}
    return {"mark": mark, "mode": "end", "until_us": microseconds(unique.until), "duplicate": unique.duplicate}


def mark_of_tenant(fields: Mapping[str, Any], tenant: str) -> dict[str, Any]:
    """The same of a tenant's job: its mark is another one than that of any other tenant. No name of a task has a control character."""
    return {**fields, "mark": f"{tenant}\n{fields['mark']}"}
