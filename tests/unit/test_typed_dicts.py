"""A TypedDict of `typing` is an argument and a result like one of typing_extensions, before Python 3.12 too."""

from datetime import date
from typing import Annotated, Any, Generic, NotRequired, Required, TypedDict, TypeVar

import pytest
from pydantic import ConfigDict, Field

from runner.errors import ConfigurationError, InvalidArguments
from runner.jobs import typed_dicts
from runner.jobs.arguments import Arguments
from runner.jobs.coding import coding_of

T = TypeVar("T")


class Inner(TypedDict, total=False):
    at: Required[date]
    raw: Annotated[bytes, Field(max_length=3)]


class Outer(Inner):
    """What is sent."""

    inner: list[Inner | None]
    note: NotRequired[str]


class Configured(TypedDict):
    __pydantic_config__ = ConfigDict(str_to_upper=True)  # type: ignore[misc] # as pydantic's documentation writes it
    name: str


class Own(TypedDict):
    own: "NotRequired[Own]"


class Of(TypedDict, Generic[T]):
    of: T


OUTER: Outer = {"at": date(2026, 1, 1), "inner": [{"at": date(2026, 1, 2), "raw": b"\xff"}, None]}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Outer, OUTER),
        (list[Outer], [OUTER]),
        (dict[str, tuple[Outer, ...]], {"a": (OUTER,)}),
        (Annotated[Outer | None, Field(description="optional")], None),
        (Inner | Outer | int, OUTER),
        (Configured, {"name": "A"}),
    ],
    ids=str,
)
def test_it_arrives_as_it_was_sent(kind: Any, value: Any) -> None:
    coding = coding_of(kind)

    assert coding.read(coding.write(coding.valid(value))) == value


def test_its_fields_are_required_and_checked_as_it_says() -> None:
    def pay(order: Outer) -> Outer:
        return order

    arguments = Arguments("pay", pay)

    assert arguments.schema["$defs"]["Outer"]["required"] == ["at", "inner"]
    assert arguments.encode(({"at": "2026-01-01", "inner": [], "note": "x"},), {})
    wrong_ones: list[Any] = [{"inner": []}, {"at": "2026-01-01", "inner": [], "more": 1}, {"at": "2026-01-01", "inner": [], "raw": "four"}]
    for wrong in wrong_ones:
        with pytest.raises(InvalidArguments, match=r"^task 'pay': order\.(at|more|raw): "):
            arguments.encode((wrong,), {})
    assert coding_of(Configured).valid({"name": "a"}) == {"name": "A"}


@pytest.mark.skipif(not typed_dicts._ARE_REFUSED, reason="pydantic takes them")
@pytest.mark.parametrize("kind", [Own, Of[int]], ids=str)
def test_one_that_cannot_be_rebuilt_is_refused_with_the_remedy(kind: Any) -> None:
    def pay(order) -> None: ...  # type: ignore[no-untyped-def] # noqa: ANN001 - its annotation follows

    pay.__annotations__["order"] = kind

    with pytest.raises(ConfigurationError, match=r"Please use `typing_extensions\.TypedDict` instead of `typing\.TypedDict`"):
        Arguments("pay", pay)
