"""Values of Python in a call by name: what JSON does not have must come back from it as its own class does, or the call is refused."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, cast

from pydantic import PydanticUserError, ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from runner.jobs.arrival import Difference, difference
from runner.jobs.coding import Coding, coding_of, parts_of
from runner.jobs.faults import faults, short
from runner.jobs.form import Form
from runner.jobs.json_values import ATOMS, is_json
from runner.jobs.unsendable import Unsendable

_ARRAYS = frozenset({list, tuple, set, frozenset})
_UNKNOWN: Form = {"k": ""}


def lost(args: Mapping[str, Any], form: Form) -> str | None:
    """Why the first of the arguments that would be lost on its way is, with its place; None if none would. JSON itself is never lost."""
    if ATOMS.issuperset(map(type, args.values())):
        return None
    try:
        return next((text for name, value in args.items() if (text := _lost(value, _field(form, name), name)) is not None), None)
    except RecursionError:  # too deep to be written, and who writes it says so
        return None


def _lost(value: Any, form: Form, path: str) -> str | None:
    kind = type(value)
    if kind in ATOMS or is_json(value):
        return None
    while form["k"] == "nullable":
        form = form["f"]
    if form["k"] == "any":  # nothing says what it was, so that the handler gets what JSON makes of it
        return _told(difference(value, from_json(to_json(value, bytes_mode="base64"))), path)
    if isinstance(value, (bytes, bytearray)) and _is_text(form):
        return f"{path}: {value!r:.60} would arrive as text in base64: decode it"
    if kind is dict:
        for key in value:
            if type(key) is not str and (text := _lost(key, _key(form), f"{path}.{short(key)}")) is not None:
                return text
        inner = ((f"{path}.{key}", item, _field(form, key)) for key, item in value.items())
    elif kind in _ARRAYS:
        inner = ((f"{path}.{at}", item, _item(form, at)) for at, item in enumerate(value))
    else:
        return _lost_by_its_class(value, path)
    return next((text for place, item, part in inner if (text := _lost(item, part, place)) is not None), None)


def _is_text(form: Form) -> bool:
    """Whether bytes are taken as a text here, as the base64 that JSON makes of them would be."""
    if form["k"] in ("union", "tagged"):
        kinds = set(map(str, _kinds(form)))
        return "str" in kinds and "bytes" not in kinds
    return bool(form["k"] == "str")


def _kinds(part: Any) -> Iterator[object]:
    if isinstance(part, dict):
        yield part.get("k")
        part = list(part.values())
    for inner in part if isinstance(part, list) else ():
        yield from _kinds(inner)


def _field(form: Form, name: object) -> Form:
    """The form of what an object or a dict has under a name."""
    if form["k"] in ("defs", "root"):
        return _field(form["f"], name)
    if form["k"] == "dict":
        return cast("Form", form["f"])
    if form["k"] == "union":
        return _one_of([_field(choice, name) for choice in form["of"]])
    fields = form["fields"] if form["k"] == "object" else ()
    return next((field["f"] for field in fields if name in (field["n"], field.get("a"))), _UNKNOWN)


def _key(form: Form) -> Form:
    if form["k"] in ("defs", "root"):
        return _key(form["f"])
    if form["k"] == "union":
        return _one_of([_key(choice) for choice in form["of"]])
    return cast("Form", form["keys"]) if form["k"] == "dict" else _UNKNOWN


def _item(form: Form, at: int) -> Form:
    if form["k"] in ("defs", "root"):
        return _item(form["f"], at)
    if form["k"] == "union":
        return _one_of([_item(choice, at) for choice in form["of"]])
    if form["k"] == "tuple":
        items: list[Form] = form["items"]
        return items[at] if at < len(items) else form.get("rest", _UNKNOWN)
    return cast("Form", form["f"]) if form["k"] in ("list", "set", "frozenset") else _UNKNOWN


def _one_of(forms: list[Form]) -> Form:
    known = [form for form in forms if form is not _UNKNOWN]
    return {"k": "union", "of": known} if known else _UNKNOWN


def _lost_by_its_class(value: Any, path: str) -> str | None:
    kind: Any = type(value)
    coding = _coding(kind)
    if coding is None:  # it cannot be written either, and who writes it says why
        return None
    schema, definitions = parts_of(coding.schema)
    fault = next(Unsendable(definitions).faults(schema, path), None)
    if fault is not None:
        return fault
    try:
        return _told(difference(value, coding.read(coding.write(value))), path)
    except (ValidationError, PydanticSerializationError) as error:
        return f"{path}: what would be sent could not be read again: {faults(error)}"


@lru_cache(maxsize=256)
def _coding(kind: Any) -> Coding | None:
    try:
        return coding_of(kind)
    except PydanticUserError:
        return None


def _told(found: Difference | None, path: str) -> str | None:
    return None if found is None else str(found.within(path))
