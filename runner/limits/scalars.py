"""Scalars: one spelling for each value that can name a bucket, so that none can be chosen by spelling."""

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from pathlib import PurePath
from typing import Any
from uuid import UUID

from pydantic_core import to_jsonable_python

_LONGEST_EXPONENT = 30
"""Decimals up to so many zeros are written without an exponent."""


def decimal_text(text: str) -> str:
    """A Decimal's text without the zeros that change nothing: 1, 1.0 and 1.00 are one number."""
    number = Decimal(text)
    sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        return text  # no number: NaN or an infinity
    kept = "".join(map(str, digits)).rstrip("0")
    if not kept.strip("0"):
        return "0"
    kept, exponent = kept.lstrip("0"), exponent + len(digits) - len(kept)
    minus = "-" if sign else ""
    if 0 <= exponent <= _LONGEST_EXPONENT:
        return minus + kept + "0" * exponent
    if -_LONGEST_EXPONENT <= exponent < 0:
        whole = kept.rjust(1 - exponent, "0")
        return f"{minus}{whole[:exponent]}.{whole[exponent:]}"
    return f"{minus}{kept}E{exponent}"


def instant_text(text: str) -> str:
    """A datetime's text: with a zone its instant in UTC, without one as it is."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        return text
    try:
        return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return text  # before the year 1 or after 9999 in UTC


def time_text(text: str) -> str:
    """A time's text: with a zone that of UTC, as times compare; without one as it is."""
    of_day = time.fromisoformat(text)
    offset = of_day.utcoffset()
    if offset is None:
        return text
    since = timedelta(hours=of_day.hour, minutes=of_day.minute, seconds=of_day.second, microseconds=of_day.microsecond) - offset
    if timedelta(0) <= since < timedelta(days=1):
        return (datetime(1, 1, 1, tzinfo=UTC) + since).time().isoformat() + "Z"
    return f"{since // timedelta(microseconds=1)}us"  # of the day before or after: another time than that of the same digits


def float_of(number: float | str) -> float:
    """A float, whichever way it was written; -0.0 is 0.0."""
    return float(number) + 0.0


def of_value(value: object) -> str | int | float | None:
    """The scalar of a Python value, spelled as the argument of a job is that has this type and value; None if it can name no bucket."""
    if type(value) is str:  # as of most jobs
        return value
    kind = type(value)
    if kind in _SPELLED:
        return _SPELLED[kind](value)
    if isinstance(value, Enum):
        return of_value(value.value)
    for base, spelled in _SPELLED.items():
        if isinstance(value, base):
            return spelled(value)
    return None


def _of_float(number: float) -> float | None:
    return float_of(number) if math.isfinite(number) else None


_SPELLED: dict[type, Callable[[Any], str | int | float | None]] = {
    str: str.__str__,
    bool: lambda value: value,
    int: int.__int__,
    float: _of_float,
    Decimal: lambda value: decimal_text(str(value)) if value.is_finite() else None,
    datetime: lambda value: instant_text(value.isoformat().replace("+00:00", "Z")),
    date: date.isoformat,
    time: lambda value: time_text(value.isoformat()),
    timedelta: to_jsonable_python,
    bytes: lambda value: str(to_jsonable_python(value, bytes_mode="base64")),
    UUID: str,
    IPv4Address: str,
    IPv6Address: str,
    PurePath: str,
}
"""A subclass comes before its base."""
