"""The forms of models, dataclasses and TypedDicts: their fields with aliases and defaults, and the words of their config."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import PydanticSerializationError, SchemaError, SchemaSerializer, ValidationError, from_json

from runner.jobs.form import CONFIG, Form, Opaque, Schema

FormOf = Callable[[Schema], Form]

_HARMLESS = {
    *("title", "frozen", "from_attributes", "loc_by_alias", "revalidate_instances", "hide_input_in_errors", "validation_error_cause"),
    *("cache_strings", "typed_dict_total", "validate_by_alias", "validate_by_name", "serialize_by_alias", "url_preserve_empty_path"),
}
"""Words of a config that change no value: names are read by alias and by name, and sent by alias, whatever a model says."""
_STANDARD = {("ser_json_timedelta", "iso8601"), ("ser_json_temporal", "iso8601"), ("ser_json_inf_nan", "null")}
"""Words that say what holds without them."""
_PURE: tuple[Any, ...] = (list, dict, set, frozenset, tuple, str, int, float, bool, bytes)
"""Default factories that make the same value each time. Any other could read a clock."""


def model(form_of: FormOf, schema: Schema) -> Form:
    """The form of a model. Raises `Opaque`, as do the others."""
    config = _config(schema)
    if schema.get("custom_init"):
        raise Opaque("model with an __init__ of its own")
    if schema.get("root_model"):
        form: Form = {"k": "root", "f": form_of(schema["schema"])}
    else:
        form = {"k": "object", "t": "model", **_fields(form_of, schema["schema"], "model-fields", schema)}
    if schema.get("strict") is not None:
        config["strict"] = schema["strict"]
    if schema.get("extra_behavior") is not None:
        config["extra_fields_behavior"] = schema["extra_behavior"]
    return _finished(form, config, schema)


def dataclass(form_of: FormOf, schema: Schema) -> Form:
    """The form of a dataclass."""
    config = _config(schema)
    fields = _fields(form_of, schema["schema"], "dataclass-args", schema)
    if fields.get("extra") == "allow" or config.get("extra_fields_behavior") == "allow":
        raise Opaque("dataclass with further fields")
    if schema.get("strict") is not None:
        config["strict"] = schema["strict"]
    return _finished({"k": "object", "t": "dataclass", **fields}, config, schema)


def typed_dict(form_of: FormOf, schema: Schema) -> Form:
    """The form of a TypedDict, as the arguments of a task are one."""
    config = _config(schema)
    if schema.get("strict") is not None:
        config["strict"] = schema["strict"]
    return _finished({"k": "object", "t": "typed", **_fields(form_of, schema, "typed-dict", schema)}, config, schema)


def _finished(form: Form, config: dict[str, Any], schema: Schema) -> Form:
    if config:
        form["c"] = config
    if schema.get("post_init") and not _only_makes_private_attributes(schema["cls"]):
        raise Opaque("post_init", form)
    return form


def _fields(form_of: FormOf, schema: Schema, kind: str, owner: Schema) -> Form:
    """What an object has of fields, and what becomes of others. `owner` has the config that holds for its fields."""
    if schema["type"] != kind or schema.get("serialization") is not None:
        raise Opaque("validator" if schema["type"].startswith("function") else "custom type")
    fields = schema["fields"]
    named = fields.items() if isinstance(fields, Mapping) else ((field["name"], field) for field in fields)
    # What a dataclass makes itself (`init=False`) is neither sent nor read.
    form: Form = {"fields": [_field(form_of, name, field, owner) for name, field in named if field.get("init", True)]}
    if schema.get("extra_behavior") is not None:
        form["extra"] = schema["extra_behavior"]
    if schema.get("extras_keys_schema") is not None:
        raise Opaque("further fields with names of a form")
    if schema.get("extras_schema") is not None:
        form["extra"] = form_of(schema["extras_schema"])
    return form


def _field(form_of: FormOf, name: str, field: Schema, owner: Schema) -> Form:
    if field.get("serialization_exclude") or field.get("serialization_exclude_if"):
        raise Opaque(f"field {name!r} is excluded")
    if field.get("init_only"):
        raise Opaque(f"field {name!r} is an InitVar")
    alias, sent_as = field.get("validation_alias"), field.get("serialization_alias")
    if alias is not None and not isinstance(alias, str):
        raise Opaque(f"field {name!r} has several aliases")
    form: Form = {"n": name}
    if alias is not None:
        form["a"] = alias
    if sent_as is not None:
        form["s"] = sent_as
    schema = field["schema"]
    if schema["type"] != "default":
        form["f"] = form_of(schema)
        if field["type"] == "typed-dict-field" and not field.get("required", owner.get("total", True)):
            form["o"] = 1
        return form
    return form | _with_default(form_of, schema, owner)


def _with_default(form_of: FormOf, schema: Schema, owner: Schema) -> Form:
    """Form and default of a field; opaque, and left out, where the default is not the same each time."""
    try:
        form: Form = {"f": form_of(schema["schema"]), "d": _sent(_default_of(schema), schema["schema"], owner.get("config"))}
        if schema.get("validate_default") is not None:
            form["v"] = schema["validate_default"]
    except Opaque as part:
        return {"f": Opaque(str(part), form_of(schema["schema"])).form, "o": 1}
    return form


def _config(schema: Schema) -> dict[str, Any]:
    """The words of a node's config that change values. Raises `Opaque` for one that is not known."""
    config: dict[str, Any] = {}
    for name, value in (schema.get("config") or {}).items():
        if name in _HARMLESS or value is None or (name, value) in _STANDARD:
            continue
        if name not in CONFIG:
            raise Opaque(f"config {name}")
        config[name] = value
    if config.get("ser_json_bytes", "utf8") != config.get("val_json_bytes", "utf8"):
        raise Opaque("bytes that are written otherwise than read")
    return config


def _only_makes_private_attributes(cls: Any) -> bool:
    """Whether the post_init of a model is pydantic's own. They are not sent."""
    return getattr(getattr(cls, "model_post_init", None), "__name__", "") == "init_private_attributes"


def _default_of(schema: Schema) -> Any:
    """The default of a field. Raises `Opaque` for one that need not be the same each time."""
    if schema.get("on_error", "raise") != "raise" or schema.get("default_factory_takes_data"):
        raise Opaque("default that depends on other values")
    if schema.get("serialization") is not None:
        raise Opaque("serializer")
    if "default_factory" not in schema:
        return schema["default"]
    factory = schema["default_factory"]
    if factory not in _PURE:
        raise Opaque("default made by a function")
    return factory()


def _sent(default: Any, schema: Schema, config: Any) -> Any:
    """A default as it is sent. Raises `Opaque` if what is read of that is sent as something else."""
    if default is None or type(default) in (str, int, bool):
        return default
    if type(default) in (list, tuple, set, frozenset, dict) and not default:
        return {} if type(default) is dict else []
    try:
        return from_json(SchemaSerializer(schema, config).to_json(default, by_alias=True, round_trip=True, warnings=False))
    except (PydanticSerializationError, SchemaError, ValidationError, ValueError):
        raise Opaque("default that cannot be sent") from None
