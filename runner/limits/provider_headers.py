"""The header fields in which providers say how long to wait, and what of them counts. Pure; `retry_after` finds the fields."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from runner.limits.spoken_time import longest, seconds_of_text

Fields = Mapping[str, Sequence[object]]
"""The values of each field by its name in small letters with hyphens; of one that was sent twice all of them."""
ReadValue = Callable[[object, float], float | None]
"""The seconds that a value says, given the unit (in seconds) of a number without one; None if it cannot be read, which it notes."""

RETRY_FIELDS: Mapping[str, float] = {
    "retry-after-ms": 0.001,
    "x-ms-retry-after-ms": 0.001,
    "retry-after": 1.0,
    "x-retry-after": 1.0,
    "x-amz-retry-after": 0.001,
    "retryafterseconds": 1.0,
}
"""The fields that say it outright, in the order in which they count, each with the unit of its numbers."""

_COUNTER = re.compile(r"(?:^|-)rate-?limit-(?:.*-)?reset(?:-|$)")
_MEMBER = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^",])+')
_NAME = re.compile(r'"(?:[^"\\]|\\.)*"')
_PARAMETER = re.compile(r"([a-z]{1,16}) *= *([^;, ]+)")
_LONGEST_FIELD = 512
"""Characters. More would take time that grows with their square, if a server chose them so."""
_MOST_MEMBERS = 64
MOST_HEADERS = 200
_LONGEST_NAME = 80


def fields_of(pairs: object) -> Fields:
    """The first fields of headers, from pairs of name and value. Names are compared without case, and `_` is `-`."""
    fields: dict[str, list[object]] = {}
    for name, value in _pairs(pairs) if isinstance(pairs, Iterable) else ():
        text = name.decode("latin-1") if isinstance(name, bytes) else name
        if isinstance(text, str):
            fields.setdefault(text[:_LONGEST_NAME].lower().replace("_", "-"), []).append(value)
    return fields


def _pairs(pairs: Iterable[object]) -> Iterator[tuple[object, object]]:
    for pair, _ in zip(pairs, range(MOST_HEADERS), strict=False):
        if isinstance(pair, (list, tuple)) and len(pair) == 2:
            yield pair[0], pair[1]


def members_of(text: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The members of a RateLimit field: the name, "" if it has none, and its parameters, in small letters."""
    for member in _MEMBER.findall(text[:_LONGEST_FIELD].lower())[:_MOST_MEMBERS]:
        name = _NAME.search(member)
        yield (
            (name[0][1:-1] if name else member.partition(";")[0].strip() if ";" in member else ""),
            dict(_PARAMETER.findall(_NAME.sub("", member))),
        )


def seconds_of_fields(fields: Fields, read: ReadValue) -> float | None:
    """The first field that says it outright and can be read, or else the longest wait of the counters that are spent."""
    for name, unit_s in RETRY_FIELDS.items():
        said_s = longest(read(value, unit_s) for value in fields.get(name, ()))
        if said_s is not None:
            return said_s
    return longest(_counters(fields, read))


def _counters(fields: Fields, read: ReadValue) -> Iterator[float | None]:
    """The waits of the counters that are at zero, or do not tell what remains."""
    for value in fields.get("ratelimit", ()):
        yield from _policies(str(value), read)
    for name, values in fields.items():
        if _COUNTER.search(name) and _is_spent(name, fields):
            unit_s = 0.001 if name.endswith("-ms") else 1.0
            yield longest(read(value, unit_s) for value in values)


def _policies(text: str, read: ReadValue) -> Iterator[float | None]:
    """A RateLimit field: a list of `"name";r=0;t=9` (drafts from 09 on), or `limit=100, remaining=0, reset=9` (before)."""
    whole: dict[str, str] = {}
    for _, parameters in members_of(text):
        whole |= parameters
        if "t" in parameters and _is_nothing(parameters.get("r")):
            yield read(parameters["t"], 1.0)
    if "reset" in whole and _is_nothing(whole.get("remaining")):
        yield read(whole["reset"], 1.0)


def _is_spent(name: str, fields: Fields) -> bool:
    remaining = name.replace("reset", "remaining")
    told = fields.get(remaining) or fields.get(remaining.removesuffix("-after").removesuffix("-ms")) or (None,)
    return any(_is_nothing(value) for value in told)


def _is_nothing(remaining: object) -> bool:
    """Whether nothing remains of a counter, or it is not told what does."""
    text = remaining.decode("latin-1") if isinstance(remaining, bytes) else str(remaining)
    left = None if remaining is None else seconds_of_text(text, 0.0)
    return left is None or left == 0
