"""What is sent is what arrives: what would come back otherwise is refused with its place, at submission or when the task is declared."""

import re
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, IntFlag, StrEnum
from fractions import Fraction
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from pydantic import (
    AfterValidator,
    AliasChoices,
    AnyUrl,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    Json,
    PrivateAttr,
    RootModel,
    SecretBytes,
    SecretStr,
    StringConstraints,
    field_serializer,
)
from pydantic.types import Secret
from pydantic_core import CoreSchema, core_schema
from typing_extensions import TypedDict

from runner.errors import ConfigurationError, InvalidArguments, InvalidResult
from runner.jobs.arguments import Arguments
from tests.named import named


class Colour(StrEnum):
    red = "r"


class Level(IntEnum):
    low = 1


class Rights(IntFlag):
    read = 1
    write = 2


class Place(Enum):
    origin = (0, 0)


class Base(BaseModel):
    number: int


class Wider(Base):
    more: int = 0


class Excluded(BaseModel):
    number: int
    key: str = Field(default="", exclude=True)


class OneWay(BaseModel):
    at: datetime

    @field_serializer("at")
    def only_the_day(self, at: datetime) -> str:
        return f"{at:%Y-%m-%d}"


class WrittenOtherwise(BaseModel):
    number: int = Field(default=0, serialization_alias="no")


class Lax(BaseModel):
    """Equal to everything, in its own eyes."""

    number: int
    key: str = Field(default="", exclude=True)

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment] # it is not needed


class Infinite(BaseModel):
    number: float


class Revealed(BaseModel):
    key: SecretStr

    @field_serializer("key", when_used="json")
    def reveal(self, key: SecretStr) -> str:
        return key.get_secret_value()


class Written(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="strings")
    number: float


class Cached(BaseModel):
    number: int
    _seen: list[int] = PrivateAttr(default_factory=list)


class Extra(BaseModel):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Any] = Field(init=False)


class Tree(BaseModel):
    name: str
    inner: list["Tree"] = []


@dataclass
class Point:
    x: int
    y: int = 0


@dataclass
class Point3(Point):
    z: int = 0


@dataclass(eq=False)
class Unequal:
    x: int


@dataclass
class Computed:
    x: int
    double: list[int] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.double = [self.x, self.x]


class Money:
    """A type of a user: without `__eq__`, with slots, and with a schema of its own."""

    __slots__ = ("amount", "source")
    loses: ClassVar[bool] = False

    def __init__(self, amount: int, source: str = "") -> None:
        self.amount = amount
        self.source = source

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.read, serialization=core_schema.plain_serializer_function_ser_schema(lambda money: money.amount)
        )

    @classmethod
    def read(cls, value: Any) -> Self:
        return value if isinstance(value, cls) else cls(int(value))


class Either(int):
    """An instance is one choice, and what it is read from another."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        read = core_schema.no_info_after_validator_function(cls, core_schema.int_schema())
        return core_schema.union_schema([core_schema.is_instance_schema(cls), read])


class Answers(list[bool]):
    def all(self) -> "Answers":
        return Answers([all(iter(self))])

    def __bool__(self) -> bool:
        if len(self) != 1:
            raise ValueError("the truth of an array is ambiguous")
        return self[0]


class Array(Money):
    """It answers for each of its elements whether they are equal, as arrays do."""

    def __eq__(self, other: object) -> Any:
        return Answers([isinstance(other, Array) and other.amount == self.amount, isinstance(other, Array) and other.source == self.source])

    __hash__ = None  # type: ignore[assignment] # it is not needed


class Pair(NamedTuple):
    number: int
    raw: bytes = b""


class Hint(TypedDict):
    at: datetime


BERLIN = ZoneInfo("Europe/Berlin")
TWICE = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1)
"""An instant of the hour that the clock in Berlin shows twice."""


def unchecked(model: Any, **fields: Any) -> Any:
    return model.model_construct(**fields)


def taking(kind: Any) -> Arguments:
    def task(value): ...  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - its annotations follow

    task.__annotations__ = {"value": kind}
    return Arguments("task", task)


def returning(kind: Any) -> Arguments:
    def task(): ...  # type: ignore[no-untyped-def] # noqa: ANN202 - its annotation follows

    task.__annotations__ = {"return": kind}
    return Arguments("task", task)


CHANGED: list[tuple[Any, Any, str]] = [
    (Base, Wider(number=1, more=2), "value: Wider(number=1, more=2) would arrive as Base(number=1): annotate the class that is sent"),
    (list[Base], [Base(number=1), Wider(number=1)], "value.1: Wider(number=1, more=0) would arrive as Base(number=1)"),
    (Point, Point3(1, 2, 3), "value: Point3(x=1, y=2, z=3) would arrive as Point(x=1, y=2)"),
    (Excluded, Excluded(number=1, key="sk-123"), "value.key: a str that is not shown would arrive as '': its model does not write it"),
    (Lax, Lax(number=1, key="sk-123"), "value.key: a str that is not shown would arrive as ''"),
    (
        OneWay,
        OneWay(at=TWICE),
        "value.at: datetime.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=zon... would arrive as datetime.datetime(",
    ),
    (WrittenOtherwise, WrittenOtherwise(number=1), "value.number: 1 would arrive as 0"),
    (Infinite, Infinite(number=float("nan")), "could not be read again: value.number: Input should be a valid number (got None)"),
    (Revealed | None, unchecked(Revealed, key=Base(number=1)), "'Base' object has no attribute 'get_secret_value'"),
    (Base, unchecked(Base, number="x"), "could not be read again: value.number: Input should be a valid integer"),
    (Extra, Extra(at=TWICE), "value.at: datetime.datetime(2026, 10, 25, 2, 30"),
    (Any, (1, 2), "value: (1, 2) would arrive as [1, 2]"),
    (Any, {"rows": [{1: 2}]}, "value.rows.0: {1: 2} would arrive as {'1': 2}"),
    (Any, {1: 2, "1": 3}, "would arrive as {'1': 3}"),
    (Any, Colour.red, "value: <Colour.red: 'r'> would arrive as 'r'"),
    (Any, [Level.low], "value.0: <Level.low: 1> would arrive as 1"),
    (Any, b"abc", "value: b'abc' would arrive as 'YWJj'"),
    (Any, TWICE, "value: datetime.datetime(2026, 10, 25"),
    (Any, UUID(int=1), "value: UUID('00000000-0000-0000-0000-000000000001') would arrive as '00000000-"),
    (Any, Decimal("1.5"), "value: Decimal('1.5') would arrive as '1.5'"),
    (Any, {1}, "value: {1} would arrive as [1]"),
    (Any, Base(number=1), "value: Base(number=1) would arrive as {'number': 1}"),
    (Any, Lax(number=1), "value: Lax(number=1, key='') would arrive as {'number': 1}"),
    (Any, Point(1), "value: Point(x=1, y=0) would arrive as {'x': 1, 'y': 0}"),
    (Any, SecretStr("sk-123"), "value: SecretStr('**********') would arrive as '**********': pass the name of the secret, not the secret"),
    (Any, {"deep": [float("inf")]}, "value.deep.0: inf would arrive as None: JSON does not have it"),
    (Any, iter([1]), "would arrive as"),
    (object, (1,), "value: (1,) would arrive as [1]"),
    (dict, {1: 2}, "value: {1: 2} would arrive as {'1': 2}"),
    (
        datetime,
        datetime(1880, 1, 1, tzinfo=BERLIN),
        "value: datetime.datetime(1880, 1, 1, 0, 0, tzinfo=zoneinfo.ZoneI... would arrive as",
    ),
    (Hint, {"at": datetime(1880, 1, 1, tzinfo=BERLIN)}, "value.at: datetime.datetime(1880"),
    (time, time(1, tzinfo=timezone(timedelta(seconds=30))), "value: datetime.time(1, 0, tzinfo=datetime.timezone("),
    (dict[tuple[int, int], int], {(1, 2): 3}, "value."),
    (dict[int | None, int], {None: 3}, "could not be read again: value.None.[key]: Input should be a valid integer"),
    (Place, Place.origin, "could not be read again"),
    (Literal[b"x"], b"x", "could not be read again: value: "),
    (UUID | str, str(UUID(int=1)), "value: '00000000-0000-0000-0000-000000000001' would arrive as UUID("),
    (bytes | str, "YWJj", "value: 'YWJj' would arrive as b'abc'"),
    (Colour | str, Colour.red, "value: <Colour.red: 'r'> would arrive as 'r'"),
    (Money, Money(1, "gift"), "value.source: 'gift' would arrive as ''"),
    (Array, Array(1, "gift"), "would arrive as <tests.unit.test_arrival.Array"),
    (Annotated[str, StringConstraints(to_upper=True, max_length=1)], "ß", "could not be read again: value: String should have at most 1"),
    (Annotated[int, AfterValidator(lambda number: number + 1)], 1, "value: 2 would arrive as 3"),
    (int, 10**5_000, "could not be read again: Invalid JSON: number out of range"),
    (list[int], [10**5_000], "could not be read again: Invalid JSON: number out of range"),
    (Sequence[int], (1, 2), "value: (1, 2) would arrive as [1, 2]"),
    (Sequence[Any], [(1,)], "value.0: (1,) would arrive as [1]"),
]


@pytest.mark.parametrize(("kind", "value", "message"), CHANGED, ids=[named(kind) for kind, _, _ in CHANGED])
def test_what_would_arrive_changed_is_refused_with_its_place(kind: Any, value: Any, message: str) -> None:
    with pytest.raises(InvalidArguments, match=f"^task 'task': .*{re.escape(message)}"):
        taking(kind).encode((value,), {})
    message = re.sub(r"\bvalue(: |\.)", "", message)
    with pytest.raises(InvalidResult, match=f"^task 'task' returned .*{re.escape(message)}"):
        returning(kind).encode_result(value)


ARRIVING: list[tuple[Any, Any]] = [
    (Excluded, Excluded(number=1)),
    (Lax, Lax(number=1)),
    (Base, {"number": "1"}),
    (Base | Wider, Wider(number=1, more=2)),
    (Written, Written(number=float("inf"))),
    (Written, Written(number=float("nan"))),
    (Revealed, Revealed(key=SecretStr("sk-123"))),
    (Extra, Extra(a=1, b=[{}])),
    (Tree, Tree(name="a", inner=[Tree(name="b")])),
    (RootModel[dict[str, Base]], RootModel[dict[str, Base]]({"a": Base(number=1)})),
    (Json[list[int]], "[1]"),
    (Point3, Point3(1, 2, 3)),
    (Point | Base, Point(1)),
    (Unequal, Unequal(1)),
    (Computed, Computed(2)),
    (Money, Money(1)),
    (Either, Either(1)),
    (Array, Array(1)),
    (Pair, Pair(1, b"\xff")),
    (Hint, {"at": TWICE}),
    (datetime, TWICE),
    (datetime, TWICE.replace(fold=0)),
    (datetime, TWICE.astimezone(UTC)),
    (datetime, datetime(2026, 1, 1)),  # noqa: DTZ001 - one without a zone may be sent too
    (time, time(1, 2, 3, 4)),
    (Path, Path("/a/b")),
    (deque[int], deque([1, 2])),
    (Counter[str], Counter("aab")),
    (OrderedDict[str, int], OrderedDict(b=1, a=2)),
    (defaultdict[str, list[int]], defaultdict(list, a=[1])),
    (Fraction, Fraction(1, 3)),
    (complex, 1 + 2j),
    (IPv4Address, IPv4Address("127.0.0.1")),
    (ByteSize, 1_000),
    (AnyUrl, AnyUrl("https://example.org/a?b=c")),
    (Rights, Rights.read | Rights.write),
    (int | str, "1"),
    (int | float, 1.0),
    (Decimal | None, Decimal("1.10")),
    (Sequence[int], [1, 2]),
    (Any, {"a": [1, 2.5, None, True, "x", {"b": -0.0}]}),
    (Any, OrderedDict(b=1, a=2)),
    (int, 10**4_000),
    (list[int], [10**4_000] * 3),
]


@pytest.mark.parametrize(("kind", "value"), ARRIVING, ids=[named(kind) for kind, _ in ARRIVING])
def test_what_arrives_as_it_was_sent_is_accepted(kind: Any, value: Any) -> None:
    arguments = taking(kind)

    (arrived,) = arguments.decode(arguments.encode((value,), {})).values()

    assert type(arrived) is type(value) or kind in (Base, Sequence[int], ByteSize, Json[list[int]], Any)
    assert returning(kind).encode_result(value)


def test_what_a_model_keeps_beside_its_fields_is_not_sent() -> None:
    """Private attributes, and which fields were set: pydantic writes neither, and no model is refused for them."""
    seen = Cached(number=1)
    seen._seen.append(3)

    (arrived,) = taking(Cached).decode(taking(Cached).encode((seen,), {})).values()

    assert arrived == Cached(number=1)


def test_the_first_difference_of_several_arguments_is_named() -> None:
    def pay(order: str, details: Any, model: Base, *, at: datetime | None = None) -> None: ...

    arguments = Arguments("pay", pay)

    assert arguments.encode(("o", {"a": 1}, Base(number=1)), {"at": TWICE})
    with pytest.raises(
        InvalidArguments, match=r"^task 'pay': details\.a: \(1,\) would arrive as \[1\]: annotate the class that is sent, or send"
    ):
        arguments.encode(("o", {"a": (1,)}, Wider(number=1)), {"at": TWICE})
    with pytest.raises(InvalidArguments, match=r"^task 'pay': model: Wider\("):
        arguments.encode(("o", None, Wider(number=1)), {})


# Refused at the declaration


class Keyed(BaseModel):
    name: str
    key: SecretStr


class Nested(BaseModel):
    many: dict[str, list[Keyed]]


class Lost(BaseModel):
    key: str = Field(exclude=True)


class Otherwise(BaseModel):
    number: int = Field(serialization_alias="no")


class Several(BaseModel):
    number: int = Field(validation_alias=AliasChoices("no", "nr"), serialization_alias="nr")


class Arbitrary(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    thing: re.Match[str]


@dataclass
class Initial:
    x: int
    seed: InitVar[int]


SECRET = "a secret would arrive as '**********': pass the name of the secret, not the secret"
NEVER: list[tuple[Any, str]] = [
    (SecretStr, f"value: {SECRET}"),
    (SecretBytes | None, f"value: {SECRET}"),
    (Secret[date], f"value: {SECRET}"),
    (Keyed, f"value.key: {SECRET}"),
    (Nested, f"value.many.key: {SECRET}"),
    (tuple[int, SecretStr], f"value: {SECRET}"),
    (Sequence[SecretStr], f"value: {SECRET}"),
    (Lost, "value.key: exclude=True keeps it from being sent, and it has no default to arrive with"),
    (list[Otherwise], "value.number: it is written as 'no' and not read by that name: give it one `alias` for both"),
    (Initial, "value.seed: an InitVar is not kept by its class, so that it cannot be sent"),
    (Callable[[], int], "value: a callable cannot be sent: send the name of what is to be called"),
    (dict[str, Callable[..., Any]] | None, "value: a callable cannot be sent: send the name of what is to be called"),
    (Arbitrary, "value.thing: nothing says how its class is read from JSON: give it `__get_pydantic_core_schema__`, or send what JSON has"),
    (type[Base], "value: a class cannot be sent: send its name"),
    (Iterable[int], "value: an iterator could be read once only: use list[...] or Sequence[...]"),
]


@pytest.mark.parametrize(("kind", "message"), NEVER, ids=[named(kind) for kind, _ in NEVER])
def test_what_can_never_arrive_is_refused_when_it_is_declared(kind: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^task 'task': {re.escape(message)}$"):
        taking(kind)
    with pytest.raises(ConfigurationError, match=f"^task 'task': {re.escape('its result' + message.removeprefix('value'))}$"):
        returning(kind)


@pytest.mark.parametrize("kind", [Revealed, Several, Computed, Excluded, WrittenOtherwise, Tree], ids=str)
def test_what_may_arrive_can_be_declared(kind: Any) -> None:
    assert isinstance(taking(kind), Arguments)
    assert isinstance(returning(kind), Arguments)
