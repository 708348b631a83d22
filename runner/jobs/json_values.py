"""JsonValues: what a value of Python has to be to be JSON already, with nothing in it that another class would have to write."""

from typing import Any

ATOMS = frozenset({str, int, float, bool, type(None)})


def is_json(value: Any) -> bool:
    """Whether a value is JSON as it is."""
    kind = type(value)
    if kind is list:
        return ATOMS.issuperset(map(type, value)) or all(map(is_json, value))
    if kind is dict:
        return {str}.issuperset(map(type, value)) and (ATOMS.issuperset(map(type, value.values())) or all(map(is_json, value.values())))
    return kind in ATOMS
