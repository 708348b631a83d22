"""OneReading: what JSON can say is read by code as JSON is, or refused: a text for bytes, a float for a Decimal, what a union may take.

Python and JSON read such values by different rules: a text is bytes as it stands, and base64; 1.0 is `Decimal("1.0")`, and `Decimal("1")`.
By name and over HTTP there is JSON only, so that by code its reading counts where both come to equal values, and nothing where they do not.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import cached_property
from typing import Any, cast
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import CoreConfig, PydanticCustomError, PydanticSerializationError, SchemaValidator, to_json

from runner.jobs.arrival import difference
from runner.jobs.faults import short
from runner.jobs.json_values import ATOMS, is_json

Node = Mapping[str, Any]

_UNLIKE = frozenset({"bytes", "decimal"})
"""Kinds that Python and JSON read differently wherever they are."""
_ALIKE = frozenset({"union", "nullable", "str", "int", "float", "bool", "none", "literal"})
"""A union of these alone takes the same of them from both."""
_WHOLE = frozenset({"model", "union", "tagged-union"})
"""Kinds that are read as a whole. A model is validated by its class, whatever stands in the schema."""
_CLASSES = {"bytes": bytes, "decimal": Decimal}
_JSON = ATOMS | {list, dict}
_SCALARS = (str, int, float, Enum, Decimal, Fraction, date, time, timedelta, UUID)
_NO_NODES = ("metadata", "config", "serialization")


def with_one_reading(python: Any, json: Any, config: Any) -> Any:
    """The schema `python`, for values of Python, with nodes that read JSON as `json` does, the same schema for JSON, with `config`."""
    return _Walk(json.get("definitions", ())).node(python, json, config)


class _Walk:
    def __init__(self, definitions: Sequence[Any]) -> None:
        self._definitions = list(definitions)

    def node(self, python: Any, json: Any, config: Any) -> Any:
        """A part of a schema; one that needs no change is shared."""
        if isinstance(python, (list, tuple)):
            items = [self.node(part, other, config) for part, other in zip(python, json, strict=True)]
            return type(python)(items) if any(new is not part for new, part in zip(items, python, strict=True)) else python
        if not isinstance(python, dict) or str(python.get("type")).startswith("function"):  # what a function makes only the code knows
            return python
        config = json.get("config") or config
        if _is_forked(json):
            return self._wrapped(python, json, config)
        if json.get("type") in ("union", "literal") and not _has_function(json):
            return self._wrapped(python, json, config, plain=frozenset())
        if python.get("type") in _WHOLE:
            return python
        inner = {name: self.node(part, json[name], config) for name, part in python.items() if name not in _NO_NODES}
        if "keys_schema" in inner:
            inner["keys_schema"] = self._key(python["keys_schema"], json["keys_schema"], config)
        changed = {name: part for name, part in inner.items() if part is not python[name]}
        return {**python, **changed} if changed else python

    def _key(self, python: Node, json: Node, config: Any) -> Any:
        """Keys of JSON are texts, so that others are written as such before they are read."""
        return self._wrapped(python, json, config, frozenset({str}), ()) if json["type"] in _UNLIKE else python

    def _wrapped(
        self, python: Node, json: Node, config: Any, plain: AbstractSet[object] = _JSON, others: tuple[type, ...] = _SCALARS
    ) -> Node:
        inner = {name: value for name, value in python.items() if name != "ref"}
        check = _AsJson(self._alone(python), self._alone(json), config, plain, others)
        reading = {"type": "function-before", "function": {"type": "no-info", "function": check}, "schema": inner}
        return reading | ({"ref": python["ref"]} if "ref" in python else {})

    def _alone(self, node: Node) -> Any:
        """A node with what it refers to."""
        if not self._definitions:
            return dict(node)
        is_definition = any(node.get("ref", self) == definition["ref"] for definition in self._definitions)
        inner = {"type": "definition-ref", "schema_ref": node["ref"]} if is_definition else dict(node)
        return {"type": "definitions", "schema": inner, "definitions": self._definitions}


class _AsJson:
    """Before one node: what is JSON is read as JSON, if the node would make an equal value of it; all else is left to the node.

    `plain`: the classes of JSON that are read so. `others`: those of single values that are held against their JSON too.
    """

    def __init__(self, python: Any, json: Any, config: Any, plain: AbstractSet[object], others: tuple[type, ...]) -> None:
        self._schemas = python, json
        self._config = config
        self._plain = plain
        self._others = others
        self._itself = _CLASSES.get(json["type"], self)

    @cached_property
    def _by_code(self) -> SchemaValidator:
        return SchemaValidator(self._schemas[0], cast("CoreConfig", {**self._config, "val_json_bytes": "utf8"}))

    @cached_property
    def _by_name(self) -> SchemaValidator:
        return SchemaValidator(self._schemas[1], self._config)

    def __call__(self, value: Any) -> Any:
        kind = type(value)
        if kind is self._itself:
            return value
        if not (kind in self._plain and is_json(value) if kind in _JSON else isinstance(value, self._others)):
            return value
        try:
            by_code = self._by_code.validate_python(value, by_alias=True, by_name=True)
        except ValidationError:  # the node says so
            return value
        if kind not in _JSON and type(by_code) is kind:
            return value
        try:
            by_name = self._by_name.validate_json(to_json(value, inf_nan_mode="constants"), by_alias=True, by_name=True)
        except (ValidationError, PydanticSerializationError):
            return _refuse("{value} would be refused by name and over HTTP, but is {code} here: give that itself", value, by_code, None)
        if difference(by_code, by_name) is not None:
            words = "{value} would arrive as {name} by name and over HTTP, but is {code} here: give the one that is meant"
            return _refuse(words, value, by_code, by_name)
        return by_name


def _refuse(words: str, value: Any, by_code: Any, by_name: Any) -> Any:
    text = words.format(value=short(value), code=short(by_code), name=short(by_name))
    raise PydanticCustomError("one_form", "{text}", {"text": text})


def _is_forked(node: Node) -> bool:
    """Whether Python and JSON may read a value differently here."""
    kind = node.get("type")
    if kind in _UNLIKE or (kind == "str" and node.get("coerce_numbers_to_str")):
        return True
    if kind not in _WHOLE:
        return False
    kinds = set(_kinds(node))
    if _has_function(node):
        return False
    return not kinds <= _ALIKE if kind != "model" else not kinds.isdisjoint({*_UNLIKE, "union", "tagged-union", "coerced"})


def _has_function(node: Node) -> bool:
    return any(kind.startswith("function") for kind in _kinds(node))


def _kinds(part: Any) -> Iterator[str]:
    """The kinds of all nodes of a schema."""
    if isinstance(part, dict):
        if isinstance(kind := part.get("type"), str):
            yield kind
        if part.get("coerce_numbers_to_str"):
            yield "coerced"
        for name, inner in part.items():
            if name != "metadata":
                yield from _kinds(inner)
    elif isinstance(part, (list, tuple)):
        for inner in part:
            yield from _kinds(inner)
