"""Form: what the arguments of a task are, as JSON.

A process without the code builds from it the validator and the serializer that the code has, see `form_codec`, and one text for each
value, see `canonical`.

A form is a nested object `{"k": kind, ...}` in words of this library, so that both processes may have other versions of pydantic. Every
word of pydantic's core schema that is not listed here makes an `opaque` form, never a guess: such a value is sent as it is, and only
the code knows what it means.

    int float decimal str bool bytes uuid date time datetime timedelta none any    with their bounds
    literal {values}   enum {values, sub}
    nullable {f}   list {f}   set {f}   frozenset {f}   tuple {items, rest}   dict {keys, f}   union {of}   tagged {by, of}
    object {t: model, dataclass or typed, c: config, fields: [{n: name, a: alias, s: alias when sent, f: form, d: default,
            o: 1 if it may be left out and is then missing}], extra}
    root {f, c}   ref {to}   defs {f, defs}
    opaque {why, of: what its JSON fits in any case}
"""

from collections.abc import Iterator, Mapping
from typing import Any

Form = dict[str, Any]
Schema = Mapping[str, Any]
"""A core schema of pydantic."""

_BOUNDS = ("gt", "ge", "lt", "le", "strict")
_LENGTHS = ("min_length", "max_length", "strict")
OPTIONS: dict[str, tuple[str, ...]] = {
    "int": (*_BOUNDS, "multiple_of"),
    "float": (*_BOUNDS, "multiple_of", "allow_inf_nan"),
    "decimal": (*_BOUNDS, "multiple_of", "allow_inf_nan", "max_digits", "decimal_places"),
    "str": (
        *_LENGTHS,
        *("pattern", "strip_whitespace", "to_lower", "to_upper", "ascii_only", "regex_engine", "coerce_numbers_to_str"),
    ),
    "bool": ("strict",),
    "none": (),
    "any": (),
    "bytes": _LENGTHS,
    "uuid": ("version", "strict"),
    "date": (*_BOUNDS, "now_op", "now_utc_offset"),
    "time": (*_BOUNDS, "tz_constraint", "microseconds_precision"),
    "datetime": (*_BOUNDS, "now_op", "now_utc_offset", "tz_constraint", "microseconds_precision"),
    "timedelta": (*_BOUNDS, "multiple_of", "microseconds_precision"),
    "literal": (),
    "enum": ("strict",),
    "list": _LENGTHS,
    "set": _LENGTHS,
    "frozenset": _LENGTHS,
    "tuple": _LENGTHS,
    "dict": _LENGTHS,
    "nullable": ("strict",),
    "union": ("strict",),
    "tagged": ("strict",),
}
"""The options of each kind, under pydantic's names."""
CONFIG = (
    *("strict", "extra_fields_behavior", "validate_default", "str_min_length", "str_max_length", "str_strip_whitespace"),
    *("str_to_lower", "str_to_upper", "allow_inf_nan", "coerce_numbers_to_str", "regex_engine", "ser_json_bytes", "val_json_bytes"),
)
"""Words of a config that change values."""


def opaque_parts(form: Form) -> Iterator[Form]:
    """The opaque forms within a form, itself included."""
    if form["k"] == "opaque":
        yield form
        return
    for part in parts(form):
        yield from opaque_parts(part)


def parts(form: Form) -> Iterator[Form]:
    """The forms right inside a form; what is checked before an opaque one is none."""
    if form["k"] == "opaque":
        return
    for word in ("f", "keys", "rest"):
        if word in form:
            yield form[word]
    for word in ("items", "of", "defs"):
        inner = form.get(word, ())
        yield from inner.values() if isinstance(inner, dict) else inner
    for field in form.get("fields", ()):
        yield field["f"]
    if isinstance(form.get("extra"), dict):
        yield form["extra"]


class Opaque(Exception):
    """A part that only the code knows. `of`: what its JSON fits in any case."""

    def __init__(self, why: str, of: Form | None = None) -> None:
        super().__init__(why)
        self.form: Form = {"k": "opaque", "why": why}
        if of is not None and of["k"] == "opaque":
            of = of.get("of")
        if of is not None:
            self.form["of"] = of
