"""Waits between retries: growing, capped, never immediate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import ConfigurationError
from runner.jobs.backoff import Backoff

backoffs = st.builds(
    lambda base, factor, more: Backoff(base, factor, base * more), st.floats(0.001, 1e5), st.floats(1, 100), st.floats(1, 300)
)


@pytest.mark.parametrize(("retry", "ceiling_s"), [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (11, 300), (5000, 300)])
def test_the_longest_wait_doubles_up_to_five_minutes(retry: int, ceiling_s: float) -> None:
    assert Backoff().ceiling_s(retry) == ceiling_s


@given(backoffs, st.integers(1, 10_000))
def test_a_wait_is_between_half_and_all_of_its_ceiling(backoff: Backoff, retry: int) -> None:
    ceiling_s = backoff.ceiling_s(retry)

    assert backoff.base <= ceiling_s <= backoff.cap
    assert ceiling_s / 2 <= backoff.delay_s(retry) <= ceiling_s


def test_waits_differ_so_that_jobs_that_failed_together_do_not_return_together() -> None:
    waits = {Backoff().delay_s(10) for _ in range(100)}

    assert len(waits) == 100
    assert 150 <= min(waits) < 200  # hypothesis seeds `random`, so that the property above sees one number only
    assert 250 < max(waits) <= 300


@pytest.mark.parametrize(
    "backoff",
    [
        {"base": 0.0},
        {"base": -1.0},
        {"factor": 0.9},
        {"cap": 0.5},
        {"base": float("nan")},
        {"factor": float("nan")},
        {"cap": float("nan")},
        {"cap": float("inf")},
        {"factor": float("inf")},
        {"factor": 101},
        {"base": "1"},
        {"cap": True},
    ],
)
def test_a_backoff_that_cannot_work_is_refused(backoff: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=r"Backoff.*(base|factor|cap)"):
        Backoff(**backoff)
