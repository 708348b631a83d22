"""By name too, what is sent is what arrives: values of Python that JSON would change are refused, and JSON itself is left alone."""

import re
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, computed_field

from runner.errors import InvalidArguments
from runner.jobs.arguments import Arguments
from runner.jobs.named_arguments import NamedArguments
from tests.named import named


class Colour(StrEnum):
    red = "r"


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int = Field(alias="no")

    @computed_field  # type: ignore[prop-decorator] # as pydantic's documentation writes it
    @property
    def double(self) -> int:
        return self.number * 2


class Keyed(BaseModel):
    key: SecretStr


class Excluded(BaseModel):
    number: int = Field(exclude=True, default=0)


@dataclass
class Point:
    x: float


class Pair(NamedTuple):
    left: int
    right: datetime


AT = datetime(2026, 1, 1, tzinfo=UTC)
ODD = datetime(2026, 1, 1, tzinfo=timezone(timedelta(seconds=30)))


def task(
    order: Order | None = None,
    point: Point | None = None,
    pair: Pair | None = None,
    at: datetime | None = None,
    amount: Decimal | None = None,
    who: UUID | None = None,
    colours: set[Colour] = set(),  # noqa: B006 - never changed
    text: str = "",
    numbers: tuple[int, ...] = (),
    moments: dict[str, list[datetime]] = {},  # noqa: B006 - never changed
    anything: Any = None,
    rows: list[dict[str, Any]] = [],  # noqa: B006 - never changed
) -> None: ...


CODE = Arguments("task", task)
NAMED = NamedArguments("task", CODE.form)


@pytest.mark.parametrize(
    "args",
    [
        {"order": Order(no=1), "point": Point(1.5), "pair": Pair(1, AT)},
        {"at": AT, "amount": Decimal("1.10"), "who": UUID(int=1), "colours": {Colour.red}},
        {"numbers": (1, 2), "moments": {"a": [AT]}, "rows": [{"a": [1, {"b": None}]}]},
        {"anything": {"a": [1, 2.5, None, "x"]}, "text": "a", "numbers": [1]},
        {"anything": [[], {}, [{"a": []}]]},
        {"anything": OrderedDict(a=1)},
    ],
    ids=named,
)
def test_a_call_by_name_is_the_call_by_code(args: dict[str, Any]) -> None:
    assert NAMED.encode(args) == CODE.encode((), args)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"text": SecretStr("sk-1")}, "text: a secret would arrive as '**********': pass the name of the secret, not the secret"),
        ({"anything": SecretStr("sk-1")}, "anything: SecretStr('**********') would arrive as '**********': pass the name of the secret"),
        ({"order": {"no": SecretStr("1")}}, "order.no: a secret would arrive as '**********'"),
        ({"order": Keyed(key=SecretStr("sk-1"))}, "order.key: a secret would arrive as '**********'"),
        ({"rows": [{"a": (1, 2)}]}, "rows.0.a: (1, 2) would arrive as [1, 2]"),
        ({"rows": [{"a": 1}, {"b": {1: 2}}]}, "rows.1.b: {1: 2} would arrive as {'1': 2}"),
        ({"anything": AT}, "anything: datetime.datetime(2026, 1, 1"),
        ({"anything": {"a": Colour.red}}, "anything.a: <Colour.red: 'r'> would arrive as 'r'"),
        ({"text": b"acme"}, "text: b'acme' would arrive as text in base64: decode it"),
        ({"text": bytearray(b"acme")}, "text: bytearray(b'acme') would arrive as text in base64: decode it"),
        ({"at": ODD}, "at: datetime.datetime(2026, 1, 1"),
        ({"moments": {"a": [AT, ODD]}}, "moments.a.1: datetime.datetime(2026, 1, 1"),
        ({"pair": Pair(1, ODD)}, "pair.1: datetime.datetime(2026, 1, 1"),
        ({"point": Excluded(number=1)}, "point.number: a int that is not shown would arrive as 0"),
        ({"anything": float("nan")}, "NaN cannot be sent as JSON"),
        ({"anything": object()}, "Unable to serialize unknown type"),
        ({"anything": [object()]}, "Unable to serialize unknown type"),
    ],
    ids=named,
)
def test_what_json_would_change_is_refused_with_its_place(args: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArguments, match=f"^task 'task': {re.escape(message)}"):
        NAMED.encode(args)


def test_what_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)

    with pytest.raises(InvalidArguments, match=r"^task 'task': .*Circular reference"):
        NAMED.encode({"anything": endless})
