"""Code of other people is asked in one way: whatever it raises costs its answer, and never the process that asks."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from runner import ConfigurationError, Runner, TokenBucket
from runner.asgi import RateLimitMiddleware, Rule
from runner.foreign import shown
from runner.jobs.arrival import difference
from runner.jobs.faults import short
from runner.jobs.job import StartedJob
from runner.jobs.task_definition import TaskDefinition
from runner.limits import read
from runner.ranges import checked

ERRORS = (SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit, MemoryError, ValueError)


class Hostile:
    """Raises one error, whatever it is asked."""

    def __init__(self, error: type[BaseException]) -> None:
        self._error = error

    @property
    def headers(self) -> Any:
        raise self._error

    def __repr__(self) -> str:
        raise self._error

    def __eq__(self, _: object) -> bool:
        raise self._error

    def __hash__(self) -> int:
        raise self._error


def of_its_range(hostile: Hostile) -> str:
    with pytest.raises(ConfigurationError) as refused:
        checked("delay", hostile)
    return str(refused.value)


ASKED: dict[str, Callable[[Hostile], object]] = {
    "what a provider said": lambda hostile: read(hostile, 0).unreadable,
    "what headers hold": lambda hostile: read({"retry-after": hostile}, 0).unreadable,
    "a value that is refused": short,
    "a number out of its range": of_its_range,
    "a value that is compared": lambda hostile: difference(hostile, Hostile(ValueError)),
    "a value that is shown": lambda hostile: shown(hostile, 80),
}


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("question", ASKED)
def test_what_an_object_raises_costs_its_answer(question: str, error: type[BaseException]) -> None:
    assert "Hostile" in str(ASKED[question](Hostile(error)))


@pytest.mark.parametrize("error", ERRORS)
def test_a_validator_that_exits_costs_the_buckets_that_are_asked_for(error: type[BaseException]) -> None:
    class Number:
        @classmethod
        def __get_pydantic_core_schema__(cls, *_: object) -> Any:
            return {"type": "function-plain", "function": {"type": "no-info", "function": cls.fail}}

        @staticmethod
        def fail(_: object) -> None:
            raise error

    async def work(number: Number) -> None: ...

    task = TaskDefinition.of(work, {"limits": [TokenBucket("pay", rate="1/s")]})

    assert task.buckets(StartedJob(1, b"1-1", "j", "work", b'{"number":1}', 1, 0).args) == {}


@pytest.mark.parametrize("error", ERRORS)
def test_a_key_function_that_exits_leaves_the_address(error: type[BaseException], caplog: pytest.LogCaptureFixture) -> None:
    def exits(_: object) -> str:
        raise error

    rule = Rule(limit=TokenBucket("user", rate="1/s", key="{user}"), key=exits)
    middleware = RateLimitMiddleware(None, runner=Runner("shop", redis_url="redis://127.0.0.1:1"), rules=[rule])  # type: ignore[arg-type]

    (need,) = middleware._needs({"type": "http", "path": "/", "method": "GET", "client": ("10.0.0.7", 1), "headers": []}, [])

    assert "10.0.0.7" in need.bucket
    assert "the key function of limit 'user' failed" in caplog.text


@pytest.mark.parametrize(
    "value",
    [
        *([], {}, (), (1,), [[[]]] * 100, ["a" * 59, "b"], {"k" * 70: 1}, [[1] * 1_000] * 1_000, list(range(100)), [""] * 30),
        *("x" * 100, "x" * 61, "x" * 58, b"x" * 100, {1, 2}, 1.5, None, {"a": [1, 2, {"b": ("x" * 100, "y")}]}),
    ],
)
def test_a_value_is_shown_by_its_beginning(value: object) -> None:
    text = repr(value)
    assert shown(value, 60) == (text if len(text) <= 60 else f"{text[:57]}...")


def test_no_more_of_a_value_is_asked_than_is_shown() -> None:
    class Item:
        asked = 0

        def __repr__(self) -> str:
            Item.asked += 1
            return "item"

    circle: list[object] = []
    circle += [circle, [Item()] * 1_000, {number: Item() for number in range(1_000)}]

    assert shown(circle, 60).startswith("[[[[")
    assert shown([Item()] * 100_000, 60).startswith("[item, item, ")
    assert Item.asked <= 130
