"""Exactness: whatever value a type has that is not checked at submission, it comes back equal from JSON."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, IntFlag, StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NotRequired
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, PlainSerializer, StringConstraints
from typing_extensions import TypedDict

from runner.jobs.arrival import difference
from runner.jobs.coding import CONFIG, Coding, coding_of, parts_of
from runner.jobs.exactness import Exactness


class Colour(StrEnum):
    red = "r"
    blue = "b"


class Level(IntEnum):
    low = 1
    high = 2


class Share(Enum):
    half = 0.5
    all = 1.0


class Switch(Enum):
    on = True
    off = False


class Mixed(Enum):
    one = 1
    text = "1"


class Endless(Enum):
    infinity = float("inf")
    one = 1.0


class Rights(IntFlag):
    read = 1
    write = 2


class Pair(NamedTuple):
    number: int
    raw: bytes


class Defaulted(NamedTuple):
    number: int = 1


class Options(TypedDict):
    at: date
    colours: NotRequired[list[Colour]]


class Open(TypedDict):
    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc] # as pydantic's documentation writes it
    name: str


class Model(BaseModel):
    number: int


class Tree(TypedDict):
    inner: "list[Tree]"


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False)
# The alphabet of what strips, folds, escapes and ends lines.
TEXT = st.text() | st.text(st.sampled_from(" \t\n\r\x1c\x85\xa0\u2028\u3000\ufeffaß'\"\\/\0\x7fé\u0301🙂"))
EXACT: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (str, TEXT),
    (int, st.integers()),
    (bool, st.booleans()),
    (None, st.none()),
    (float, FLOATS),
    (FiniteFloat, FLOATS),
    (date, st.dates()),
    (timedelta, st.timedeltas()),
    (Decimal, DECIMALS),
    (UUID, st.uuids()),
    (bytes, st.binary()),
    (Colour, st.sampled_from(Colour)),
    (Level, st.sampled_from(Level)),
    (Share, st.sampled_from(Share)),
    (Switch, st.sampled_from(Switch)),
    (Literal["a", "b"], st.sampled_from(["a", "b"])),
    (Literal[1, 2], st.sampled_from([1, 2])),
    (list[Decimal], st.lists(DECIMALS)),
    (tuple[int, str], st.tuples(st.integers(), TEXT)),
    (tuple[float, ...], st.lists(FLOATS).map(tuple)),
    (set[UUID], st.sets(st.uuids())),
    (frozenset[bytes], st.frozensets(st.binary())),
    (Pair, st.builds(Pair, st.integers(), st.binary())),
    (Options, st.fixed_dictionaries({"at": st.dates()}, optional={"colours": st.lists(st.sampled_from(Colour))})),
    (Tree, st.recursive(st.just({"inner": []}), lambda inner: st.fixed_dictionaries({"inner": st.lists(inner)}))),
    (bytes | None, st.none() | st.binary()),
    (list[list[date | None]], st.lists(st.lists(st.none() | st.dates()))),
    *(
        (dict[keys, int], st.dictionaries(strategy, st.integers()))  # type: ignore[valid-type] # made of the table
        for keys, strategy in [
            *((str, TEXT), (int, st.integers()), (float, FLOATS), (bool, st.booleans()), (bytes, st.binary()), (date, st.dates())),
            *((Decimal, DECIMALS), (UUID, st.uuids()), (Colour, st.sampled_from(Colour)), (Level, st.sampled_from(Level))),
        ]
    ),
    (Annotated[int, Field(ge=-5, lt=10, multiple_of=2)], st.sampled_from(range(-4, 10, 2))),
    (Annotated[float, Field(gt=0, multiple_of=0.1)], st.sampled_from([0.1, 0.2, 0.5])),
    (Annotated[Decimal, Field(max_digits=5, decimal_places=2)], st.decimals(-999, 999, places=2)),
    (Annotated[str, StringConstraints(strip_whitespace=True, max_length=3)], st.text(max_size=3).map(lambda text: f" \n{text}\t ")),
    (Annotated[str, StringConstraints(strip_whitespace=True, pattern="^a")], TEXT.map(lambda text: f" a{text}\n")),
    (Annotated[list[int], Field(min_length=1)], st.lists(st.integers(), min_size=1)),
    (Mapping[str, int], st.dictionaries(TEXT, st.integers())),
]
"""Each kind that is not checked, with all its values."""


def is_exact(coding: Coding) -> bool:
    schema, definitions = parts_of(coding.schema)
    return Exactness(definitions, CONFIG).holds(schema)


@pytest.mark.parametrize(("kind", "values"), EXACT, ids=[str(kind) for kind, _ in EXACT])
@settings(max_examples=50)
@given(data=st.data())
def test_each_value_of_an_exact_type_comes_back_equal(kind: Any, values: st.SearchStrategy[Any], data: st.DataObject) -> None:
    coding = coding_of(kind)
    assert is_exact(coding)
    valid = coding.valid(data.draw(values))

    assert difference(valid, coding.read(coding.write(valid))) is None


NOT_EXACT: list[Any] = [
    *(Any, object, list, dict, tuple, set, datetime, time, Model, complex, Path, deque[int], Counter[str], Sequence[int], Defaulted, Open),
    *(Mixed, Endless, Rights, Literal[1, True], Literal["a", 1], Literal[Colour.red], Literal[b"x"], int | str, Colour | str, Tree | int),
    *(list[datetime], dict[str, Any], dict[int | None, int], dict[tuple[int, int], int], dict[timedelta, int], Decimal | None | int),
    *(Annotated[float, Field(allow_inf_nan=True)], Annotated[str, StringConstraints(to_lower=True)]),
    *(Annotated[int, AfterValidator(abs)], Annotated[int, PlainSerializer(str)], Annotated[date, Field(strict=True)]),
]
"""Kinds of which some value comes back otherwise, or of which nobody can say: these are checked."""


@pytest.mark.parametrize("kind", NOT_EXACT, ids=str)
def test_what_is_not_known_to_be_exact_is_not(kind: Any) -> None:
    assert not is_exact(coding_of(kind))


def test_a_whole_number_may_be_too_long_to_be_read() -> None:
    coding, bounded = coding_of(list[int]), coding_of(list[Annotated[int, Field(ge=0, le=9)]])

    assert coding.sure_bytes == 4_300
    assert bounded.sure_bytes > 10**9
    for value in (10**4_297, -(10**4_296)):
        assert len(written := coding.write([value])) == coding.sure_bytes
        assert coding.read(written) == [value]
