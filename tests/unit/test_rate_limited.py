"""Where a `RateLimited` is found in what a handler raised, and in which order."""

import pytest

from runner.errors import RateLimited
from runner.limits import rate_limited_in


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def group(*errors: Exception) -> ExceptionGroup[Exception]:
    return ExceptionGroup("x", errors)


class Hostile(Exception):
    @property
    def __cause__(self) -> BaseException:  # type: ignore[override] # that is what is tested
        raise SystemExit


def circle() -> BaseException:
    error = RuntimeError("x")
    return caused(error, caused(ValueError("x"), error))


A, B, C = RateLimited("a"), RateLimited("b"), RateLimited("c")
WITH_A_CAUSE = RateLimited("d")
WITH_A_CAUSE.__cause__ = A


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (A, "a"),
        (ValueError("x"), ""),
        (group(ValueError("x"), A, B), "ab"),
        (group(group(group(A)), B), "ab"),
        (BaseExceptionGroup("x", [KeyboardInterrupt(), A]), "a"),
        (caused(ValueError("x"), A), "a"),
        (caused(ValueError("x"), caused(ValueError("y"), group(B, A))), "ba"),
        (caused(ValueError("x"), WITH_A_CAUSE), "da"),
        (caused(group(ValueError("x"), C), B), "cb"),
        (group(A, Hostile()), "a"),
        (Hostile(), ""),
        (circle(), ""),
    ],
    ids=repr,
)
def test_the_error_itself_comes_first_then_its_group_then_its_causes(error: BaseException, found: str) -> None:
    assert "".join(said.limit or "" for said in rate_limited_in(error)) == found


def test_an_error_that_was_being_handled_is_no_cause() -> None:
    error = ValueError("of the handler's own fallback")
    error.__context__ = A

    assert rate_limited_in(error) == []


def deep(depth: int, last: BaseException) -> BaseException:
    """As a loop of `raise ... from last` leaves it."""
    for number in range(depth):
        last = caused(ValueError(number), last)
    return last


def nested(depth: int, last: Exception) -> BaseException:
    for _ in range(depth):
        last = group(last)
    return last


@pytest.mark.parametrize("error", [deep(15_000, A), nested(15_000, A), deep(5_000, nested(5_000, A))], ids=["causes", "groups", "both"])
def test_it_is_found_however_deep(error: BaseException) -> None:
    assert rate_limited_in(error) == [A]


def test_a_circle_that_hides_it_ends_and_what_is_beside_it_is_found() -> None:
    assert rate_limited_in(group(circle(), A)) == [A]  # type: ignore[arg-type] # the circle is an Exception


def test_the_search_is_bounded() -> None:
    class Endless(Exception):
        @property
        def __cause__(self) -> BaseException:  # type: ignore[override] # that is what is tested
            made.append(Endless())
            return made[-1]

    made = list[BaseException]()
    assert rate_limited_in(Endless()) == []
    assert 1_000 < len(made) < 100_000
