"""Instants that a question names, as people give them: seconds since 1970, or a datetime with a zone."""

from datetime import UTC, datetime

from runner.errors import ConfigurationError
from runner.foreign import shown

_LAST_S = 2**43
"""Instants beyond the year 200,000 are no instants of a job."""

_LAST_OF_DATETIME_S = 253_402_300_799
"""The end of the year 9999."""


def instant_s(what: str, given: float | datetime) -> float:
    """Seconds since 1970. Raises `ConfigurationError`, which says `what` it is of."""
    if isinstance(given, datetime) and given.tzinfo is None:
        raise ConfigurationError(f"{what} is {given}, without a time zone: write like datetime.now(UTC)")
    # Before 1970 there was no job: that is an answer, and as a number most likely another unit.
    value: object = max(given.timestamp(), 0) if isinstance(given, datetime) else given
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LAST_S:
        raise ConfigurationError(f"{what} is {shown(given, 60)}: give seconds since 1970, or a datetime with a time zone")
    return value


def instant_text(what: str, given: float | datetime) -> str:
    """The same as text for the HTTP API. Raises `ConfigurationError`."""
    seconds = instant_s(what, given)
    instant = given if isinstance(given, datetime) else datetime.fromtimestamp(min(seconds, _LAST_OF_DATETIME_S), UTC)
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
