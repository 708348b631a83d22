"""Reads when a provider says to come back: `read` takes whatever a program has in hand, and never fails. Pure; its callers cap the result."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from numbers import Real
from reprlib import Repr
from typing import NamedTuple

from runner.foreign import asked, kind_of
from runner.limits.provider_headers import MOST_HEADERS, fields_of, seconds_of_fields
from runner.limits.spoken_time import LONGEST_S, bounded_s, longest, seconds_of_instant, seconds_of_number, seconds_of_text

_DEEPEST = 8
_MOST_OBJECTS = 200
_MOST_VALUES = 16
_LARGEST_BODY = 65_536
_SHOWN = 80
_IN_SHORT = Repr()
_IN_SHORT.maxstring = _IN_SHORT.maxother = _SHOWN + 2
_BODY_FIELDS = ("retry_after", "retry_after_ms", "retryAfter", "retryAfterSeconds", "retryDelay")
"""Where a body says it: Discord, Telegram (`parameters`), RFC 9457 documents, Google (`error.details`)."""
_INSIDE_A_BODY = ("error", "errors", "parameters", "details", "detail")


class Word(NamedTuple):
    """What a provider has said: seconds from now (0 to 366 days), None if it did not say; and what it said that cannot be read."""

    seconds: float | None
    unreadable: str | None = None


def read(said: object, now_s: float) -> Word:
    """The provider's word, from a number, a span, an instant, a text, a response, headers, a body, or an error that has one of these.

    `now_s` is the time since 1970, to which instants are compared. A number above a billion is an instant itself. Never raises.

    Of headers the first of `RETRY_FIELDS` counts that can be read (RFC 9110: seconds or a date), then the longest wait of all
    counters that are spent: the RateLimit field of draft-ietf-httpapi-ratelimit-headers and the `x-ratelimit-reset` forms.
    """
    reader = _Reader(now_s)
    return asked(lambda: reader.word(said), lambda _: Word(None, _shown(said)))


class _Reader:
    """One reading. Notes the first thing that cannot be read, and looks at so many objects at most."""

    def __init__(self, now_s: float) -> None:
        self._now_s = now_s
        self._left = _MOST_OBJECTS
        self.unreadable: object = None

    def word(self, said: object) -> Word:
        """All that an object says. Raises whatever its code raises when it is looked at."""
        seconds = self.anything(said, _DEEPEST)
        return Word(seconds, None if self.unreadable is None else _shown(self.unreadable))

    def anything(self, said: object, deep: int) -> float | None:
        """Seconds that an object says; None if it says nothing, or nothing that can be read."""
        self._left -= 1
        if said is None or deep <= 0 or self._left < 0:
            return None
        if isinstance(said, BaseException):
            return self._error(said, deep)
        if isinstance(said, Mapping):
            return self._mapping(said, deep)
        if isinstance(said, (list, tuple)) and all(isinstance(item, (list, tuple)) and len(item) == 2 for item in said[:MOST_HEADERS]):
            return seconds_of_fields(fields_of(said), self._value)
        if hasattr(said, "headers"):
            return self._response(said, deep)
        if hasattr(said, "items"):
            return self._headers(said)
        return self._value(said)

    def _value(self, said: object, unit_s: float = 1.0) -> float | None:
        """Seconds that one value says, which has no parts; of a list of them the most."""
        if isinstance(said, (list, tuple)) and said and all(isinstance(item, (str, bytes)) for item in said):
            return longest(self._value(item, unit_s) for item in said[:_MOST_VALUES])
        if said is None or (isinstance(said, (str, bytes)) and not said.strip()):
            return None
        seconds = _scalar(said, self._now_s, unit_s)
        if seconds is None and self.unreadable is None:
            self.unreadable = said
        return seconds

    def _mapping(self, said: Mapping[object, object], deep: int) -> float | None:
        """Headers, a body, or the response of botocore, which holds its headers in `ResponseMetadata`."""
        metadata = said.get("ResponseMetadata")
        if isinstance(metadata, Mapping):
            inner = self.anything(metadata.get("HTTPHeaders"), deep - 1)
            if inner is not None:
                return inner
        seconds = seconds_of_fields(fields_of(said.items()), self._value)
        return self._body(said, deep) if seconds is None else seconds

    def _response(self, said: object, deep: int) -> float | None:
        seconds = self._headers(getattr(said, "headers", None))
        if seconds is None and getattr(said, "is_stream_consumed", False) is True:  # httpx: to read it now could wait for the network
            seconds = self._body(_parsed(getattr(said, "content", None)), deep)
        return seconds

    def _headers(self, headers: object) -> float | None:
        pairs = headers.items() if hasattr(headers, "items") else headers
        return seconds_of_fields(fields_of(pairs), self._value) if isinstance(pairs, Iterable) else None

    def _body(self, body: object, deep: int) -> float | None:
        """A JSON document that names the wait, or holds one that does."""
        if isinstance(body, (list, tuple)):
            return longest(self._body(item, deep - 1) for item in body[:_MOST_VALUES])
        self._left -= 1
        if not isinstance(body, Mapping) or deep <= 0 or self._left < 0:
            return None
        said = (self._value(body[name], 0.001 if name.endswith("ms") else 1.0) for name in _BODY_FIELDS if name in body)
        inside = (self._body(body[name], deep - 1) for name in _INSIDE_A_BODY if name in body)
        return next((seconds for seconds in (*said, *inside) if seconds is not None), None)

    def _error(self, error: BaseException, deep: int) -> float | None:
        """What an error says itself or by its response, then its cause; of a group the most that a member says."""
        if isinstance(error, BaseExceptionGroup):
            return longest(self.anything(member, deep - 1) for member in error.exceptions[:_MOST_OBJECTS])
        for part in ("retry_after", "response", "headers", "body"):
            held = getattr(error, part, None)
            seconds = self._headers(held) if part == "headers" else self.anything(held, deep - 1)
            if seconds is not None:
                return seconds
        seconds = self.anything(error.__cause__, deep - 1)
        if seconds is None and not error.__suppress_context__:
            seconds = self.anything(error.__context__, deep - 1)
        return seconds


def _scalar(said: object, now_s: float, unit_s: float) -> float | None:
    if isinstance(said, bytes):
        return seconds_of_text(said[:_LARGEST_BODY].decode("latin-1"), now_s, unit_s)
    if isinstance(said, str):
        return seconds_of_text(said, now_s, unit_s)
    if isinstance(said, timedelta):
        return bounded_s(said.total_seconds())
    if isinstance(said, datetime):
        return seconds_of_instant(said, now_s) if said.utcoffset() is not None else None
    if isinstance(said, date):
        return seconds_of_instant(datetime.combine(said, time(), UTC), now_s)
    if isinstance(said, bool) or not isinstance(said, (Real, Decimal)):
        return None
    try:
        number = float(said)
    except OverflowError:
        return 0.0 if said < 0 else LONGEST_S
    return seconds_of_number(number, now_s, unit_s)


def _parsed(body: object) -> object:
    try:
        return json.loads(body) if isinstance(body, (bytes, str)) and len(body) <= _LARGEST_BODY else None
    except ValueError:
        return None


def _shown(said: object) -> str:
    """What cannot be read, for people, in one line."""
    return asked(lambda: _in_short(said), lambda _: f"an object of type {kind_of(said)}")


def _in_short(said: object) -> str:
    if isinstance(said, datetime):
        return f"{said.isoformat()}, which has no time zone"
    return _IN_SHORT.repr(said[:_SHOWN] if isinstance(said, (str, bytes)) else said)
