"""Coding: how the values of a type become JSON and come back, by pydantic: one config for arguments and results, with the code and by name."""

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from pydantic import ConfigDict, TypeAdapter
from pydantic_core import CoreConfig, CoreSchema, SchemaSerializer, SchemaValidator
from typing_extensions import TypedDict

from runner.jobs.one_reading import with_one_reading
from runner.jobs.typed_dicts import rebuilt

CONFIG = CoreConfig(allow_inf_nan=False, ser_json_bytes="base64", val_json_bytes="base64")
_LONGEST_NUMBER = 4_300
"""Digits. Python reads no longer whole number, though pydantic writes it."""
_DIGITS = b"0123456789"
_PLAIN = frozenset(
    (
        *("any", "none", "bool", "int", "float", "decimal", "str", "bytes", "date", "time", "datetime", "timedelta", "uuid"),
        *("literal", "enum", "list", "tuple", "set", "frozenset", "dict", "nullable", "typed-dict", "typed-dict-field", "default"),
    )
)
"""Nodes of a core schema that are written and read alike whatever is said of names and computed fields."""


class Coding:
    """Validates, writes and reads the values of one core schema.

    `valid` takes a value of Python, `read` JSON; both raise `ValidationError`. `write` makes JSON of a valid value and raises
    `PydanticSerializationError`. Fields go by their alias, computed fields do not go; bytes are base64, except those of a model,
    which go as its own config says.

    `is_call`: `valid` is given what code submits, which must be what it would be by name: `one_reading.py`.

    `sure_bytes` is the length of JSON up to which there is no whole number in it that is too long to be read.
    """

    __slots__ = ("read", "schema", "sure_bytes", "valid", "write")

    valid: Callable[[Any], Any]
    write: Callable[[Any], bytes]
    read: Callable[[bytes], Any]

    def __init__(self, schema: CoreSchema, *, is_call: bool = False) -> None:
        self.schema = schema = _mapped(schema, _without_made_field)
        has_long_numbers = any(node["type"] == "int" and not _is_bounded(node) for node in _nodes(schema))
        self.sure_bytes = _LONGEST_NUMBER if has_long_numbers else sys.maxsize
        # A serializer heeds the config of its root, a validator that of the nearest node that has one: it is given to both.
        validator, serializer = SchemaValidator(until_one_fails(schema), CONFIG), SchemaSerializer(schema, CONFIG)
        self.valid, self.write, self.read = validator.validate_python, serializer.to_json, validator.validate_json
        python, has_bytes = schema, any(node["type"] == "bytes" for node in _nodes(schema))
        if has_bytes:
            python = _mapped(schema, _with_bytes_of_text)
        if is_call:
            python = with_one_reading(python, schema, CONFIG)
        of_python = validator
        if has_bytes or python is not schema:
            of_python = SchemaValidator(until_one_fails(python), CoreConfig(allow_inf_nan=False) if has_bytes else CONFIG)
            self.valid = of_python.validate_python
        if not all(map(_is_plain, _nodes(schema))):  # said with each call this costs 0.1 µs, which plain values need not pay
            self.valid = lambda value: of_python.validate_python(value, by_alias=True, by_name=True)
            # A model that was made without a check may hold what its type does not allow; what arrives is looked at, so no warning is due.
            self.write = lambda value: serializer.to_json(value, by_alias=True, round_trip=True, warnings=False)
            self.read = lambda encoded: validator.validate_json(encoded, by_alias=True, by_name=True)


def parts_of(schema: CoreSchema) -> tuple[dict[str, Any], dict[str, Any]]:
    """A schema without its definitions, and these by the names that references give."""
    whole = cast("dict[str, Any]", schema)
    if whole["type"] != "definitions":
        return whole, {}
    return whole["schema"], {definition["ref"]: definition for definition in whole["definitions"]}


def adapter_of(fields: Mapping[str, Any]) -> TypeAdapter[dict[str, Any]]:
    """Of an object with these fields and no others. Raises `PydanticUserError`, `PydanticSchemaGenerationError`."""
    make: Any = TypedDict  # a type checker wants its fields written down, and they are known at run time only
    shape = make("arguments", {name: rebuilt(hint) for name, hint in fields.items()})
    shape.__pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False, ser_json_bytes="base64", val_json_bytes="base64")
    return TypeAdapter(shape)


def coding_of(hint: Any) -> Coding:
    """Of one value, coded as it would be as an argument. Raises as `adapter_of`."""
    schema = cast("dict[str, Any]", adapter_of({"value": hint}).core_schema)
    if schema["type"] == "definitions":
        return Coding(cast("CoreSchema", {**schema, "schema": schema["schema"]["fields"]["value"]["schema"]}))
    return Coding(schema["fields"]["value"]["schema"])


def _mapped(part: Any, change: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Any:
    """A schema with changes in some of its nodes; what has none is shared."""
    if isinstance(part, dict):
        inner = {name: _mapped(inner, change) for name, inner in part.items() if name not in ("metadata", "config")}
        changed = {name: new for name, new in inner.items() if new is not part[name]} | change(part)
        return {**part, **changed} if changed else part
    if isinstance(part, (list, tuple)):
        items = [_mapped(inner, change) for inner in part]
        return type(part)(items) if any(new is not inner for new, inner in zip(items, part, strict=True)) else part
    return part


def _without_made_field(node: Mapping[str, Any]) -> dict[str, Any]:
    """What a dataclass makes itself (`init=False`) is not written: it could not be read."""
    return {"serialization_exclude": True} if node.get("type") == "dataclass-field" and node.get("init") is False else {}


def until_one_fails(schema: CoreSchema) -> CoreSchema:
    """A schema that reads a list up to its first item that does not fit: all faults of all items of a long one would take seconds."""
    return cast("CoreSchema", _mapped(schema, _failing_fast))


def _failing_fast(node: Mapping[str, Any]) -> dict[str, Any]:
    return {"fail_fast": True} if node.get("type") in ("list", "tuple", "set", "frozenset") else {}


def _with_bytes_of_text(node: Mapping[str, Any]) -> dict[str, Any]:
    """A text that code gives in place of bytes is no base64, as it would be in JSON."""
    config = node.get("config")
    return {"config": {**config, "val_json_bytes": "utf8"}} if config is not None and config.items() >= CONFIG.items() else {}


def _nodes(part: Any) -> Iterator[dict[str, Any]]:
    """Every node of a core schema."""
    if isinstance(part, dict):
        if isinstance(part.get("type"), str):
            yield part
        for name, inner in part.items():
            if name != "metadata":
                yield from _nodes(inner)
    elif isinstance(part, (list, tuple)):
        for inner in part:
            yield from _nodes(inner)


def has_long_number(encoded: bytes) -> bool:
    """Whether there may be a whole number in JSON that is too long to be read. It would cover one of the few places looked at."""
    for at in range(_LONGEST_NUMBER, len(encoded), _LONGEST_NUMBER):
        before, after = encoded[at - _LONGEST_NUMBER : at], encoded[at : at + _LONGEST_NUMBER + 1]
        if len(before) - len(before.rstrip(_DIGITS)) + len(after) - len(after.lstrip(_DIGITS)) > _LONGEST_NUMBER:
            return True
    return False


def _is_bounded(node: Mapping[str, Any]) -> bool:
    return bool(node.keys() & {"le", "lt"} and node.keys() & {"ge", "gt"})


def _is_plain(node: Mapping[str, Any]) -> bool:
    return node["type"] in _PLAIN and not node.keys() & {"serialization", "validation_alias", "serialization_alias"}
