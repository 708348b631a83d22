"""What can be a task besides a function: run as what it returns, or refused when it is declared."""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Annotated, Any, NoReturn

import pytest
from pydantic import Field

from runner import AsyncTask, PlainTask, Runner
from runner.errors import ConfigurationError
from runner.jobs.handlers import handler_of


async def charge(order: str, amount: int = 1, *, currency: str = "EUR") -> str:
    """Charge an order.

    More of it.
    """
    return f"{order} {amount} {currency}"


def count(text: str) -> int:
    return len(text)


def plainly_wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def collected(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return list(function(*args, **kwargs))

    return wrapper


class Charges:
    async def charge(self, order: str) -> str:
        return order

    def count(self, order: str) -> int:
        return len(order)

    @staticmethod
    async def static(order: str) -> str:
        return order

    @classmethod
    async def made(cls, order: str) -> str:
        return order

    async def __call__(self, order: str) -> str:
        return order


class Counts:
    def __call__(self, text: str) -> int:
        return len(text)


def promised(order: str) -> Awaitable[str]:
    return charge(order)


def coroutine(order: str) -> Coroutine[Any, Any, str]:
    return charge(order)


async def failing() -> NoReturn:
    raise RuntimeError("always")


def numbers(most: int) -> Iterator[int]:
    yield from range(most)


def marked(order: str) -> Any:
    return charge(order)


if hasattr(asyncio.coroutines, "_is_coroutine"):
    marked._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined] # as asgiref's SyncToAsync does

RUN: list[tuple[str, Any, bool, list[str], Any]] = [
    ("charge", charge, True, ["order", "amount", "currency"], str),
    ("count", count, False, ["text"], int),
    ("charge", functools.partial(charge, currency="USD"), True, ["order", "amount"], str),
    ("charge", functools.partial(functools.partial(charge, "o-17"), currency="USD"), True, ["amount"], str),
    ("count", functools.partial(count, "abc"), False, [], int),
    ("charge", plainly_wrapped(charge), False, ["order", "amount", "currency"], str),
    ("count", functools.lru_cache(count), False, ["text"], int),
    ("charge", Charges().charge, True, ["order"], str),
    ("count", Charges().count, False, ["order"], int),
    ("made", Charges.made, True, ["order"], str),
    ("static", Charges.static, True, ["order"], str),
    ("static", vars(Charges)["static"], True, ["order"], str),
    ("Charges", Charges(), True, ["order"], str),
    ("Counts", Counts(), False, ["text"], int),
    ("Counts", functools.partial(Counts()), False, ["text"], int),
    ("promised", promised, True, ["order"], str),
    ("coroutine", coroutine, True, ["order"], str),
    ("failing", failing, True, [], type(None)),
    *([("marked", marked, True, ["order"], Any)] if hasattr(marked, "_is_coroutine") else []),
]


@pytest.mark.parametrize(
    ("name", "function", "is_async", "parameters", "result"), RUN, ids=[f"{at} {row[0]}" for at, row in enumerate(RUN)]
)
def test_a_callable_is_run_as_what_it_returns(name: str, function: Any, is_async: bool, parameters: list[str], result: Any) -> None:
    handler = handler_of(name, function)

    assert handler.is_async is is_async
    assert [parameter.name for parameter in handler.parameters()] == parameters
    assert handler.hints()["return"] in (result, None if result is type(None) else result)


def test_it_is_called_like_its_function_and_described_by_it() -> None:
    jobs = Runner("handlers")
    dollars = jobs.task(functools.partial(charge, currency="USD"))

    assert (dollars.name, dollars.definition.spec.description) == ("charge", "Charge an order.")
    assert jobs.task(name="method")(Charges().charge).name == "method"
    assert isinstance(dollars, AsyncTask)
    assert isinstance(jobs.task(count), PlainTask)


async def test_a_task_that_is_called_runs_its_function_here() -> None:
    jobs = Runner("handlers")
    task, plain = jobs.task(charge), jobs.task(count)

    assert await task("o", amount=2) == "o 2 EUR"
    assert await task.with_options(priority="high")("o") == "o 1 EUR"
    assert plain("abc") == 3
    assert asyncio.iscoroutinefunction(type(task).__call__)


def test_a_task_can_be_a_task_of_another_app_too() -> None:
    task = Runner("one").task(charge)
    again = Runner("two").task(task)

    assert (again.name, isinstance(again, AsyncTask)) == ("charge", True)
    assert again.prepare("o", currency="USD").args == b'{"order":"o","currency":"USD"}'


async def stream(order: str) -> AsyncIterator[str]:
    yield order


def streamed(order: str) -> AsyncIterator[str]:
    return stream(order)


class Generates:
    def __call__(self) -> Iterator[int]:
        yield 1


def defaulted(amount: int = Field(gt=0)) -> None: ...


ONE_RESULT = "a job has one result: return a list, or submit a job for each item"
REFUSED: list[tuple[Any, str]] = [
    (stream, f"stream is a generator, but {ONE_RESULT}"),
    (functools.partial(stream, "o"), f"stream is a generator, but {ONE_RESULT}"),
    (numbers, f"numbers is a generator, but {ONE_RESULT}"),
    (Generates(), f"an object of Generates is a generator, but {ONE_RESULT}"),
    (streamed, f"its result is a stream, but {ONE_RESULT}"),
    (collected(numbers), f"its result is a stream, but {ONE_RESULT}"),
    (Charges, "Charges is a class: register a function or a bound method"),
    (vars(Charges)["made"], "Charges.made is a classmethod: register a function or a bound method"),
    (Charges.count, "Charges.count is a method, and no job can give its 'self': register it bound, task(instance.method)"),
    (7, "an object of int is not callable: register a function or a bound method"),
    (max, "its parameters are not known: "),
    (defaulted, "parameter 'amount' would have pydantic's Field(...) itself as its default: write amount: Annotated[..., Field(...)], and"),
]


@pytest.mark.parametrize(("function", "message"), REFUSED, ids=[f"{at} {row[1][:30]}" for at, row in enumerate(REFUSED)])
def test_what_could_never_run_is_refused_when_it_is_declared(function: Any, message: str) -> None:
    jobs = Runner("handlers")

    with pytest.raises(ConfigurationError) as refused:
        jobs.task(name="work")(function)
    assert str(refused.value).startswith(f"task 'work': {message}")
    assert jobs.tasks == {}


def test_an_object_without_a_name_asks_for_one() -> None:
    with pytest.raises(ConfigurationError, match=r"^an object of Counts has no name: give the task one, task\(name=\.\.\.\)$"):
        Runner("handlers").task(Counts())


def test_what_an_annotation_says_of_an_argument_is_checked_behind_a_wrapper_too() -> None:
    def pay(amount: Annotated[int, Field(gt=0)] = 1) -> None: ...

    task = Runner("handlers").task(plainly_wrapped(pay))

    with pytest.raises(ValueError, match="amount: Input should be greater than 0"):
        task.prepare(0)
