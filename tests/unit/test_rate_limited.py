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
