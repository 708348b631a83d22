"""Defaults of a task's arguments in their form: what keys, costs and fingerprints count for an argument that was left out."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from runner.jobs.form import Form
from runner.jobs.form_codec import FormCodec


def with_defaults(form: Form, defaults: Mapping[str, Any]) -> Form:
    """The form of arguments with the JSON values of those that may be left out, in the spelling that they have when they are given.

    Raises `UnknownForm` if the form cannot be built, so that this is seen at the declaration.
    """
    root = form["f"] if form["k"] == "defs" else form
    codec = FormCodec(_replaced(form, [{**field, "o": 1} for field in root["fields"]]))
    return _replaced(form, [_with_default(field, codec, defaults) if field["n"] in defaults else field for field in root["fields"]])


def _replaced(form: Form, fields: list[Form]) -> Form:
    """The form of arguments with other fields."""
    return {**form, "f": _replaced(form["f"], fields)} if form["k"] == "defs" else {**form, "fields": fields}


def _with_default(field: Form, codec: FormCodec, defaults: Mapping[str, Any]) -> Form:
    try:
        given = to_json({field["n"]: defaults[field["n"]]}, inf_nan_mode="constants")
        (default,) = from_json(codec.write(codec.read(given)), allow_inf_nan=False).values()
    except (ValidationError, PydanticSerializationError, ValueError):
        default = defaults[field["n"]]  # it does not fit its own annotation: `at: datetime = None`
        if "NaN" in (text := to_json(default, inf_nan_mode="constants").decode()) or "Infinity" in text:
            return field
    return {**field, "d": default}
