"""Generators that make values for a call end as contexts of `contextlib.AsyncExitStack` do, whatever each of them does."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from types import TracebackType
from typing import Annotated, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.jobs.dependencies import Depends
from runner.jobs.handlers import handler_of
from runner.jobs.injection import Injection, Plan, call_in_thread_with, call_with
from runner.jobs.surroundings import Surroundings
from runner.jobs.unwinding import _after

ERRORS: list[type[BaseException]] = [
    *(ValueError, RuntimeError, StopAsyncIteration, asyncio.CancelledError, KeyboardInterrupt, GeneratorExit, TimeoutError)
]


class Other(Exception):
    """What a generator raises."""


class Made(NamedTuple):
    """What one generator does: at its set-up, when the call has returned, and when an error comes to it."""

    is_async: bool
    set_up: str
    at_end: str
    at_error: str


MADE = st.builds(
    Made,
    is_async=st.booleans(),
    set_up=st.sampled_from(["yield"] * 8 + ["raise", "return"]),
    at_end=st.sampled_from(["return", "return", "raise", "again"]),
    at_error=st.sampled_from(["again", "swallow", "replace", "replace from", "replace later", "pass on", "pass on", "wrapped"]),
)
HANDLED = st.sampled_from([None, None, *ERRORS])


def generator_of(made: Made, name: str, events: list[str]) -> Callable[[], Any]:
    """A generator function of either kind with the same body."""

    def plain() -> Generator[str]:
        events.append(f"{name} begins")
        if made.set_up == "raise":
            raise Other(name)
        if made.set_up == "return":
            return
        swallowed = False
        try:
            yield name
        except BaseException as error:
            events.append(f"{name} gets {type(error).__name__}")
            if made.at_error == "again":
                yield "again"
            elif made.at_error == "replace":
                raise Other(name)  # noqa: B904 - its context is looked at
            elif made.at_error == "replace from":
                raise Other(name) from error
            elif made.at_error == "wrapped":
                raise ExceptionGroup("several", [Other(name)]) from None
            elif made.at_error in ("swallow", "replace later"):
                swallowed = True
            else:
                raise
        else:
            events.append(f"{name} ends")
            if made.at_end == "raise":
                raise Other(name)
            if made.at_end == "again":
                yield "again"
        finally:
            events.append(f"{name} is over")
        if swallowed and made.at_error == "replace later":
            raise Other(name)

    async def asynchronous() -> AsyncGenerator[str]:
        inner = plain()
        try:
            value = next(inner)
        except StopIteration:
            return
        while True:
            try:
                await asyncio.sleep(0)
                yield value
            except GeneratorExit as error:
                # `aclose`, or an error of the call: both go on in the plain one.
                try:
                    value = inner.throw(error)
                except StopIteration:
                    return
            except BaseException as error:  # noqa: BLE001
                try:
                    value = inner.throw(error)
                except StopIteration:
                    return
            else:
                try:
                    value = next(inner)
                except StopIteration:
                    return

    return asynchronous if made.is_async else plain


class Keeps:
    """A context that swallows no error as long as the call has no result, which is the one difference."""

    def __init__(self, context: Any, has_result: Callable[[], bool]) -> None:
        self._context = context
        self._has_result = has_result

    async def __aenter__(self) -> Any:
        return await self._context.__aenter__() if hasattr(self._context, "__aenter__") else self._context.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        leave = getattr(self._context, "__aexit__", None) or self._context.__exit__
        swallowed = leave(kind, error, trace)
        return bool(await swallowed if inspect.isawaitable(swallowed) else swallowed) and self._has_result()


def handler_with(program: list[Made], raised: type[BaseException] | None, events: list[str]) -> Any:
    """A function that needs all of them, in their order."""

    async def handler(**values: str) -> str:
        events.append(f"runs with {sorted(values.values())}")
        if raised is not None:
            raise raised("handler")
        return "result"

    parameters = [
        inspect.Parameter(f"p{n}", inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[str, Depends(generator_of(made, f"g{n}", events))])
        for n, made in enumerate(program)
    ]
    handler.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    handler.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return handler


def seen(error: BaseException | None, depth: int = 6) -> Any:
    """An error as a caller sees it, with its causes. Contexts are left out: where an exit stack has none, ours has the error before."""
    if error is None or not depth:
        return None
    text = "" if type(error) is RuntimeError and "handler" not in str(error) else str(error)  # contextlib words it in another way
    return type(error).__name__, text, seen(error.__cause__, depth - 1)


def outcome(call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """What a coroutine comes to. It is driven by hand: no loop stands between it and its errors."""
    coroutine = call()
    try:
        while True:
            coroutine.send(None)
    except StopIteration as stop:
        return "returned", stop.value
    except BaseException as error:  # noqa: BLE001
        return "raised", seen(error)


@settings(max_examples=300)
@given(st.lists(MADE, max_size=4), HANDLED)
def test_generators_end_as_the_contexts_of_an_exit_stack(program: list[Made], raised: type[BaseException] | None) -> None:
    expected: list[str] = []

    async def by_exit_stack() -> Any:
        handler, has_result = handler_with(program, raised, expected), False
        async with AsyncExitStack() as stack:
            values = {}
            for n, made in enumerate(program):
                function = generator_of(made, f"g{n}", expected)
                context = asynccontextmanager(function)() if made.is_async else contextmanager(function)()
                values[f"p{n}"] = await stack.enter_async_context(Keeps(context, lambda: has_result))
            result = await handler(**values)
            has_result = True
        return result

    events: list[str] = []
    handler = handler_with(program, raised, events)
    plan = planned_of(handler)
    found = outcome(lambda: call_with(plan, [None] * plan.size, None, handler, {}, "job j"))
    assert (found, events) == (outcome(by_exit_stack), expected)


@settings(max_examples=150)
@given(st.lists(MADE.map(lambda made: made._replace(is_async=False)), max_size=4), HANDLED)
def test_a_thread_ends_them_as_the_loop_does(program: list[Made], raised: type[BaseException] | None) -> None:
    events: list[str] = []
    in_loop: list[str] = []

    async def in_thread() -> Any:
        def plain(**values: str) -> Any:
            return outcome_value(handler_with(program, raised, events)(**values))

        return call_in_thread_with(planned.all_inner, [None] * planned.size, plain, {}, "job j")

    planned = planned_of(handler_with(program, raised, events))
    found = outcome(in_thread)
    handler = handler_with(program, raised, in_loop)
    plan = planned_of(handler)
    assert (found, events) == (outcome(lambda: call_with(plan, [None] * plan.size, None, handler, {}, "job j")), in_loop)


def planned_of(handler: Any) -> Plan:
    return Injection(handler_of("t", handler), Surroundings()).plan


def outcome_value(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that awaits nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it awaits")


def test_a_swallowed_error_stays_and_the_dependency_is_named(caplog: pytest.LogCaptureFixture) -> None:
    events: list[str] = []
    program = [Made(True, "yield", "return", "pass on"), Made(False, "yield", "return", "swallow")]
    handler = handler_with(program, ValueError, events)
    plan = planned_of(handler)
    kind, error = outcome(lambda: call_with(plan, [None] * plan.size, None, handler, {}, "j-1"))
    assert kind == "raised"
    assert error[:2] == ("ValueError", "handler")
    assert events[-4:] == ["g1 gets ValueError", "g1 is over", "g0 gets ValueError", "g0 is over"]  # so an outer transaction rolls back
    assert "dependency generator_of.<locals>.plain of job j-1 swallowed ValueError: handler" in caplog.text


def test_the_result_stays_if_an_error_of_the_unwinding_is_swallowed() -> None:
    program = [Made(False, "yield", "return", "swallow"), Made(True, "yield", "raise", "pass on")]
    events: list[str] = []
    handler = handler_with(program, None, events)
    plan = planned_of(handler)
    assert outcome(lambda: call_with(plan, [None] * plan.size, None, handler, {}, "job j")) == ("returned", "result")
    assert "g0 gets Other" in events


def test_an_error_of_the_unwinding_shows_the_one_before() -> None:
    program = [Made(True, "yield", "return", "again"), Made(False, "yield", "return", "replace later")]
    handler = handler_with(program, ValueError, [])
    plan = planned_of(handler)
    with pytest.raises(RuntimeError, match="yields again after an error") as raised:
        asyncio.run(call_with(plan, [None] * plan.size, None, handler, {}, "job j"))
    assert isinstance(raised.value.__context__, Other)
    assert isinstance(raised.value.__context__.__context__, ValueError)


def test_an_error_of_the_unwinding_is_joined_to_a_chain_of_any_length() -> None:
    before: BaseException = ValueError("first")
    for number in range(20_000):
        error = ValueError(number)
        error.__context__, before = before, error
    after = KeyError("after")
    last = after
    for _ in range(20_000):
        last.__context__ = last = KeyError("before")

    assert _after(after, before) is after
    assert last.__context__ is before
    assert _after(after, before) is after  # which is joined already
    assert last.__context__ is before
