"""FormCodec: from a form back to pydantic's core schema, so that a call by name is read and written as the code does it."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import make_dataclass
from enum import Enum
from functools import cached_property
from typing import Any, cast

from pydantic_core import (
    CoreSchema,
    PydanticCustomError,
    PydanticSerializationError,
    SchemaError,
    SchemaSerializer,
    SchemaValidator,
    ValidationError,
    to_json,
)

from runner.jobs.coding import until_one_fails
from runner.jobs.form import CONFIG, OPTIONS, Form, parts

Schema = dict[str, Any]

_BUILD_ERRORS = (SchemaError, KeyError, TypeError, ValueError, AttributeError, RecursionError)
_AS_JSON = frozenset({"str", "int", "float", "bool", "none", "any", "literal"})
"""Kinds whose values are in Python what they are in JSON."""


class UnknownForm(ValueError):
    """A form that cannot be built here: it is damaged, or of a version that this one does not understand."""


class FormCodec:
    """Reads and writes JSON of one form as the code does. Raises `UnknownForm`.

    `read` raises ValidationError, `write` PydanticSerializationError.
    """

    __slots__ = ("read", "write")

    read: Callable[[bytes], Any]
    write: Callable[[Any], bytes]

    def __init__(self, form: Form) -> None:
        try:
            schema = cast("CoreSchema", _Reader(form.get("defs", {}) if form["k"] == "defs" else {}).schema(form))
            config = _known(form["f"] if form["k"] == "defs" else form)
            # The serializer heeds the config of its root alone.
            validator, serializer = SchemaValidator(until_one_fails(schema), config), SchemaSerializer(schema, config)
        except _BUILD_ERRORS as error:
            raise UnknownForm(f"{type(error).__name__}: {error}") from error
        self.read, self.write = validator.validate_json, serializer.to_json
        if any(map(_has_names, parts(form))):
            self.read = lambda encoded: validator.validate_json(encoded, by_alias=True, by_name=True)
            # A default stands here as JSON, which need not be a value of its field's type.
            self.write = lambda value: serializer.to_json(value, by_alias=True, round_trip=True, warnings=False)


def _has_names(form: Form) -> bool:
    return form["k"] in ("object", "defs", "opaque") or any(map(_has_names, parts(form)))


def _known(form: Form) -> Any:
    config = form.get("c") or {}
    if config.keys() - set(CONFIG):
        raise ValueError(f"config {min(config.keys() - set(CONFIG))}")
    return dict(config) or None


class _Reader:
    """Makes the core schema of one form. `defs` are the definitions that its references name."""

    def __init__(self, defs: Mapping[str, Form]) -> None:
        self._defs = defs

    def schema(self, form: Form) -> Schema:
        """The core schema of a form; whatever is not understood is sent as it is."""
        make = _MAKERS.get(form["k"])
        return make(self, form) if make is not None else {"type": "any"}

    def _options(self, form: Form, kind: str, *inner: str) -> Schema:
        """The schema of a kind with its options. Raises ValueError for an option that is not known."""
        schema: Schema = {"type": kind}
        for name, value in form.items():
            if name == "k" or name in inner:
                continue
            if name not in OPTIONS[form["k"]]:
                raise ValueError(f"option {name} of {form['k']}")
            schema[name] = SchemaValidator({"type": kind}).validate_python(value["$"]) if isinstance(value, dict) else value
        return schema

    def scalar(self, form: Form) -> Schema:
        return self._options(form, form["k"])

    def float(self, form: Form) -> Schema:
        # JSON has no NaN: a model that allows it would be sent null instead, which the code does not do.
        return {**self._options(form, "float"), "allow_inf_nan": False}

    def literal(self, form: Form) -> Schema:
        return {**self._options(form, "literal", "values"), "expected": form["values"]}

    def enum(self, form: Form) -> Schema:
        sub = form.get("sub")
        members = [(f"m{number}", value) for number, value in enumerate(form["values"])]
        base = {"str": str, "int": int, "float": float, None: None}[sub]
        made: Any = Enum("Enumerated", members, type=base) if base else Enum("Enumerated", members)
        schema = {**self._options(form, "enum", "values", "sub"), "cls": made, "members": list(made)}
        return schema | ({"sub_type": sub} if sub else {})

    def sequence(self, form: Form) -> Schema:
        return {**self._options(form, form["k"], "f"), "items_schema": self.schema(form["f"])}

    def tuple_of(self, form: Form) -> Schema:
        items = [*form["items"], *([form["rest"]] if "rest" in form else [])]
        schema = {**self._options(form, "tuple", "items", "rest"), "items_schema": [self.schema(item) for item in items]}
        return schema | ({"variadic_item_index": len(items) - 1} if "rest" in form else {})

    def dict_of(self, form: Form) -> Schema:
        schema = self._options(form, "dict", "keys", "f")
        return {**schema, "keys_schema": self.schema(form["keys"]), "values_schema": self.schema(form["f"])}

    def nullable(self, form: Form) -> Schema:
        return {**self._options(form, "nullable", "f"), "schema": self.schema(form["f"])}

    def union(self, form: Form) -> Schema:
        return {**self._options(form, "union", "of"), "choices": [self.schema(choice) for choice in form["of"]]}

    def tagged(self, form: Form) -> Schema:
        choices = {tag: self.schema(choice) for tag, choice in form["of"].items()}
        return {**self._options(form, "tagged-union", "by", "of"), "discriminator": form["by"], "choices": choices}

    def object_of(self, form: Form) -> Schema:
        return {"model": self._model, "dataclass": self._dataclass, "typed": self._typed_dict}[form["t"]](form)

    def _model(self, form: Form) -> Schema:
        fields = {field["n"]: self._field(field, "model-field") for field in form["fields"]}
        inner = {"type": "model-fields", "fields": fields, **self._extra(form)}
        return {"type": "model", "cls": _model_class(), "schema": inner, "config": _known(form) or {}}

    def _dataclass(self, form: Form) -> Schema:
        names = [field["n"] for field in form["fields"]]
        fields = [{"name": field["n"], **self._field(field, "dataclass-field")} for field in form["fields"]]
        inner = {"type": "dataclass-args", "dataclass_name": "Object", "fields": fields, **self._extra(form)}
        made = make_dataclass("Object", ())
        return {"type": "dataclass", "cls": made, "schema": inner, "fields": names, "config": _known(form) or {}}

    def _typed_dict(self, form: Form) -> Schema:
        fields = {field["n"]: self._field(field, "typed-dict-field") for field in form["fields"]}
        for field in form["fields"]:
            fields[field["n"]]["required"] = "o" not in field and "d" not in field
        return {"type": "typed-dict", "fields": fields, "config": _known(form) or {}, **self._extra(form)}

    def _extra(self, form: Form) -> Schema:
        extra = form.get("extra")
        if extra is None:
            return {}
        return {"extra_behavior": "allow", "extras_schema": self.schema(extra)} if isinstance(extra, dict) else {"extra_behavior": extra}

    def _field(self, field: Form, kind: str) -> Schema:
        schema = self.schema(field["f"])
        made: Schema = {"type": kind, "schema": schema}
        default = field["d"] if "d" in field and "o" not in field else _MISSING
        if default is not _MISSING and field["f"]["k"] not in _AS_JSON:
            default = self._read_default(field["f"], default)
        if default is not _MISSING:
            made["schema"] = {"type": "default", "schema": schema, "default": default}
            made["schema"] |= {"validate_default": field["v"]} if "v" in field else {}
        elif kind != "typed-dict-field" and ("o" in field or "d" in field):
            made["schema"] = {"type": "default", "schema": schema, "default": _MISSING}
            made["serialization_exclude_if"] = _is_missing
        if "a" in field:
            made["validation_alias"] = field["a"]
        if "s" in field:
            made["serialization_alias"] = field["s"]
        return made

    def _read_default(self, form: Form, default: Any) -> Any:
        """A default as the code has it; if it does not fit its field as it is, or missing if it would not be written as such."""
        if not _has_reference(form):
            codec, encoded = FormCodec(form), to_json(default)
            with suppress(ValidationError, PydanticSerializationError):
                value = codec.read(encoded)
                if codec.write(value) == encoded:
                    return value
        return _MISSING if isinstance(default, (dict, list)) and default else default

    def root(self, form: Form) -> Schema:
        made = {"type": "model", "cls": _model_class(), "root_model": True, "schema": self.schema(form["f"])}
        return {**made, "config": _known(form) or {}}

    def defs(self, form: Form) -> Schema:
        definitions = [{**self.schema(inner), "ref": name} for name, inner in form["defs"].items()]
        return {"type": "definitions", "schema": self.schema(form["f"]), "definitions": definitions}

    def ref(self, form: Form) -> Schema:
        return {"type": "definition-ref", "schema_ref": form["to"]}

    def opaque(self, form: Form) -> Schema:
        if "of" not in form:
            return {"type": "any"}
        check = _Check(form["of"], self._defs)
        return {"type": "function-plain", "function": {"type": "no-info", "function": check}, "serialization": {"type": "any"}}


class _Missing:
    """Stands for a field that was left out and whose default only the code knows; it is left out of the JSON too."""


_MISSING = _Missing()


def _is_missing(value: Any) -> bool:
    return value is _MISSING


class _Check:
    """Passes a value on as it was sent, if its JSON fits what is checked before the code's own part."""

    def __init__(self, form: Form, defs: Mapping[str, Form]) -> None:
        self._form = {"k": "defs", "f": form, "defs": dict(defs)} if defs else form

    @cached_property
    def _codec(self) -> FormCodec:
        return FormCodec(self._form)

    def __call__(self, value: Any) -> Any:
        try:
            self._codec.read(to_json(value, inf_nan_mode="constants"))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = "".join(f"{part}: " for part in first["loc"])
            raise PydanticCustomError("form", "{text}", {"text": where + first["msg"]}) from None
        return value


def _model_class() -> type:
    """A class for the instances of one model, as pydantic's core makes them."""
    slots = ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
    return type("Object", (), {"__slots__": slots})


def _has_reference(form: Form) -> bool:
    return form["k"] == "ref" or any(map(_has_reference, parts(form)))


_MAKERS: dict[str, Callable[[_Reader, Form], Schema]] = {
    **dict.fromkeys(("int", "decimal", "str", "bool", "none", "any", "bytes", "uuid"), _Reader.scalar),
    "float": _Reader.float,
    **dict.fromkeys(("date", "time", "datetime", "timedelta"), _Reader.scalar),
    **dict.fromkeys(("list", "set", "frozenset"), _Reader.sequence),
    "literal": _Reader.literal,
    "enum": _Reader.enum,
    "tuple": _Reader.tuple_of,
    "dict": _Reader.dict_of,
    "nullable": _Reader.nullable,
    "union": _Reader.union,
    "tagged": _Reader.tagged,
    "object": _Reader.object_of,
    "root": _Reader.root,
    "defs": _Reader.defs,
    "ref": _Reader.ref,
    "opaque": _Reader.opaque,
}
