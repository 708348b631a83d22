"""Arguments and results as JSON: checked against the signature, by name, with a message for each fault."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, StringConstraints

from runner.errors import ConfigurationError, InvalidArguments, InvalidResult
from runner.jobs.arguments import Arguments
from runner.jobs.named_arguments import NamedArguments
from runner.jobs.results import result_of


class Order(BaseModel):
    number: int
    tags: list[str] = []


@dataclass
class Point:
    x: float
    y: float


def pay(order_id: str, amount: int = 3, *, currency: str = "EUR") -> str:
    return f"{order_id} {amount} {currency}"


def rich(order: Order, at: datetime, kind: Literal["a", "b"], point: Point, who: UUID, price: Decimal, raw: bytes) -> Order:
    return order


PAY = Arguments("pay", pay)
RICH = Arguments("rich", rich)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (("o-1",), {}),
        ((), {"order_id": "o-1"}),
        (("o-1", 3), {"currency": "EUR"}),
        ((), {"currency": "EUR", "amount": 3, "order_id": "o-1"}),
    ],
)
def test_a_call_is_encoded_by_name_however_it_was_written(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    encoded = json.loads(PAY.encode(args, kwargs))

    assert encoded["order_id"] == "o-1"
    assert pay(**PAY.decode(json.dumps(encoded).encode())) == "o-1 3 EUR"


def test_the_same_arguments_in_another_order_are_the_same_job() -> None:
    one = PAY.encode((), {"order_id": "o", "amount": 1, "currency": "X"})

    assert PAY.encode(("o", 1), {"currency": "X"}) == PAY.encode((), {"currency": "X", "amount": 1, "order_id": "o"}) == one


def test_defaults_are_left_to_the_function_and_shown_in_the_schema() -> None:
    assert PAY.encode(("o-1",), {}) == b'{"order_id":"o-1"}'
    assert PAY.schema["properties"]["amount"] == {"default": 3, "title": "Amount", "type": "integer"}
    assert PAY.schema["required"] == ["order_id"]
    assert PAY.schema["additionalProperties"] is False


def test_rich_types_make_the_round() -> None:
    values: dict[str, Any] = {
        "order": Order(number=1, tags=["x"]),
        "at": datetime(2030, 1, 1, tzinfo=UTC),
        "kind": "a",
        "point": Point(1, 2.5),
        "who": UUID(int=7),
        "price": Decimal("1.10"),
        "raw": b"abc",
    }

    assert RICH.decode(RICH.encode((), values)) == values


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.floats(allow_nan=False, allow_infinity=False)),
        st.lists,
        max_leaves=20,
    )
)
def test_any_json_makes_the_round_through_an_untyped_parameter(value: Any) -> None:
    def anything(value) -> Any:  # type: ignore[no-untyped-def] # noqa: ANN001 - that is what is tested
        return value

    untyped = Arguments("anything", anything)

    assert untyped.decode(untyped.encode((value,), {})) == {"value": value}
    assert json.loads(untyped.encode_result(value)) == value


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "task 'pay': order_id: Field required (got {})"),
        ((7,), {}, "task 'pay': order_id: Input should be a valid string (got 7)"),
        (("o", "many"), {}, "task 'pay': amount: Input should be a valid integer, unable to parse string as an integer (got 'many')"),
        (("o",), {"colour": 1}, "task 'pay': colour: Extra inputs are not permitted (got 1)"),
        (("o",), {"order_id": "p"}, "task 'pay': argument 'order_id' given twice"),
        (("o", 3, "EUR"), {}, "task 'pay': 3 positional arguments for 2"),
        ((7, "x"), {"a": 1}, "task 'pay': order_id: Input should be a valid string (got 7); amount: Input should be a valid integer"),
        (("o", "y" * 100), {}, f"(got '{'y' * 56}...)"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_by_name(args: tuple[Any, ...], kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArguments) as refused:
        PAY.encode(args, kwargs)

    assert message in str(refused.value)


class Row(BaseModel):
    first: int
    second: int


def of_many(rows: list[Row] | None = None, by_name: dict[str, Row] | None = None) -> None: ...


MANY = Arguments("of_many", of_many)
BY_NAME = NamedArguments("of_many", MANY.form)
FAULTY: dict[str, tuple[dict[str, Any], str, str]] = {
    "a long list": ({"rows": [{}] * 50_000}, "rows.0.first: Field required", "rows.0.second: Field required (got {})"),
    "a large object": ({"by_name": {f"k{at}": {} for at in range(5_000)}}, "by_name.k0.first: Field required", "; and 9990 more"),
    "a large value": (
        {"rows": {"x": ["y" * 500_000] * 2}},
        "rows: Input should be a valid ",
        "(got {'x': ['yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy...)",
    ),
}


@pytest.mark.parametrize("refused_by", ["code", "name", "worker"])
@pytest.mark.parametrize("case", FAULTY)
def test_arguments_of_any_size_are_refused_by_their_first_faults(case: str, refused_by: str) -> None:
    args, first, last = FAULTY[case]
    refuse: dict[str, Callable[[], object]] = {
        "code": lambda: MANY.encode((), args),
        "name": lambda: BY_NAME.encode(args),
        "worker": lambda: MANY.decode(json.dumps(args).encode()),
    }
    with pytest.raises(InvalidArguments) as refused:
        refuse[refused_by]()

    told = str(refused.value)
    assert told.startswith(f"task 'of_many': {first}")
    assert told.endswith(last)
    assert len(told) < 1_000


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_lacks_are_refused_where_no_type_says_so(number: float) -> None:
    def untyped(value: Any, more: Any = None, *, rows: list[dict[str, Any]] | None = None) -> None: ...

    for args, named in (((number,), {}), ((1, [{"deep": number}]), {}), ((1,), {"rows": [{"x": number}]})):
        with pytest.raises(
            InvalidArguments,
            match=r"task 'untyped': .*: -?(nan|inf) would arrive as None: JSON does not have it; send it as text, or None$",
        ):
            Arguments("untyped", untyped).encode(args, named)
    assert Arguments("untyped", untyped).encode(("NaN", None), {}) == b'{"value":"NaN","more":null}'


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_does_not_have_are_refused(number: float) -> None:
    def measure(value: float, nested: dict[str, list[float]] | None = None) -> float:
        return value

    measured = Arguments("measure", measure)
    with pytest.raises(InvalidArguments, match="value: Input should be a finite number"):
        measured.encode((number,), {})
    with pytest.raises(InvalidArguments, match="Input should be a finite number"):
        measured.encode((1.0, {"a": [number]}), {})
    with pytest.raises(InvalidResult, match="Input should be a finite number"):
        measured.encode_result(number)
    with pytest.raises(InvalidArguments):
        measured.decode(f'{{"value": {json.dumps(number)}}}'.encode())


@pytest.mark.parametrize(
    "encoded", [b"", b"{", b"[]", b"null", b'"a"', b'{"order_id":1}', b'{"order_id":"a","x":1}', b"\xff", b"[" * 100_000]
)
def test_damaged_arguments_are_refused_at_the_run_too(encoded: bytes) -> None:
    with pytest.raises(InvalidArguments, match=r"^task 'pay': "):
        PAY.decode(encoded)


def test_what_a_validator_changed_is_what_is_stored() -> None:
    def send(to: Annotated[str, Field(max_length=3)], times: int) -> None: ...

    sent = Arguments("send", send)

    assert sent.encode(("abc", "7"), {}) == b'{"to":"abc","times":7}'
    with pytest.raises(InvalidArguments, match="to: String should have at most 3 characters"):
        sent.encode(("abcd", 1), {})


# Signatures


@pytest.mark.parametrize(
    "function", [lambda *args: args, lambda **kwargs: kwargs, lambda a, /: a], ids=["*args", "**kwargs", "positional-only"]
)
def test_a_parameter_without_a_name_on_the_wire_is_refused(function: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r"^task 'f': parameter '.*' has no name on the wire; use plain or keyword-only parameters$"
    ):
        Arguments("f", function)


def test_an_annotation_that_is_not_known_is_refused() -> None:
    def f(a: "Missing") -> None: ...  # type: ignore[name-defined] # noqa: F821 - that is what is tested

    with pytest.raises(ConfigurationError, match=r"^task 'f': its annotations cannot be sent as JSON: name 'Missing' is not defined$"):
        Arguments("f", f)


class Opaque: ...


def test_an_annotation_that_has_no_json_is_refused() -> None:
    def f(a: Opaque) -> None: ...

    def g() -> Opaque: ...  # type: ignore[empty-body] # never called

    for function, what in ((f, "its annotations"), (g, "its result")):
        with pytest.raises(ConfigurationError, match=rf"^task 'f': {what} cannot be sent as JSON: "):
            Arguments("f", function)


def test_a_default_that_has_no_json_is_refused() -> None:
    def f(a: Any = Opaque()) -> None: ...  # noqa: B008 - that is what is tested

    with pytest.raises(ConfigurationError, match=r"^task 'f': its annotations cannot be sent as JSON: "):
        Arguments("f", f)


class Broken:
    """A type whose code raises while it is built."""

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: object) -> Any:
        raise ZeroDivisionError("no")


class Indescribable:
    """One whose JSON schema cannot be made."""

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: object) -> Any:
        return {"type": "int"}

    @classmethod
    def __get_pydantic_json_schema__(cls, *_: object) -> Any:
        raise ZeroDivisionError("no")


def test_whatever_goes_wrong_while_a_type_is_built_is_an_error_of_its_declaration() -> None:
    circular: list[Any] = []
    circular.append(circular)

    def broken(a: Broken) -> None: ...

    def breaking() -> Broken: ...  # type: ignore[empty-body] # never called

    def indescribable(a: Indescribable) -> None: ...

    def endless(a: Any = circular) -> None: ...

    def unmatched(a: Annotated[str, StringConstraints(pattern="(")]) -> None: ...

    for function, why in (
        (broken, "its annotations cannot be sent as JSON: ZeroDivisionError: no"),
        (breaking, "its result cannot be sent as JSON: ZeroDivisionError: no"),
        (indescribable, "its annotations cannot be sent as JSON: ZeroDivisionError: no"),
        (endless, "its annotations cannot be sent as JSON: ValueError: Circular"),
        (unmatched, "its annotations cannot be sent as JSON: Error building"),
    ):
        with pytest.raises(ConfigurationError, match=f"^task 'f': {why}"):
            Arguments("f", function)
    with pytest.raises(ConfigurationError, match=r"^the job: its result cannot be sent as JSON: ZeroDivisionError: no"):
        result_of(Broken)


def test_a_function_without_parameters_takes_an_empty_object() -> None:
    def tick() -> None: ...

    ticking = Arguments("tick", tick)

    assert ticking.encode((), {}) == b"{}"
    assert ticking.decode(b"{}") == {}
    with pytest.raises(InvalidArguments, match="1 positional arguments for 0"):
        ticking.encode((1,), {})


# Results


def test_a_result_is_checked_against_its_annotation() -> None:
    assert RICH.encode_result(Order(number=1)) == b'{"number":1,"tags":[]}'
    assert RICH.encode_result({"number": 1}) == b'{"number":1,"tags":[]}'
    with pytest.raises(InvalidResult, match=r"^task 'rich' returned list, which does not fit its annotation or cannot be JSON: "):
        RICH.encode_result([1])


def test_no_result_is_one_only_where_the_annotation_allows_it() -> None:
    def nothing() -> None: ...

    def anything() -> Any: ...

    assert Arguments("nothing", nothing).encode_result(None) == Arguments("anything", anything).encode_result(None) == b"null"
    for arguments in (RICH, PAY):
        with pytest.raises(InvalidResult, match="returned NoneType, which does not fit its annotation"):
            arguments.encode_result(None)
    with pytest.raises(InvalidResult, match="returned int, which does not fit its annotation"):
        Arguments("nothing", nothing).encode_result(1)


@pytest.mark.parametrize("value", [Opaque(), lambda: 0, {1, 2, Opaque()}, "\ud800"], ids=["object", "function", "set", "surrogate"])
def test_a_result_that_cannot_be_json_is_refused(value: Any) -> None:
    def anything() -> Any: ...

    with pytest.raises(InvalidResult, match=r"^task 'anything' returned .*, which does not fit its annotation or cannot be JSON: "):
        Arguments("anything", anything).encode_result(value)


def test_a_result_without_an_annotation_is_any_json() -> None:
    def anything():  # type: ignore[no-untyped-def] # noqa: ANN202 - that is what is tested
        ...

    untyped = Arguments("anything", anything)

    assert untyped.encode_result({"a": [1, None, 2.5, "x"]}) == b'{"a":[1,null,2.5,"x"]}'
    for value in ({"a": datetime(2030, 1, 1, tzinfo=UTC)}, [float("nan")], (1, 2), {1: 2}):
        with pytest.raises(InvalidResult, match="returned what would arrive changed"):
            untyped.encode_result(value)
