"""What a provider says is left of an account, and when more comes, in the fields of an answer. Pure and total: what cannot be read is nothing."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from runner.foreign import asked
from runner.limits.provider_headers import Fields, fields_of, members_of
from runner.limits.rates import EXACT
from runner.limits.spoken_time import longest, seconds_of_text

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

Told = tuple[str, Sequence[str]]
"""How much is left of a counter, and when that changes: the texts of its fields."""


class Count(NamedTuple):
    """What an answer says. left: tokens; None if it does not say. unreadable: what it says instead of a number.

    reset_s: seconds until the counter is set back, or full again: of providers some mean this, and some that. None if it does not say.
    """

    left: int | None
    unreadable: str | None = None
    reset_s: float | None = None


def count_in(said: object, now_s: float, counter: str | None = None) -> Count:
    """What is left of a counter, from a response, its headers, or an error that has a response. Never raises.

    now_s: the time since 1970, to which instants are compared. counter: which one, as "tokens"; without it the one that has no name, or else
    that of requests. Of several values the least counts.
    """
    return asked(lambda: _count(said, now_s, counter), lambda _: Count(None, "headers that cannot be read"))


def _count(said: object, now_s: float, counter: str | None) -> Count:
    fields = fields_of(_headers_of(said))
    told = list(_told(fields, counter.lower() if counter else None))[:_MOST_FIELDS]
    numbers = [(number, resets) for text, resets in told if (number := _number(text)) is not None]
    if numbers:
        least, resets = min(numbers, key=lambda one: one[0])
        return Count(least, reset_s=longest(seconds_of_text(text, now_s) for text in resets[:_MOST_FIELDS]))
    return Count(None, told[0][0][:80] if told else None)


def _headers_of(said: object) -> object:
    """The pairs of what has headers, holds a response that has, or is some itself."""
    headers = getattr(said, "headers", None)
    if headers is None:
        headers = getattr(getattr(said, "response", None), "headers", None)
    pairs = said if headers is None else headers
    items = getattr(pairs, "items", None)
    return items() if callable(items) else pairs


def _told(fields: Fields, counter: str | None) -> Iterator[Told]:
    """All that is said of the counter."""
    if counter is None or _resource_is(fields, counter):
        yield from (told for name in _UNNAMED for told in _of_field(fields, name))
    yield from _members(fields, counter)
    found = [told for form in _FORMS for told in _of_field(fields, form.format(counter or _REQUESTS))]
    if counter is not None or not any(name in fields for name in (*_UNNAMED, "ratelimit")):
        yield from found


def _resource_is(fields: Fields, counter: str) -> bool:
    return any(text.lower() == counter for text in _texts(fields, _RESOURCE))


def _of_field(fields: Fields, name: str) -> Iterator[Told]:
    """The values of a field, each with those that tell when that changes: seconds from now (`-reset-after`) rather than an instant."""
    reset = name.replace("remaining", "reset")
    resets = [*_texts(fields, f"{reset}-after")] or [*_texts(fields, reset)]
    return ((text, resets) for text in _texts(fields, name))


def _members(fields: Fields, counter: str | None) -> Iterator[Told]:
    """Of a RateLimit field: `"name";r=50;t=30` (drafts from 07 on), or `limit=100, remaining=50, reset=30` (before)."""
    for text in _texts(fields, "ratelimit"):
        members = list(members_of(text))
        whole = [parameters["reset"] for _, parameters in members if "reset" in parameters]  # a member of its own
        for name, parameters in members:
            if "r" in parameters and counter in (None, name):
                yield parameters["r"], [parameters["t"]] if "t" in parameters else []
            elif "remaining" in parameters and counter is None:
                yield parameters["remaining"], whole


def _texts(fields: Fields, name: str) -> Iterator[str]:
    for value in fields.get(name, ()):
        if value is not None:
            yield (value.decode("latin-1") if isinstance(value, bytes) else str(value)).strip()


def _number(text: str) -> int | None:
    return min(int(text.partition(".")[0]), EXACT // 4) if _WHOLE.fullmatch(text) else None
