"""FormWriter: from pydantic's core schema of a task's arguments to their form."""

from collections.abc import Callable, Mapping
from enum import Enum
from math import isfinite
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json

from runner.jobs.form import OPTIONS, Form, Opaque, Schema
from runner.jobs.object_forms import dataclass, model, typed_dict

_NOTED = {"type", "ref", "metadata", "serialization"}
_BY_JSON = {"json-or-python": "json_schema", "lax-or-strict": "lax_schema"}
"""Kinds of schema that read JSON by one of their parts."""
_ERRORS = ("custom_error_type", "custom_error_message", "custom_error_context")


def form_of(schema: Schema) -> Form:
    """The form of a core schema."""
    return _Writer().form(schema)


class _Writer:
    """Writes the form of one core schema. The names of definitions are numbered, as pydantic's hold addresses of memory."""

    def __init__(self) -> None:
        self._numbers: dict[str, str] = {}

    def form(self, schema: Schema) -> Form:
        """The form of a schema, opaque if it cannot be known."""
        if schema.get("serialization") is not None:
            return Opaque("serializer", self.form({**schema, "serialization": None})).form
        write = _WRITERS.get(schema["type"])
        if write is None:
            return self._unknown(schema).form
        try:
            return write(self, schema)
        except Opaque as part:
            return part.form

    def _unknown(self, schema: Schema) -> Opaque:
        """Why a schema is not known, and what its JSON must fit in any case."""
        kind = schema["type"]
        if kind == "function-after":
            return Opaque("validator", self.form(schema["schema"]))
        if kind in _BY_JSON:
            return Opaque("custom type", self.form(schema[_BY_JSON[kind]]))
        return Opaque("validator" if kind.startswith("function") else "custom type")

    def simple(self, kind: str, schema: Schema, *inner: str, defaults: Mapping[str, Any] | None = None) -> Form:
        """A form of this kind with the options of its schema. `inner`: keys of the schema that the caller writes itself."""
        form: Form = {"k": kind}
        for name, value in schema.items():
            if name in _NOTED or name in inner or value is None or (defaults or {}).get(name, _NOTED) == value:
                continue
            if name not in OPTIONS[kind]:
                raise Opaque(f"option {name}")
            form[name] = _bound(value)
        return form

    def scalar(self, schema: Schema) -> Form:
        return self.simple(schema["type"], schema, defaults={"microseconds_precision": "truncate"})

    def literal(self, schema: Schema) -> Form:
        values = schema["expected"]
        if not all(_is_json_scalar(value) for value in values):
            raise Opaque("literal of other values than text, whole numbers, booleans and None")
        return {**self.simple("literal", schema, "expected"), "values": list(values)}

    def enum(self, schema: Schema) -> Form:
        values = [member.value for member in schema["members"]]
        if "missing" in schema or not all(_is_json_scalar(value) or type(value) is float for value in values):
            raise Opaque("enum with values of its own")
        form = self.simple("enum", schema, "cls", "members", "sub_type")
        return {**form, "values": values} | ({"sub": schema["sub_type"]} if "sub_type" in schema else {})

    def sequence(self, schema: Schema) -> Form:
        form = self.simple(schema["type"], schema, "items_schema", "fail_fast")
        return {**form, "f": self.form(schema.get("items_schema") or {"type": "any"})}

    def tuple_of(self, schema: Schema) -> Form:
        form = self.simple("tuple", schema, "items_schema", "variadic_item_index", "fail_fast")
        items = [self.form(item) for item in schema["items_schema"]]
        variadic = schema.get("variadic_item_index")
        if variadic is None:
            return {**form, "items": items}
        if variadic != len(items) - 1:
            raise Opaque("tuple with a variable middle")
        return {**form, "items": items[:-1], "rest": items[-1]}

    def named_tuple(self, schema: Schema) -> Form:
        if any(field["schema"]["type"] == "default" or field.get("validation_alias") for field in schema["fields"]):
            raise Opaque("NamedTuple with defaults")
        return {"k": "tuple", "items": [self.form(field["schema"]) for field in schema["fields"]]}

    def dict_of(self, schema: Schema) -> Form:
        form = self.simple("dict", schema, "keys_schema", "values_schema", "fail_fast")
        keys, values = (self.form(schema.get(name) or {"type": "any"}) for name in ("keys_schema", "values_schema"))
        return {**form, "keys": keys, "f": values}

    def nullable(self, schema: Schema) -> Form:
        return {**self.simple("nullable", schema, "schema"), "f": self.form(schema["schema"])}

    def union(self, schema: Schema) -> Form:
        if schema.get("mode", "smart") != "smart":
            raise Opaque("union of another mode than smart")
        form = self.simple("union", schema, "choices", "auto_collapse", "mode", *_ERRORS)
        return {**form, "of": [self.form(choice[0] if isinstance(choice, tuple) else choice) for choice in schema["choices"]]}

    def tagged(self, schema: Schema) -> Form:
        by, choices = schema["discriminator"], schema["choices"]
        if not isinstance(by, str) or not all(isinstance(tag, str) for tag in choices):
            raise Opaque("union with a discriminator of its own")
        form = self.simple("tagged", schema, "choices", "discriminator", "from_attributes", *_ERRORS, defaults={"strict": False})
        return {**form, "by": by, "of": {tag: self.form(choice) for tag, choice in choices.items()}}

    def definitions(self, schema: Schema) -> Form:
        form = self.form(schema["schema"])
        defs = {self._number(inner["ref"]): self.form(inner) for inner in schema["definitions"]}
        return {"k": "defs", "f": form, "defs": defs}

    def reference(self, schema: Schema) -> Form:
        return {"k": "ref", "to": self._number(schema["schema_ref"])}

    def _number(self, ref: str) -> str:
        return self._numbers.setdefault(ref, str(len(self._numbers)))


_WRITERS: dict[str, Callable[[_Writer, Schema], Form]] = {
    **dict.fromkeys(("int", "float", "decimal", "str", "bool", "none", "any", "bytes", "uuid"), _Writer.scalar),
    **dict.fromkeys(("date", "time", "datetime", "timedelta"), _Writer.scalar),
    **dict.fromkeys(("list", "set", "frozenset"), _Writer.sequence),
    "literal": _Writer.literal,
    "enum": _Writer.enum,
    "tuple": _Writer.tuple_of,
    "named-tuple": _Writer.named_tuple,
    "dict": _Writer.dict_of,
    "nullable": _Writer.nullable,
    "union": _Writer.union,
    "tagged-union": _Writer.tagged,
    "model": lambda writer, schema: model(writer.form, schema),
    "dataclass": lambda writer, schema: dataclass(writer.form, schema),
    "typed-dict": lambda writer, schema: typed_dict(writer.form, schema),
    "definitions": _Writer.definitions,
    "definition-ref": _Writer.reference,
}


def _is_json_scalar(value: Any) -> bool:
    return value is None or (type(value) in (str, int, bool) and not isinstance(value, Enum))


def _bound(value: Any) -> Any:
    """An option as JSON: a value that JSON does not have as `{"$": text}`, which the kind's own validator reads."""
    if type(value) in (str, int, bool):
        return value
    if type(value) is float and isfinite(value):
        return value
    try:
        return {"$": from_json(to_json(value, inf_nan_mode="strings"))}
    except (PydanticSerializationError, ValueError):
        raise Opaque("option of another type") from None
