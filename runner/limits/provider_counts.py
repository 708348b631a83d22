"""What a provider says is left of an account, in the header fields of an answer. Pure and total: what cannot be read is nothing."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from runner.foreign import asked
from runner.limits.provider_headers import Fields, fields_of, members_of
from runner.limits.rates import EXACT

_REQUESTS = "requests"
_WHOLE = re.compile(r"[0-9]{1,18}(?:\.0{1,9})?")
_FORMS = (
    *("x-ratelimit-remaining-{}", "anthropic-ratelimit-{}-remaining", "x-rate-limit-remaining-{}", "ratelimit-remaining-{}"),
    *("x-ratelimit-{}-remaining", "x-ms-ratelimit-remaining-{}"),
)
"""Of a counter that has a name, as "requests" and "tokens" of OpenAI and Anthropic and their like."""
_UNNAMED = ("x-ratelimit-remaining", "x-rate-limit-remaining", "ratelimit-remaining")
"""GitHub, Discord and many others; the last one of the earlier drafts of the IETF."""
_RESOURCE = "x-ratelimit-resource"
"""GitHub: which of its counters the unnamed fields tell of."""
_MOST_FIELDS = 16


class Count(NamedTuple):
    """What an answer says. left: tokens; None if it does not say. unreadable: what it says instead of a number."""

    left: int | None
    unreadable: str | None = None


def count_in(said: object, counter: str | None = None) -> Count:
    """What is left of a counter, from a response, its headers, or an error that has a response. Never raises.

    counter: which one, as "tokens"; without it the one that has no name, or else that of requests. Of several values the least counts.
    """
    return asked(lambda: _count(said, counter), lambda _: Count(None, "headers that cannot be read"))


def _count(said: object, counter: str | None) -> Count:
    fields = fields_of(_headers_of(said))
    texts = list(_told(fields, counter.lower() if counter else None))[:_MOST_FIELDS]
    numbers = [number for number in map(_number, texts) if number is not None]
    if numbers:
        return Count(min(numbers))
    return Count(None, texts[0][:80] if texts else None)


def _headers_of(said: object) -> object:
    """The pairs of what has headers, holds a response that has, or is some itself."""
    headers = getattr(said, "headers", None)
    if headers is None:
        headers = getattr(getattr(said, "response", None), "headers", None)
    pairs = said if headers is None else headers
    items = getattr(pairs, "items", None)
    return items() if callable(items) else pairs


def _told(fields: Fields, counter: str | None) -> Iterator[str]:
    """Every text that says how much is left of the counter."""
    named = [counter] if counter else []
    if counter is None or _resource_is(fields, counter):
        yield from (text for name in _UNNAMED for text in _texts(fields, name))
    yield from _members(fields, counter)
    found = [text for form in _FORMS for name in (named or [_REQUESTS]) for text in _texts(fields, form.format(name))]
    if counter is not None or not any(name in fields for name in (*_UNNAMED, "ratelimit")):
        yield from found


def _resource_is(fields: Fields, counter: str) -> bool:
    return any(text.lower() == counter for text in _texts(fields, _RESOURCE))


def _members(fields: Fields, counter: str | None) -> Iterator[str]:
    """Of a RateLimit field: `"name";r=50;t=30` (drafts from 07 on), or `limit=100, remaining=50, reset=30` (before)."""
    for text in _texts(fields, "ratelimit"):
        for name, parameters in members_of(text):
            if "r" in parameters and counter in (None, name):
                yield parameters["r"]
            elif "remaining" in parameters and counter is None:
                yield parameters["remaining"]


def _texts(fields: Fields, name: str) -> Iterator[str]:
    for value in fields.get(name, ()):
        if value is not None:
            yield (value.decode("latin-1") if isinstance(value, bytes) else str(value)).strip()


def _number(text: str) -> int | None:
    return min(int(text.partition(".")[0]), EXACT // 4) if _WHOLE.fullmatch(text) else None
