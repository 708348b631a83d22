"""What is told of an error is bounded, whatever it is made of, and says what it leaves out."""

import asyncio
import logging
import sys
from types import FrameType

import pytest

from runner.foreign import MOST_ERRORS
from runner.plain_text import Escaping
from runner.traces import MOST_TRACE, stack_of, trace_of
from tests.worker import hostile_errors

MOST_ASKED = 60
"""How many errors of one trace are asked for their text at most."""


class Counted(Exception):
    """An error that counts how often it is asked for its text."""

    asked = 0

    def __str__(self) -> str:
        Counted.asked += 1
        return self.text()

    def text(self) -> str:
        return str(self.args[0])


class Huge(Counted):
    def text(self) -> str:
        return f"{self.args[0]} " + "line\n" * 20_000


class Unprintable(Counted):
    def text(self) -> str:
        raise SystemExit("no text")


KINDS = [Counted, Huge, Unprintable]


@pytest.fixture(autouse=True)
def _count_anew() -> None:
    Counted.asked = 0


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    """The error with a traceback of its own."""
    try:
        raise error from cause  # noqa: TRY301 - it is to be raised here
    except BaseException as caught:  # noqa: BLE001 - the kinds are all there are
        return caught


def chain(length: int, kind: type[Exception] = Counted) -> BaseException:
    """The last of so many errors, each raised from the one before."""
    last: BaseException | None = None
    for number in range(length):
        last = raised(kind(f"error {number}"), last)
    assert last is not None
    return last


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_chain_is_told_by_its_first_and_its_nearest_causes(kind: type[Exception]) -> None:
    trace = trace_of(chain(5_000, kind))

    assert len(trace) <= MOST_TRACE
    assert Counted.asked <= MOST_ASKED
    if kind is not Huge:
        assert "... 4993 errors, each of which led to the next, are left out here ..." in trace
    if kind is Counted:
        assert [number for number in (0, 1, 4_993, 4_994, 4_999) if f"Counted: error {number}\n" in f"{trace}\n"] == [0, 4_994, 4_999]
    if kind is Unprintable:
        assert trace.endswith("Unprintable: (no text: SystemExit)")


def test_a_chain_without_an_end_is_told_by_its_nearest_causes() -> None:
    trace = trace_of(chain(MOST_ERRORS + 1))

    assert trace.startswith("... what led to this is left out here ...\n\nTraceback")
    assert trace.endswith(f"Counted: error {MOST_ERRORS}")


def test_a_short_chain_is_told_as_python_tells_it() -> None:
    trace = trace_of(chain(7))

    assert "left out" not in trace
    assert trace.count("The above exception was the direct cause of the following exception:") == 6
    assert [trace.index(f"error {number}") for number in range(7)] == sorted(trace.index(f"error {number}") for number in range(7))


def test_what_was_handled_is_told_unless_the_error_hides_it() -> None:
    error = KeyError("after")
    error.__context__ = ValueError("before")

    assert "ValueError: before\n\nDuring handling of the above exception, another exception occurred:\n\nKeyError" in trace_of(error)
    error.__suppress_context__ = True
    assert trace_of(error) == "KeyError: 'after'"


@pytest.mark.parametrize("kind", KINDS)
def test_a_wide_group_of_wide_groups_is_told_by_a_few_members_of_each(kind: type[Exception]) -> None:
    wide = ExceptionGroup("wide", [chain(3, kind) for _ in range(300)])  # type: ignore[type-var]
    error = raised(ExceptionGroup("wider", [wide] * 300))

    trace = trace_of(error)

    assert len(trace) <= MOST_TRACE
    assert Counted.asked <= MOST_ASKED
    assert "... 295 of 300 members are left out here ..." in trace
    if kind is not Huge:
        assert "ExceptionGroup: wider (300 sub-exceptions)\n  ---- member 1 of 300 ----\n  ExceptionGroup: wide (300" in trace


def test_groups_in_groups_are_told_to_a_depth() -> None:
    error: Exception = ValueError("innermost")
    for _ in range(5_000):
        error = ExceptionGroup("outer", [error])

    trace = trace_of(error)

    assert trace.count("ExceptionGroup: outer") == 4
    assert trace.endswith("... 1 of 1 members are left out here ...")


def test_a_circle_of_causes_is_told_once() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first

    assert trace_of(first).count("second") == 1


def test_the_last_calls_of_many_are_told() -> None:
    def deep(left: int) -> None:
        if left:
            deep(left - 1)
        raise ValueError("at last")

    with pytest.raises(ValueError, match="at last") as caught:
        deep(300)

    trace = trace_of(caught.value)
    assert "  ... 282 calls before these are left out here ...\n" in trace
    assert 'raise ValueError("at last")' in trace


def test_notes_are_told_in_part() -> None:
    error = ValueError("noted")
    for number in range(10_000):
        error.add_note(f"note {number}\nof two lines {'x' * 5_000}")

    trace = trace_of(error)

    assert trace.startswith("ValueError: noted\nnote 0\nof two lines xxx")
    assert "note 4\n" in trace
    assert "note 5" not in trace
    assert trace.count(" ... (the rest is left out)") == 5
    assert trace.endswith("... 9995 of 10000 notes are left out here ...")


@pytest.mark.parametrize("number", range(len(hostile_errors.HOSTILE)))
def test_an_error_of_any_kind_is_told(number: int) -> None:
    trace = trace_of(raised(hostile_errors.HOSTILE[number]()))

    assert "raise error from cause" in trace
    assert len(trace) <= MOST_TRACE
    trace.encode()


def test_its_class_is_named_with_its_module() -> None:
    assert trace_of(asyncio.CancelledError()) == "asyncio.exceptions.CancelledError"
    assert trace_of(OSError(2, "no such file")) == "FileNotFoundError: [Errno 2] no such file"


def test_a_log_tells_as_much_of_an_error() -> None:
    error = chain(5_000)
    record = logging.LogRecord("x", logging.ERROR, "x", 1, "failed", None, (type(error), error, error.__traceback__))

    assert Escaping().filter(record)

    assert record.exc_text is not None
    assert "4993 errors" in record.exc_text
    assert Counted.asked <= MOST_ASKED


def test_the_last_calls_of_a_stack_are_told() -> None:
    def innermost() -> FrameType:
        return sys._getframe()

    def deep(left: int) -> FrameType:
        return innermost() if left == 0 else deep(left - 1)

    lines = stack_of(deep(300)).splitlines()

    assert lines[-1].strip() == "return sys._getframe()"
    assert len(lines) <= 2 * 60
