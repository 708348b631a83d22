"""Canonical: one text for each call, whichever way it was spelled, and the fingerprint made of it. Its input is the JSON that is stored.

Objects have sorted keys and no spaces, and leave out what equals its default; a Decimal has no zeros at its end, an instant is in UTC,
a set is sorted. A whole number has all its digits, so the numbers are not those of RFC 8785, which are doubles. What only the code can
read stands as it was sent: equal texts are equal calls, and another spelling is another call.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

from pydantic_core import to_json

from runner.jobs.form import Form, parts
from runner.limits import decimal_text, float_of, instant_text, time_text

Canonizer = Callable[[Any], str]

_encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode
_text = json.encoder.encode_basestring
_EXACT = frozenset({"int", "str", "bool", "none", "bytes", "uuid", "date", "timedelta", "literal", "list", "tuple", "dict", "nullable"})
"""Kinds with one JSON for each value, apart from the order of keys, if what is in them is so too."""


class Fingerprints:
    """Makes the fingerprints of the calls of one task from the form of its arguments."""

    def __init__(self, task: str, form: Form) -> None:
        self._seed = blake2b(task.encode() + b"\0", digest_size=16)
        self._canonical = canonizer(form)

    def of(self, call: Any) -> str:
        """22 characters that stand for the task and the JSON value of its arguments. Raises ValueError for a value that no text stands for."""
        digest = self._seed.copy()
        digest.update(self._canonical(call).encode())
        return urlsafe_b64encode(digest.digest())[:-2].decode()


def canonizer(form: Form) -> Canonizer:
    """A function from the JSON value of this form to its one text."""
    return _Maker(form.get("defs", {}) if form["k"] == "defs" else {}).make(form)


def _anything(value: Any) -> str:
    """A value of which nothing is known but its JSON: as the handler gets it, 1 and 1.0 are two numbers."""
    text = _encoded(value)
    return text if "-0.0" not in text else _encoded(_without_minus_zero(value))


def _without_minus_zero(value: Any) -> Any:
    if isinstance(value, float):
        return float_of(value)
    if isinstance(value, list):
        return [_without_minus_zero(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_minus_zero(item) for key, item in value.items()}
    return value


def _as_sent(value: Any) -> str:
    return to_json(value).decode()


class _Maker:
    """Makes the canonizers of one form. References are looked up when they are used, since a form can contain itself."""

    def __init__(self, defs: Mapping[str, Form]) -> None:
        self._defs = defs
        self._made: dict[str, Canonizer] = {}

    def make(self, form: Form) -> Canonizer:
        if self._is_exact(form):
            return _encoded
        make = _MAKERS.get(form["k"])
        return make(self, form) if make is not None else _as_sent

    def _is_exact(self, form: Form) -> bool:
        is_exact = form["k"] in _EXACT or (form["k"] == "object" and self._has_only_fields(form))
        return is_exact and all(map(self._is_exact, parts(form)))

    def _has_only_fields(self, form: Form) -> bool:
        """Whether an object has nothing but fields without a default."""
        extra = form.get("extra") or form.get("c", {}).get("extra_fields_behavior")
        return extra in (None, "ignore", "forbid") and not any("d" in field for field in form["fields"])

    def scalar(self, form: Form) -> Canonizer:
        spelled = _SCALARS[form["k"]]
        return lambda value: _encoded(spelled(value))

    def anything(self, _: Form) -> Canonizer:
        return _anything

    def nullable(self, form: Form) -> Canonizer:
        inner = self.make(form["f"])
        return lambda value: "null" if value is None else inner(value)

    def inner(self, form: Form) -> Canonizer:
        return self.make(form["f"])

    def list_of(self, form: Form) -> Canonizer:
        item = self.make(form["f"])
        return lambda value: f"[{','.join(map(item, value))}]"

    def set_of(self, form: Form) -> Canonizer:
        item = self.make(form["f"])
        return lambda value: f"[{','.join(sorted(map(item, value)))}]"

    def tuple_of(self, form: Form) -> Canonizer:
        items = [self.make(item) for item in form["items"]]
        rest = self.make(form["rest"]) if "rest" in form else _anything

        def canonical(value: Any) -> str:
            texts = [item(part) for item, part in zip(items, value, strict=False)]
            return f"[{','.join([*texts, *map(rest, value[len(items) :])])}]"

        return canonical

    def dict_of(self, form: Form) -> Canonizer:
        key, item = _SCALARS.get(_key_kind(form["keys"]), str), self.make(form["f"])

        def canonical(value: Any) -> str:
            return _object(sorted((str(key(name)), item(part)) for name, part in value.items()))

        return canonical

    def union(self, form: Form) -> Canonizer:
        """By the one choice that is written as such JSON; what several choices can be stands as any value."""
        choices: dict[Any, Canonizer] = {}
        for choice in form["of"]:
            for kind in self._json_types(choice):
                choices[kind] = _anything if kind in choices else self.make(choice)
        return lambda value: choices.get(type(value), _anything)(value)

    def _json_types(self, form: Form) -> frozenset[Any]:
        """The types of JSON values that a form is written as."""
        kind = form["k"]
        if kind == "nullable":
            return self._json_types(form["f"]) | {type(None)}
        if kind == "root":
            return self._json_types(form["f"])
        if kind in ("literal", "enum"):
            return frozenset(map(type, form["values"]))
        return _JSON_TYPES.get(kind, _ALL_TYPES)

    def tagged(self, form: Form) -> Canonizer:
        by, choices = form["by"], {tag: self.make(choice) for tag, choice in form["of"].items()}

        def canonical(value: Any) -> str:
            tag = value.get(by) if isinstance(value, dict) else None
            return choices.get(tag, _anything)(value) if isinstance(tag, str) else _anything(value)

        return canonical

    def object_of(self, form: Form) -> Canonizer:
        without = {**form, "fields": [{name: value for name, value in field.items() if name != "d"} for field in form["fields"]]}
        if self._is_exact(without):
            return self._exact_object(form)
        fields = {}
        for field in form["fields"]:
            make = self.make(field["f"])
            fields[field.get("s") or field["n"]] = (make, _default_text(make, field["d"]) if "d" in field else None)
        extra = form.get("extra")
        further = self.make(extra) if isinstance(extra, dict) else _anything

        def canonical(value: Any) -> str:
            found = []
            for name, part in value.items():
                make, default = fields.get(name, (further, None))
                text = make(part)
                if text != default:
                    found.append((name, text))
            found.sort()
            return _object(found)

        return canonical

    def _exact_object(self, form: Form) -> Canonizer:
        """Of an object whose fields are exact: what is equal to a default is so in JSON already."""
        defaults = {field.get("s") or field["n"]: field["d"] for field in form["fields"] if "d" in field}

        def canonical(value: Any) -> str:
            return _encoded({name: part for name, part in value.items() if name not in defaults or part != defaults[name]})

        return canonical

    def defs(self, form: Form) -> Canonizer:
        return self.make(form["f"])

    def ref(self, form: Form) -> Canonizer:
        name = form["to"]

        def canonical(value: Any) -> str:
            if name not in self._made:
                self._made[name] = self.make(self._defs[name])
            return self._made[name](value)

        return canonical


def _default_text(make: Canonizer, default: Any) -> str:
    """The text of a default, which need not be of its field's form: `at: datetime = None`."""
    try:
        return make(default)
    except (ArithmeticError, AttributeError, TypeError, ValueError):
        return _anything(default)


def _object(items: list[tuple[str, str]]) -> str:
    return f"{{{','.join([f'{_text(name)}:{text}' for name, text in items])}}}"


def _key_kind(form: Form) -> str:
    """The kind of a dictionary's keys. They are texts in JSON."""
    return str(form["k"]) if form["k"] in _SCALARS else "str"


_SCALARS: dict[str, Callable[[Any], Any]] = {"decimal": decimal_text, "datetime": instant_text, "time": time_text, "float": float_of}
"""The spellings of `runner.limits`, for values and for the keys of objects."""
_ALL_TYPES: frozenset[Any] = frozenset({str, int, float, bool, type(None), list, dict})
_JSON_TYPES: dict[str, frozenset[Any]] = {
    **{kind: frozenset({str}) for kind in ("str", "bytes", "uuid", "date", "time", "datetime", "timedelta", "decimal")},
    **{kind: frozenset({list}) for kind in ("list", "set", "frozenset", "tuple")},
    **{kind: frozenset({dict}) for kind in ("dict", "object", "tagged")},
    "int": frozenset({int}),
    "float": frozenset({int, float}),
    "bool": frozenset({bool}),
    "none": frozenset({type(None)}),
}
_MAKERS: dict[str, Callable[[_Maker, Form], Canonizer]] = {
    **dict.fromkeys(("decimal", "datetime", "time", "float"), _Maker.scalar),
    **dict.fromkeys(("any", "enum", "int", "str", "bool", "none", "bytes", "uuid", "date", "timedelta", "literal"), _Maker.anything),
    **dict.fromkeys(("set", "frozenset"), _Maker.set_of),
    "list": _Maker.list_of,
    "tuple": _Maker.tuple_of,
    "dict": _Maker.dict_of,
    "nullable": _Maker.nullable,
    "union": _Maker.union,
    "tagged": _Maker.tagged,
    "object": _Maker.object_of,
    "root": _Maker.inner,
    "defs": _Maker.defs,
    "ref": _Maker.ref,
}
