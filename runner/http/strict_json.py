"""Strict JSON: text that two parsers could read differently is refused, not guessed at. The only place that parses a body."""

import json
import math
from typing import Any, NoReturn

from runner.http.problems import Problem
from runner.http.validation_errors import shortened

MAX_DEPTH = 100
"""Deepest nesting of arrays and objects."""

MAX_VALUES = 50_000
"""Most values, counting those inside others: what is made of a body takes time and memory by their number, not by its bytes."""

_LONGEST_VALUE = 40


def load(body: bytes | bytearray) -> Any:
    """The value of a JSON text. Raises `Problem` for bad encoding, bad syntax, duplicate keys, deep nesting, and numbers out of range."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Problem("invalid-encoding", f"byte {error.start} is not UTF-8: send the body as plain UTF-8") from None
    if text.startswith("\ufeff"):
        raise Problem("invalid-encoding", "the body begins with a byte order mark: send plain UTF-8 without it")
    if not text:
        raise Problem("invalid-json", "the body is empty: send one JSON object")
    if len(text) > 2 * MAX_VALUES and _has_too_many_values(text):
        raise Problem("too-many-values", f"the body has more than {MAX_VALUES} values: send fewer, or several in one text")
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise Problem("invalid-json", f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:  # CPython refuses very long integers, because converting them takes quadratic time
        raise Problem("invalid-number", "an integer has too many digits: send it as text") from None
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(value)
    if "\\ud" in text or "\\uD" in text:
        _check_surrogates(value)
    return value


def _has_too_many_values(text: str) -> bool:
    """By what stands between values, outside of texts. Takes linear time, also for what is no JSON."""
    if text.count(",") + text.count("[") + text.count("{") <= MAX_VALUES:
        return False
    text = text.replace("\\\\", "").replace('\\"', "")
    if text.count('"') > 4 * MAX_VALUES:  # each value has a key at most, and both are texts at most
        return True
    outside = "".join(text.split('"')[::2])
    begun = outside.count("[") + outside.count("{") - outside.count("[]") - outside.count("{}")
    return outside.count(",") + begun > MAX_VALUES  # a list that is not empty has one value more than commas


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Problem(
            "duplicate-key", f"key {shortened(repr(_first_twice(pairs)), _LONGEST_VALUE)} occurs twice in one object: send it once"
        )
    return fields


def _first_twice(pairs: list[tuple[str, Any]]) -> str:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            break
        seen.add(key)
    return key


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        _refuse_number(text)
    return number


def _refuse_number(text: str) -> NoReturn:
    raise Problem(
        "invalid-number", f"{shortened(text, _LONGEST_VALUE)} cannot be represented as a number: send it as text, or leave it out"
    )


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_float, parse_constant=_refuse_number)


def _check_depth(value: Any) -> None:
    level: list[Any] = [[value]]
    for _ in range(MAX_DEPTH + 1):
        insides = [parent.values() if isinstance(parent, dict) else parent for parent in level]
        level = [child for inside in insides for child in inside if isinstance(child, (dict, list))]
        if not level:
            return
    raise _too_deep()


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Problem("invalid-encoding", "a text has half of a surrogate pair, like \\ud800: send whole characters") from None


def _too_deep() -> Problem:
    return Problem("json-too-deep", f"arrays and objects nest deeper than {MAX_DEPTH} levels: flatten them")
