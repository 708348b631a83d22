"""Faults: what is wrong with a value, in words that name the place and show the value."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from runner.foreign import shown

_MOST_SHOWN = 60
_MOST_FAULTS = 10
"""Named in one message."""
_MANY_FAULTS = 1_000
"""Pydantic makes Python values of all faults or of none: of more than so many that takes longer than to look for the first in its JSON."""
_LONGEST_FAULT = 1_000


def explained(task: str, error: ValidationError | PydanticSerializationError) -> str:
    """Why arguments are refused, naming each that does not fit."""
    return f"task {task!r}: {faults(error)}"


def faults(error: ValidationError | PydanticSerializationError) -> str:
    """What does not fit, place by place: the first ten, and how many there are besides."""
    if isinstance(error, PydanticSerializationError):
        return _cut(str(error))
    count = error.error_count()
    found: Iterable[Any] = error.errors(include_url=False)[:_MOST_FAULTS] if count <= _MANY_FAULTS else _first_of_many(error)
    told = [_cut(_placed(".".join(map(str, fault["loc"])), _told(fault))) for fault in found]
    return "; ".join([*told, f"and {count - len(told)} more"] if count > len(told) else told)


def _first_of_many(error: ValidationError) -> Iterator[dict[str, Any]]:
    text = error.json(include_url=False, include_input=False, include_context=False)
    decoder, at = json.JSONDecoder(), 1
    for _ in range(_MOST_FAULTS):
        fault, at = decoder.raw_decode(text, at)
        at += len(",")
        yield fault


def _told(fault: Mapping[str, Any]) -> str:
    return f"{fault['msg']} (got {short(fault['input'])})" if "input" in fault else fault["msg"]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_FAULT else f"{text[:_LONGEST_FAULT]}..."


def is_a_dependency(names: Collection[str]) -> str:
    """Why arguments with these names are refused."""
    return f"{min(names)!r} is a dependency: leave it out, as the worker makes it"


def _placed(place: str, text: str) -> str:
    return f"{place}: {text}" if place else text


def short(value: object) -> str:
    """The value as a message shows it."""
    return shown(value, _MOST_SHOWN)
