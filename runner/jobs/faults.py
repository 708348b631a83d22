"""Faults: what is wrong with a value, in words that name the place and show the value."""

from collections.abc import Collection

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from runner.foreign import shown

_MOST_SHOWN = 60


def explained(task: str, error: ValidationError | PydanticSerializationError) -> str:
    """Why arguments are refused, naming each that does not fit."""
    return f"task {task!r}: {faults(error)}"


def faults(error: ValidationError | PydanticSerializationError) -> str:
    """What does not fit, place by place."""
    if isinstance(error, PydanticSerializationError):
        return str(error)
    return "; ".join(
        _placed(".".join(map(str, fault["loc"])), f"{fault['msg']} (got {short(fault['input'])})")
        for fault in error.errors(include_url=False)
    )


def is_a_dependency(names: Collection[str]) -> str:
    """Why arguments with these names are refused."""
    return f"{min(names)!r} is a dependency: leave it out, as the worker makes it"


def _placed(place: str, text: str) -> str:
    return f"{place}: {text}" if place else text


def short(value: object) -> str:
    """The value as a message shows it."""
    return shown(value, _MOST_SHOWN)
