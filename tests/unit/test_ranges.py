"""Every number that can be given has a range, and what is outside of it, or no number at all, is refused by name."""

import math
from datetime import timedelta
from decimal import Decimal

import pytest

from runner.errors import ConfigurationError, InvalidOption
from runner.ranges import RANGES, Range, checked, checked_whole

ALL = sorted(RANGES.items())


def outside(bounds: Range) -> list[float]:
    """The next number on either side."""
    if bounds.is_whole:
        return [int(bounds.least) - 1, int(bounds.most) + 1]
    return [math.nextafter(bounds.least, -math.inf), math.nextafter(bounds.most, math.inf)]


@pytest.mark.parametrize(("name", "bounds"), ALL)
def test_the_ends_of_a_range_can_be_given(name: str, bounds: Range) -> None:
    ends = [int(bounds.least), int(bounds.most)] if bounds.is_whole else [bounds.least, bounds.most]

    assert [checked(name, end) for end in ends] == ends


@pytest.mark.parametrize(("name", "bounds"), ALL)
def test_what_is_beyond_an_end_or_no_number_is_refused_by_name(name: str, bounds: Range) -> None:
    strange = [math.nan, math.inf, -math.inf, True, False, "1", b"1", None, timedelta(seconds=1), Decimal(1), [1], 10**400, 1j]

    for value in [*outside(bounds), *strange]:
        with pytest.raises(ConfigurationError, match=rf"^{name} is .*, and must be a (whole )?number( of [a-z]+)? from "):
            checked(name, value)
        with pytest.raises(InvalidOption, match=rf"^task 'x': {name} is "):
            checked(name, value, error=InvalidOption, of="task 'x'")


@pytest.mark.parametrize("name", [name for name, bounds in ALL if bounds.is_whole])
def test_a_whole_number_is_no_fraction(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name} is 2000.0, and must be a whole number"):
        checked_whole(name, 2000.0)


def test_a_refusal_says_what_to_give() -> None:
    with pytest.raises(ConfigurationError) as refused:
        checked("timeout", timedelta(minutes=5))
    assert str(refused.value) == (
        "timeout is datetime.timedelta(seconds=300), and must be a number of seconds from 0.001 to 2678400 (31 days);"
        " write its total_seconds(), 300"
    )
    with pytest.raises(ConfigurationError, match=r"^cost is 9, and must be a whole number of tokens from 0 to 8$"):
        checked("cost", 9, most=8)


def test_a_value_that_cannot_be_shown_is_refused_all_the_same() -> None:
    class Unprintable:
        def __repr__(self) -> str:
            raise ZeroDivisionError

    of_type = "an object of type"
    for value, shown in ((Unprintable(), f"{of_type} Unprintable"), (10**5000, f"{of_type} int"), ("x" * 100, r"'x{76}\.\.\.")):
        with pytest.raises(ConfigurationError, match=f"^delay is {shown}, and must be a number of seconds from 0 to 31622400"):
            checked("delay", value)
