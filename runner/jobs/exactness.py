"""Exactness, decided at the declaration: a type whose values all come back equal from JSON, so that none of them has to be checked.

It walks the core schema that pydantic makes of a type. What the walk does not know is not exact.
"""

from collections.abc import Mapping
from enum import Flag
from math import isfinite
from typing import Any

Node = Mapping[str, Any]

_BOUNDS = frozenset({"multiple_of", "le", "ge", "lt", "gt"})
_LENGTHS = frozenset({"min_length", "max_length"})
_ITEMS = _LENGTHS | {"items_schema", "fail_fast"}
# The options of each kind that leave it exact. Text that is made upper or lower is not: the length and the pattern were another's.
_SCALARS = {
    "none": frozenset[str](),
    "bool": frozenset({"strict"}),
    "int": _BOUNDS | {"strict"},
    "float": _BOUNDS | {"strict"},
    "decimal": _BOUNDS | {"max_digits", "decimal_places"},
    "str": _LENGTHS | {"strict", "pattern", "regex_engine", "strip_whitespace", "coerce_numbers_to_str"},
    "bytes": _LENGTHS,
    "date": _BOUNDS,
    "timedelta": _BOUNDS | {"microseconds_precision"},
    "uuid": frozenset({"version"}),
}
_OPTIONS = _SCALARS | {
    "literal": frozenset({"expected"}),
    "enum": frozenset({"cls", "members", "sub_type"}),
    "list": _ITEMS,
    "set": _ITEMS,
    "frozenset": _ITEMS,
    "tuple": _ITEMS | {"variadic_item_index"},
    "dict": _LENGTHS | {"keys_schema", "values_schema", "fail_fast"},
    "nullable": frozenset({"schema"}),
    "named-tuple": frozenset({"cls", "fields"}),
    "named-tuple-field": frozenset({"name", "schema"}),
    "typed-dict": frozenset({"fields", "cls", "cls_name", "config", "computed_fields", "extra_behavior", "total"}),
    "typed-dict-field": frozenset({"schema", "required"}),
    "definition-ref": frozenset({"schema_ref"}),
}
_ANYWHERE = frozenset({"type", "ref", "metadata"})
_WITHOUT_EFFECT = (("strict", False), ("allow_inf_nan", False))
_KEYS = frozenset({"str", "int", "float", "bool", "bytes", "date", "decimal", "uuid", "enum", "literal"})


class Exactness:
    """Of the types of one signature. `definitions` are the schemas that references name, `config` is what the whole is coded with."""

    def __init__(self, definitions: Mapping[str, Node], config: Node) -> None:
        self._definitions = definitions
        self._config = config
        self._looked_at: set[str] = set()

    def holds(self, node: Node) -> bool:
        """Whether each value of this schema comes back equal."""
        kind = node["type"]
        known = _ANYWHERE | _OPTIONS.get(kind, frozenset()) | {name for name, value in _WITHOUT_EFFECT if node.get(name) is value}
        if not node.keys() <= known:
            return False
        if kind in _SCALARS:
            return True
        match kind:
            case "literal":
                return _are_alike(node["expected"])
            case "enum":  # flags have values that no member has
                return not issubclass(node["cls"], Flag) and _are_alike([member.value for member in node["members"]])
            case "nullable" | "named-tuple-field" | "typed-dict-field":
                return self.holds(node["schema"])
            case "list" | "set" | "frozenset":
                return "items_schema" in node and self.holds(node["items_schema"])
            case "tuple" | "named-tuple":
                return all(map(self.holds, node["items_schema" if kind == "tuple" else "fields"]))
            case "dict":
                return self._holds_of_key(node.get("keys_schema")) and "values_schema" in node and self.holds(node["values_schema"])
            case "typed-dict":
                return self._holds_of_object(node)
            case "definition-ref":
                return self._holds_of_reference(node["schema_ref"])
        return False

    def _holds_of_key(self, node: Node | None) -> bool:
        while node is not None and node["type"] == "definition-ref":
            node = self._definitions.get(node["schema_ref"])
        return node is not None and node["type"] in _KEYS and self.holds(node)

    def _holds_of_object(self, node: Node) -> bool:
        config = {name: value for name, value in node.get("config", {}).items() if name != "title"}
        extra = node.get("extra_behavior", config.pop("extra_fields_behavior", None))
        if extra == "allow" or config != self._config or node.get("computed_fields"):
            return False
        return all(map(self.holds, node["fields"].values()))

    def _holds_of_reference(self, name: str) -> bool:
        if name in self._looked_at:  # it refers to itself: the rest of it decides
            return True
        self._looked_at.add(name)
        holds = name in self._definitions and self.holds(self._definitions[name])
        self._looked_at.discard(name)
        return holds


def _are_alike(values: list[Any]) -> bool:
    """Whether all are of one of these kinds: then no two of them are written alike."""
    kinds = {type(value) for value in values}
    return len(kinds) == 1 and kinds <= {str, int, float, bool} and (kinds != {float} or all(map(isfinite, values)))
