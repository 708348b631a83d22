"""One reading: what JSON can say is the same call by code as by name, or refused, whatever Python would make of it."""

import json
import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from runner.errors import InvalidArguments
from runner.jobs import Submission
from runner.jobs.coding import coding_of
from tests.named import named
from tests.unit.kinds_of_type import KINDS
from tests.unit.test_one_form import KEYED, doors_of, same_call


class Level(IntEnum):
    low = 1


class Text(StrEnum):
    one = "1"


class Mixed(Enum):
    number = 2
    text = "x"


class Priced(BaseModel):
    price: Decimal = Decimal(1)
    either: float | Decimal = 1.0


class Worded(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)
    word: str = "a"


class Raw(TypedDict):
    raw: bytes
    price: Decimal


@dataclass
class Chunk:
    raw: bytes
    left: "Chunk | None" = None


class Part(NamedTuple):
    number: int
    raw: bytes


class Half(float):
    """A number of a class of its own, as arrays have them."""


HINTS = [
    *(kind.hint for kind in KINDS.values() if not kind.opaque),
    *(int | str, float | int, Decimal | str, Decimal | int, float | Decimal, bytes | str, bytes | int, UUID | str, str | int | None),
    *(date | datetime, datetime | str, timedelta | int, time | str, bool | int, Level | str, list[int] | str, str | list[str]),
    *(dict[str, int] | list[int], list[Decimal], set[Decimal], dict[bytes, int], dict[Decimal, int], dict[str, Decimal], list[bytes]),
    *(Priced, Worded, Raw, Chunk, Part, Decimal | None, Annotated[str, Field(coerce_numbers_to_str=True)]),
]
JSON_VALUES = [
    *(0, 1, 7, -1, True, False, None, 0.0, -0.0, 1.0, 1.5, 0.1, 1e16, 1e22, 1e300, 5e-324, 2**53 + 1, 10**30, 1700000000123, 86400.5),
    *("", "0", "1", "1.0", " 1 ", "1_000", "1e3", "true", "yes", "a", "A", "YWJj", "YW Jj", "_wA=", "é", "-0.0", "0.10", "nan"),
    *("1970-01-01", "2026-03-01", "2026-03-01T12:00:00Z", "12:00", "PT1S", "1 day", str(UUID(int=1)), UUID(int=1).hex),
    *([], [1], [1.0, 1], ["1"], ["YWJj"], [2, 1], [1, "YWJj"], {}, {"a": 1}, {"a": 1.0}, {"1.0": 1}, {"YWJj": 1}, {"price": 1.0}),
    *({"either": "1"}, {"word": 1.0}, {"raw": "YWJj", "price": 1.0}, {"raw": "YWJj", "left": {"raw": "YWJj"}}, {"number": 1, "price": 1.0}),
]
PYTHON_VALUES = [
    *(Decimal(1), Decimal("1.0"), Decimal("1E+3"), Decimal("-0"), Level.low, Text.one, Mixed.number, Half(1), Half(1.5)),
    *(date(2026, 3, 1), datetime(2026, 3, 1), time(12), timedelta(1), UUID(int=1), b"abc", b"YWJj", b"\xff", bytearray(b"abc")),  # noqa: DTZ001 - as it is
    *([b"abc"], {b"abc": 1}, {1.0: 1}, [Decimal("1.0"), 1.0], {"a": Decimal(1)}, {"raw": b"abc", "price": 1}, (1, 2), {1, 2}),
]


def called(submit: Any, value: Any) -> Submission | None:
    try:
        return submit({"value": value})  # type: ignore[no-any-return] # both doors return a submission
    except InvalidArguments:
        return None


@pytest.mark.parametrize("hint", HINTS, ids=named)
def test_what_both_doors_take_is_one_call_in_one_bucket(hint: Any) -> None:
    plain, keyed = doors_of(hint), doors_of(hint, KEYED)
    for value in (*JSON_VALUES, *PYTHON_VALUES):
        by_code, by_name = called(plain.by_code, value), called(plain.by_name, value)
        if by_code is not None and by_name is not None:
            assert same_call(by_code, by_name), (value, by_code, by_name)
        one, other = called(keyed.by_code, value), called(keyed.by_name, value)
        assert one is None or other is None or one.limits == other.limits, value


@pytest.mark.parametrize(
    ("hint", "value", "message"),
    [
        (bytes, "YWJj", "value: 'YWJj' would arrive as b'abc' by name and over HTTP, but is b'YWJj' here: give the one that is meant"),
        (bytes, "a text", "value: 'a text' would be refused by name and over HTTP, but is b'a text' here: give that itself"),
        (list[bytes], ["YWJj"], "value.0: 'YWJj' would arrive as b'abc'"),
        (dict[bytes, int], {"YWJj": 1}, "value.YWJj.[key]: 'YWJj' would arrive as b'abc'"),
        (Raw, {"raw": "YWJj", "price": 1}, "value.raw: 'YWJj' would arrive as b'abc'"),
        (Chunk, {"raw": b"", "left": {"raw": "YWJj"}}, "value.left.raw: 'YWJj' would arrive as b'abc'"),
        (Part, (1, "YWJj"), "value.1: 'YWJj' would arrive as b'abc'"),
        (int | str, Decimal(1), "value: Decimal('1') would arrive as '1' by name and over HTTP, but is 1 here"),
        (datetime | str, date(2026, 3, 1), "value: datetime.date(2026, 3, 1) would arrive as '2026-03-01'"),
        (Annotated[str, Field(coerce_numbers_to_str=True)], 1.0, "value: 1.0 would arrive as '1' by name and over HTTP, but is '1.0' here"),
    ],
    ids=named,
)
def test_what_the_doors_would_read_differently_is_refused_by_code_with_both_readings(hint: Any, value: Any, message: str) -> None:
    with pytest.raises(InvalidArguments, match=f"^task 'work': {re.escape(message)}"):
        doors_of(hint).by_code({"value": value})


@pytest.mark.parametrize(
    ("hint", "value", "message"),
    [
        (dict[str, int], {b"abc": 1}, "value.b'abc': b'abc' would arrive as text in base64: decode it"),
        (str | list[str], [b"abc"], "value.0: b'abc' would arrive as text in base64: decode it"),
        (dict[str, int] | list[int], {b"abc": 1}, "value.b'abc': b'abc' would arrive as text in base64: decode it"),
    ],
    ids=named,
)
def test_bytes_for_a_text_are_refused_by_name_wherever_they_are(hint: Any, value: Any, message: str) -> None:
    with pytest.raises(InvalidArguments, match=f"^task 'work': {re.escape(message)}"):
        doors_of(hint).by_name({"value": value})


@pytest.mark.parametrize(
    ("hint", "value", "sent"),
    [
        (Decimal, 1.0, "1"),
        (Decimal | str, 1.0, "1"),
        (Decimal, Half(1), "1"),
        (Decimal, 1e22, "1" + 22 * "0"),
        (list[Decimal], [Decimal("1.0"), 1.0], ["1.0", "1"]),
        (Raw, {"raw": b"", "price": 1.0}, {"raw": "", "price": "1"}),
        (Priced, {"price": 1.0}, {"price": "1", "either": 1.0}),
    ],
    ids=named,
)
def test_a_decimal_made_of_a_float_is_sent_as_by_name(hint: Any, value: Any, sent: Any) -> None:
    assert json.loads(doors_of(hint).by_code({"value": value}).args) == {"value": sent}


def test_bytes_decimals_and_models_that_code_gives_stay_what_they_are() -> None:
    chunk = Chunk(b"\xff", Chunk(b"YWJj"))
    priced = Priced(price=Decimal("1.50"), either=Decimal(2))

    assert json.loads(doors_of(Chunk).by_code({"value": chunk}).args) == {
        "value": {"raw": "_w==", "left": {"raw": "WVdKag==", "left": None}}
    }
    assert json.loads(doors_of(Priced).by_code({"value": priced}).args) == {"value": {"price": "1.50", "either": "2"}}
    assert json.loads(doors_of(bytes).by_code({"value": bytearray(b"abc")}).args) == {"value": "YWJj"}


def test_a_handler_may_return_a_text_where_it_says_bytes() -> None:
    """A result has one door, which takes it as Python does."""
    assert coding_of(bytes).valid("four") == b"four"
