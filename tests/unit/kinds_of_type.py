"""Kinds of argument for the tests of one form: the type, and groups of spellings that a handler gets as one value each."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NotRequired
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PositiveInt,
    RootModel,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

ONE = UUID("0f8fad5b-d9cb-469f-a165-70867728950e")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOKYO = timezone(timedelta(hours=9))


class Named(NamedTuple):
    """A spelling that exists in JSON only: by code the same value is something else."""

    value: Any


class Kind(NamedTuple):
    """`one`: groups of spellings of one value. `refused`: by both doors. `is_key`: it may name a bucket by name too. `opaque`: only the code
    knows its form, so that spellings may differ by name."""

    hint: Any
    one: Sequence[Sequence[Any]]
    refused: Sequence[Any] = ()
    is_key: bool = True
    opaque: bool = False


class Colour(Enum):
    red = "r"
    two = 2


class Level(IntEnum):
    low = 1
    high = 2


class Size(StrEnum):
    small = "s"
    large = "l"


class Point(NamedTuple):
    x: int
    y: Decimal


@dataclass
class Box:
    width: int
    tags: set[str] = field(default_factory=set)


class Options(TypedDict):
    depth: int
    note: NotRequired[str]


class Plain(BaseModel):
    number: int
    at: datetime | None = None
    price: Decimal = Decimal("1.50")


class Aliased(BaseModel):
    customer: UUID = Field(alias="customerId")
    note: str = Field(default="-", serialization_alias="remark", validation_alias="remark")


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
    first_name: str
    last_order: date = date(2026, 1, 1)


class Stripped(BaseModel):
    model_config = ConfigDict(str_strip_whitespace=True, str_to_lower=True, extra="forbid")
    email: str


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    number: int


class Tree(BaseModel):
    value: int
    children: list["Tree"] = []


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    price: Decimal


class Numbers(RootModel[set[int]]): ...


class Raw(BaseModel):
    data: bytes


class RawBase64(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    data: bytes


class Nested(BaseModel):
    boxes: list[Box]
    by_id: dict[UUID, Plain] = {}
    options: Options | None = None


class Upper(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def _upper(cls, name: str, _: ValidationInfo) -> str:
        return name.upper()


class Summed(BaseModel):
    left: int
    right: int

    @model_validator(mode="before")
    @classmethod
    def _both(cls, given: Any) -> Any:
        return {"left": given, "right": given} if isinstance(given, int) else given


LOWER = Annotated[str, StringConstraints(to_lower=True, strip_whitespace=True)]
KINDS: dict[str, Kind] = {
    "int": Kind(int, [[7, "7", 7.0, "007", Decimal(7), " 7 "], [0, -0.0, "0"], [2**70, str(2**70)], [-7]], ["7.5", 7.5, None, [7]]),
    "positive": Kind(PositiveInt, [[1, "1", True], [2]], [0, -1, "x"]),
    "bounded": Kind(Annotated[int, Field(ge=10, lt=20, multiple_of=5)], [[10, "10"], [15, 15.0]], [5, 20, 12]),
    "float": Kind(float, [[7, 7.0, "7", "7.0", "7e0", Decimal("7.00")], [0.0, -0.0, "-0"], [0.1, "0.1", ".1"], [1e22, "1e22"]], ["x"]),
    "bool": Kind(bool, [[True, "true", 1, "yes", "on", 1.0], [False, "false", 0, "off"]], ["maybe", 2]),
    "str": Kind(str, [["a"], ["A"], [""], [" a"], ["\u00e9"], ["e\u0301"], ['a\n"\\\x00\U0001f600']], [7, None, "\ud800"]),
    "folded": Kind(LOWER, [["acme", "ACME", " Acme ", "\tacme\n", "aCmE"], ["other"]], [7]),
    "pattern": Kind(Annotated[str, Field(pattern=r"^[a-z]+$", max_length=5)], [["abc"], ["x"]], ["ABC", "abcdef", ""]),
    "uuid": Kind(UUID, [[ONE, str(ONE), str(ONE).upper(), ONE.hex, f"{{{ONE}}}", f"urn:uuid:{ONE}", ONE.hex.upper()]], ["xyz", 7]),
    "date": Kind(date, [[date(2026, 3, 1), "2026-03-01", 1772323200, "1772323200", "2026-03-01T00:00:00"]], ["2026-02-30", "soon"]),
    "datetime": Kind(
        datetime,
        [
            [NOON, "2026-03-01T12:00:00Z", NOON.astimezone(TOKYO), "2026-03-01 21:00:00+09:00", "2026-03-01T12:00:00.000000+00:00"],
            [datetime(2026, 3, 1, 12), "2026-03-01T12:00:00", "2026-03-01 12:00"],  # noqa: DTZ001
            [NOON.replace(microsecond=10), "2026-03-01T12:00:00.00001Z"],
            [Named(1772366400), "2026-03-01T12:00:00Z"],
        ],
        ["tomorrow", "2026-13-01T00:00:00"],
    ),
    "time": Kind(
        time,
        [
            [time(12), "12:00", "12:00:00.000"],
            [time(12, tzinfo=UTC), "12:00Z", "21:00+09:00", 43200],
            [time(3, tzinfo=TOKYO), "03:00+09:00", "02:30+08:30"],
        ],
        ["25:00", "noon"],
    ),
    "timedelta": Kind(timedelta, [[timedelta(hours=1), 3600, "PT1H", "01:00:00", 3600.0], [timedelta(-1), "-P1D"]], ["long"]),
    "decimal": Kind(
        Decimal,
        [
            [Decimal(1), "1", "1.0", "1.00", 1, Named(1.0), "1e0", "10e-1", "+1"],
            [Decimal(100), "1E+2", "100.0", 100],
            [Decimal(0), "-0", "0.00", "0E+5"],
            ["1E-40", Decimal("0.1E-39")],
            ["-12.50", "-12.5"],
            ["1234567890123456789012345678901234567890", "1234567890123456789012345678901234567890.0"],
        ],
        ["NaN", "x", "Infinity"],
    ),
    "digits": Kind(Annotated[Decimal, Field(max_digits=4, decimal_places=2, gt=Decimal("0.1"))], [["1.5", "1.50"]], ["0.1", "1.234"]),
    "bytes": Kind(bytes, [[b"abc", Named("YWJj")], [b"\xff\xfe", Named("__4="), Named("//4=")], [b"", Named("")]], [7, Named("a")]),
    "enum": Kind(Colour, [[Colour.red, "r"], [Colour.two, 2]], ["x", "red", "2"]),
    "int enum": Kind(Level, [[Level.low, 1, "1", 1.0], [Level.high, 2]], [3, "low"]),
    "text enum": Kind(Size, [[Size.small, "s"], [Size.large, "l"]], ["S", "small"]),
    "literal": Kind(Literal["a", 1, True], [["a"], [1], [True]], ["A", "1", 2]),
    "none": Kind(None, [[None]], [0, "null"]),
    "optional": Kind(UUID | None, [[ONE, str(ONE).upper()], [None]], ["x"]),
    "list": Kind(list[int], [[[1, 2], ["1", 2.0], (1, 2)], [[2, 1]], [[]]], [1, ["x"]], is_key=False),
    "list of decimals": Kind(list[Decimal], [[["1.0", 2], ("1", "2.00")]], [["x"]], is_key=False),
    "set": Kind(set[int], [[{3, 1, 2}, [3, 2, 1], ["1", 2, 3, 3]], [{1}]], [1], is_key=False),
    "frozenset": Kind(frozenset[datetime], [[[NOON, "2026-03-02T00:00:00Z"], ["2026-03-02T09:00:00+09:00", NOON]]], is_key=False),
    "tuple": Kind(tuple[int, str], [[(1, "a"), ["1", "a"]], [(2, "a")]], [[1], [1, "a", 2]], is_key=False),
    "tuple of any length": Kind(tuple[UUID, ...], [[(ONE, ONE), [str(ONE).upper(), ONE.hex]], [()]], [["x"]], is_key=False),
    "named tuple": Kind(Point, [[Point(1, Decimal("1.0")), ["1", "1.00"], (1, 1)]], [[1], [1, 2, 3]], is_key=False),
    "dict": Kind(dict[str, int], [[{"b": 1, "a": "2"}, {"a": 2, "b": 1}], [{}], [{"a": 1}]], [[1], {"a": "x"}], is_key=False),
    "dict by uuid": Kind(dict[UUID, Decimal], [[{ONE: "1.0"}, {str(ONE).upper(): 1}, {ONE.hex: "1"}]], [{"x": 1}], is_key=False),
    "dict by instant": Kind(dict[datetime, int], [[{NOON: 1}, {"2026-03-01T21:00:00+09:00": 1}]], is_key=False),
    "dataclass": Kind(Box, [[Box(1), {"width": "1"}, {"width": 1, "tags": []}], [Box(1, {"b", "a"})]], [{}, 1], is_key=False),
    "typed dict": Kind(Options, [[{"depth": 1}, {"depth": "1"}], [{"note": "x", "depth": 1}]], [{}, {"depth": "x"}], is_key=False),
    "model": Kind(
        Plain,
        [
            [Plain(number=1), {"number": "1"}, {"price": "1.5", "number": 1, "at": None}],
            [{"number": 1, "at": "2026-03-01T21:00:00+09:00"}, Plain(number=1, at=NOON)],
        ],
        [{}, {"number": "x"}, 1],
        is_key=False,
    ),
    "aliases": Kind(
        Aliased,
        [[{"customerId": ONE}, {"customer": str(ONE).upper()}, {"remark": "-", "customerId": ONE.hex}, Aliased(customerId=ONE)]],
        [{"id": ONE}],
        is_key=False,
    ),
    "alias generator": Kind(Camel, [[{"firstName": "a"}, {"first_name": "a", "lastOrder": "2026-01-01"}]], [{}], is_key=False),
    "strip and extra": Kind(Stripped, [[{"email": " A@X "}, {"email": "a@x"}]], [{"email": "a", "x": 1}, {}], is_key=False),
    "further fields": Kind(
        Open, [[{"number": "1", "b": 2, "a": [1.0]}, {"a": [1.0], "number": 1, "b": 2}], [{"number": 1}]], [{}], is_key=False
    ),
    "recursive": Kind(
        Tree, [[{"value": "1", "children": [{"value": 2}]}, {"children": [{"children": [], "value": "2"}], "value": 1}]], [{}], is_key=False
    ),
    "tagged": Kind(
        Annotated[Cat | Dog, Field(discriminator="kind")],
        [[{"kind": "cat"}, {"lives": "9", "kind": "cat"}, Cat(kind="cat")], [{"kind": "dog", "price": "1.0"}, {"kind": "dog", "price": 1}]],
        [{"kind": "cow"}, {}],
        is_key=False,
    ),
    "root model": Kind(Numbers, [[{3, 1}, [1, "3"], Numbers({1, 3})]], ["x"], is_key=False),
    "bytes in a model": Kind(Raw, [[{"data": "abc"}, Raw(data=b"abc")]], [{}], is_key=False),
    "base64 in a model": Kind(RawBase64, [[RawBase64(data=b"abc"), Named({"data": "YWJj"})]], [{}], is_key=False),
    "nested": Kind(
        Nested,
        [
            [
                {"boxes": [{"width": "1", "tags": ["b", "a"]}], "by_id": {ONE.hex: {"number": 1}}},
                Nested(boxes=[Box(1, {"a", "b"})], by_id={ONE: Plain(number=1)}),
            ]
        ],
        [{"boxes": [1]}],
        is_key=False,
    ),
    "union": Kind(int | str, [[7], ["7"], ["a"]], [None, [1]], is_key=False),
    "union of shapes": Kind(
        set[int] | Decimal | Plain, [[{2, 1}, [1, 2]], ["1.0", "1", 1], [{"number": "1"}, Plain(number=1)]], is_key=False
    ),
    "any": Kind(
        Any, [[7], [7.0], ["7"], [{"b": 1, "a": 2}, {"a": 2, "b": 1}], [[1, -0.0], [1, 0.0]], [None], [2**53 + 1], [2**53]], [float("nan")]
    ),
    "object": Kind(object, [["a"], [1]]),
    "validator": Kind(Annotated[str, AfterValidator(str.upper)], [["A"]], [7], is_key=False, opaque=True),
    "validator before": Kind(Annotated[int, BeforeValidator(int)], [[7]], is_key=False, opaque=True),
    "serializer": Kind(Annotated[int, PlainSerializer(str)], [["7"]], ["x"], is_key=False, opaque=True),
    "model with validators": Kind(Upper, [[{"name": "A"}]], [{}, {"name": 1}], is_key=False, opaque=True),
    "model validator": Kind(Summed, [[{"left": 1, "right": 1}]], is_key=False, opaque=True),
    "path": Kind(Path, [["/tmp/x"]], is_key=False, opaque=True),
    "address": Kind(IPv4Address, [["10.0.0.1"]], is_key=False, opaque=True),
    "deque": Kind(deque[int], [[[1, 2]]], is_key=False, opaque=True),
}
