"""Arrival: whether what was read again is what was written: equal, and of the same class where a class has a meaning of its own."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import BaseModel
from pydantic.types import Secret, SecretBytes, SecretStr

from runner.foreign import asked
from runner.jobs.faults import short

_ATOMS = frozenset({str, int, bool, type(None), bytes, date, timedelta, Decimal, UUID})
_NOTHING: Any = type("Nothing", (), {"__repr__": lambda _: "nothing"})()


class Difference(NamedTuple):
    """The first place where what arrives is not what was sent. `is_hidden`: the value is not to be shown."""

    path: tuple[object, ...]
    sent: Any
    arrived: Any
    is_hidden: bool = False

    def __str__(self) -> str:
        place = "".join(f"{part}: " for part in [".".join(map(str, self.path))] if part)
        sent = f"a {type(self.sent).__name__} that is not shown" if self.is_hidden else short(self.sent)
        return f"{place}{sent} would arrive as {short(self.arrived)}: {self._remedy()}"

    def within(self, part: object) -> "Difference":
        """The same, seen from what it is a part of."""
        return self._replace(path=(part, *self.path))

    def _remedy(self) -> str:
        if isinstance(self.sent, (SecretStr, SecretBytes, Secret)):
            return "pass the name of the secret, not the secret"
        if isinstance(self.sent, float) and self.arrived is None:
            return "JSON does not have it; send it as text, or None"
        if self.is_hidden or self.arrived is _NOTHING:
            return "its model does not write it; write what the handler needs"
        return "annotate the class that is sent, or send what JSON has"


def difference(sent: Any, arrived: Any) -> Difference | None:
    """The first difference, or None if there is none. Private attributes of a model are not sent, and not compared."""
    kind = type(sent)
    if kind is type(arrived):
        if kind in _ATOMS:
            return None if sent == arrived else Difference((), sent, arrived)
        compare = _COMPARED.get(kind)
        if compare is not None:
            return compare(sent, arrived)
    return _of_objects(sent, arrived)


def _of_dicts(sent: dict[Any, Any], arrived: dict[Any, Any]) -> Difference | None:
    if len(sent) != len(arrived):
        return Difference((), sent, arrived)
    for (key, value), (key_there, there) in zip(sent.items(), arrived.items(), strict=True):
        if key != key_there or (type(key) is not str and difference(key, key_there) is not None):
            return Difference((), sent, arrived)
        kind = type(value)
        if kind in _ATOMS and kind is type(there) and value == there:  # most are, and need no call
            continue
        if (found := difference(value, there)) is not None:
            return found.within(key)
    return None


def _of_sequences(sent: Sequence[Any], arrived: Sequence[Any]) -> Difference | None:
    if len(sent) != len(arrived):
        return Difference((), sent, arrived)
    for index, (item, there) in enumerate(zip(sent, arrived, strict=True)):
        kind = type(item)
        if kind in _ATOMS and kind is type(there) and item == there:
            continue
        if (found := difference(item, there)) is not None:
            return found.within(index)
    return None


def _of_sets(sent: set[Any] | frozenset[Any], arrived: set[Any] | frozenset[Any]) -> Difference | None:
    """In a set equal things are one, so that the classes of all its members tell the rest."""
    are_alike = sent == arrived and {type(item) for item in sent} == {type(item) for item in arrived}
    return None if are_alike else Difference((), sent, arrived)


def _of_floats(sent: float, arrived: float) -> Difference | None:
    return None if sent == arrived or sent != sent != arrived != arrived else Difference((), sent, arrived)  # noqa: PLR0124 - NaN is unequal to itself


def _of_datetimes(sent: datetime, arrived: datetime) -> Difference | None:
    """Of one instant. Two datetimes of an hour that the clock shows twice are never equal if their zones differ."""
    if sent == arrived or (sent.tzinfo and arrived.tzinfo and sent.astimezone(UTC) == arrived.astimezone(UTC)):
        return None
    return Difference((), sent, arrived)


_COMPARED: dict[type, Callable[[Any, Any], Difference | None]] = {
    dict: _of_dicts,
    list: _of_sequences,
    tuple: _of_sequences,
    deque: _of_sequences,
    set: _of_sets,
    frozenset: _of_sets,
    float: _of_floats,
    datetime: _of_datetimes,
}


def _of_objects(sent: Any, arrived: Any) -> Difference | None:
    """Of everything else: objects of classes, and values of different classes."""
    kind: Any = type(sent)
    is_of_its_kind = kind is type(arrived)
    if (names := _fields(kind)) is not None:
        return _of_fields(sent, arrived, names) if is_of_its_kind else Difference((), sent, arrived)
    if isinstance(sent, Enum) or isinstance(arrived, Enum):
        return None if is_of_its_kind and sent == arrived else Difference((), sent, arrived)
    if is_of_its_kind and isinstance(sent, tuple):
        return _of_sequences(sent, arrived)
    if is_of_its_kind and kind.__eq__ is object.__eq__:
        return _of_fields(sent, arrived, dict.fromkeys(_attributes(sent), False))
    return None if _say_equal(sent, arrived) else Difference((), sent, arrived)


@cache
def _fields(kind: Any) -> dict[str, bool] | None:
    """The fields of a model or a dataclass, and whether they are hidden; None for another class."""
    if issubclass(kind, BaseModel):
        return {name: field.exclude is True or not field.repr for name, field in kind.model_fields.items()} | {"__pydantic_extra__": False}
    return {field.name: not field.repr for field in fields(kind)} if is_dataclass(kind) else None


def _of_fields(sent: Any, arrived: Any, names: Mapping[str, bool]) -> Difference | None:
    for name, is_hidden in names.items():
        value, there = getattr(sent, name, _NOTHING), getattr(arrived, name, _NOTHING)
        kind = type(value)
        if kind in _ATOMS and kind is type(there) and value == there:
            continue
        found = difference(value, there)
        if found is not None:
            found = found._replace(is_hidden=found.is_hidden or is_hidden)
            return found if name == "__pydantic_extra__" else found.within(name)
    return None


def _attributes(sent: Any) -> list[str]:
    slots = (name for kind in type(sent).__mro__ for name in getattr(kind, "__slots__", ()))
    return [*slots, *getattr(sent, "__dict__", ())]


def _say_equal(sent: Any, arrived: Any) -> bool:
    """Whether they say so themselves. An array says it for each of its elements."""

    def answer() -> bool:
        equal = sent == arrived
        return bool(equal.all().all() if hasattr(equal, "all") else equal)

    return asked(answer, lambda _: False)
