"""Fault: what is wrong with one part of a request. Makes the `errors` of a problem from the errors of pydantic."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, NotRequired, get_args
from urllib.parse import quote

from pydantic import BaseModel
from typing_extensions import TypedDict

_MOST_FAULTS = 10
_LONGEST_TEXT = 1000
_LONGEST_VALUE = 60
_PARAMETERS = (("query",), ("path",), ("header",))


class Fault(TypedDict):
    """One entry of a problem's `errors`: a JSON pointer into the body, or the name of a parameter; and what is wrong there."""

    detail: str
    pointer: NotRequired[str]
    parameter: NotRequired[str]
    type: NotRequired[str]


def shortened(text: str, most: int = _LONGEST_TEXT) -> str:
    """The text, cut to at most so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def pointer(*parts: str | int) -> str:
    """A place in the body as RFC 6901 writes it in a fragment."""
    return "#" + "".join(f"/{quote(shortened(str(part), _LONGEST_VALUE).replace('~', '~0').replace('/', '~1'))}" for part in parts)


def faults_of(errors: Sequence[Any], model: type[BaseModel] | None = None) -> list[Fault]:
    """The first ten errors of pydantic as faults. To a caller who misspelt a field those of the model are named that are in its place."""
    told = [error for error in errors if not _is_none_unsent(error)]
    return [_fault(error, model) for error in told[:_MOST_FAULTS]]


def _is_none_unsent(error: Any) -> bool:
    """Whether it is told of a parameter that it is not None, which none can be: the other error of it says what it must be."""
    return error["type"] == "none_required" and error["loc"][:1] in _PARAMETERS


def unknown_parameter(name: str, known: Iterable[str]) -> str:
    """What is said of a parameter that a route does not have."""
    names = list(known)
    near = get_close_matches(name, names, n=1, cutoff=0.7)
    if near:
        return f"unknown parameter; did you mean {near[0]!r}?"
    return f"unknown parameter; the parameters are {', '.join(names)}" if names else "unknown parameter; there are none here"


def summary(faults: Sequence[Fault]) -> str:
    """The first fault in one sentence."""
    first = faults[0]
    more = f" (and {len(faults) - 1} more, see errors)" if len(faults) > 1 else ""
    place = (first["parameter"] or "''") if "parameter" in first else first.get("pointer", "#")
    return f"{'the body' if place == '#' else place}: {first['detail']}{more}"


def _fields_at(model: type[BaseModel] | None, place: Sequence[Any]) -> list[str]:
    """The fields of the model within this one that a place leads to; none if they are not known."""
    for name in place:
        if model is not None and name in model.model_fields:
            model = _model_in(model.model_fields[name].annotation)
    return [] if model is None else list(model.model_fields)


def _model_in(kind: Any) -> type[BaseModel] | None:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    return next((found for found in map(_model_in, get_args(kind)) if found is not None), None)


def _fault(error: Any, model: type[BaseModel] | None) -> Fault:
    kind, place, message = error["type"], error["loc"], error["msg"]
    if kind == "extra_forbidden":
        known = _fields_at(model, place[:-1])
        detail = f"unknown field; the fields are {', '.join(known)}" if known else "unknown field"
    elif kind == "missing":
        detail = "a value is required"
    elif kind in ("model_type", "dict_type"):
        detail = f"a JSON object is required (got {shortened(repr(error['input']), _LONGEST_VALUE)})"
    else:
        detail = f"{message.removeprefix('Value error, ')} (got {shortened(repr(error['input']), _LONGEST_VALUE)})"
    if place[:1] in _PARAMETERS:
        # What follows is a place within its type, as the number of a value.
        return Fault(detail=detail, parameter=str(place[1]))
    return Fault(detail=detail, pointer=pointer(*place))
