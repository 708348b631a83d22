"""When a budget ends at the present pace, by hand-made histories."""

from datetime import UTC, datetime, timedelta

import pytest

from runner import BucketStatus, HistoryRow, LimitStatus, Pause, Quota
from runner.jobs import BudgetPace, pace_of

NOW = datetime(2026, 12, 10, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
USD = Quota("usd", 5_000_00, per="month", unit="USD", scale=2)


def pace(limit: Quota, left: int, spent: dict[timedelta, int], now: datetime = NOW) -> BudgetPace | None:
    """Of a budget of which this is left, by what was spent so long ago."""
    rows = [HistoryRow((now - ago).timestamp(), started=1, taken=tokens) for ago, tokens in sorted(spent.items(), reverse=True)]
    return pace_of(status(limit, left), rows, now.timestamp())


def status(limit: Quota, left: int, frozen_s: float = 0.0, paused: Pause | None = None) -> LimitStatus:
    return LimitStatus(limit, None, paused, [BucketStatus("usd", left, 0, 0.0, frozen_s)])


def each_hour(tokens: int, hours: int) -> dict[timedelta, int]:
    return {HOUR * n: tokens for n in range(1, hours + 1)}


def test_it_ends_when_what_is_left_is_spent_as_fast_as_in_the_last_week() -> None:
    found = pace(USD, 3_360_00, each_hour(10_00, 24 * 20))

    assert found is not None
    assert found.ends_at == datetime(2026, 12, 24, 12, 0, tzinfo=UTC)
    assert str(found) == "at the present pace (240.00 USD a day) the budget ends on 2026-12-24 12:00 (UTC), 7 d 12 h before the month"


def test_what_was_spent_before_that_week_counts_for_nothing() -> None:
    old = {HOUR * n: 500_00 for n in range(24 * 7 + 1, 24 * 20)}

    assert (found := pace(USD, 3_360_00, each_hour(10_00, 24 * 7) | old)) is not None
    assert found.pace == pytest.approx(10_00 / 3_600)


def test_a_budget_that_is_new_is_judged_by_the_time_since_its_first_start() -> None:
    assert (found := pace(USD, 4_900_00, each_hour(10_00, 10))) is not None
    assert found.pace == pytest.approx(10_00 / 3_600)


def test_a_quiet_week_end_does_not_make_it_new() -> None:
    assert (found := pace(USD, 4_900_00, each_hour(7_00, 24) | {HOUR * 24 * 20: 1})) is not None
    assert found.pace == pytest.approx(1_00 / 3_600)


def test_a_budget_that_outlasts_its_period_says_what_is_spent_by_then() -> None:
    found = pace(USD, 4_000_00, each_hour(1_00, 24 * 20))

    assert found is not None
    assert found.ends_at is None
    assert str(found) == "at the present pace (24.00 USD a day) 30% of the budget are spent when the month ends"


def test_nothing_that_was_spent_lately_ends_nothing() -> None:
    assert str(pace(USD, 1, {})) == "at the present pace (0.00 USD a day) 100% of the budget are spent when the month ends"


def test_a_spent_budget_says_when_the_next_period_begins_in_its_own_time_zone() -> None:
    limit = Quota("usd", 5_000_00, per="month", tz="Europe/Berlin", unit="USD", scale=2)

    found = pace(limit, 0, each_hour(1, 5))

    assert found is not None
    assert found.ends_at == NOW
    assert str(found) == "the budget is spent; the next month begins on 2027-01-01 00:00 (Europe/Berlin)"


def test_a_day_is_judged_by_its_last_hours() -> None:
    limit = Quota("usd", 100_00, per="day", unit="USD", scale=2)
    spent = {timedelta(minutes=n): 10 for n in range(1, 12 * 60)}

    assert str(pace(limit, 36_00, spent)) == (
        "at the present pace (6.00 USD an hour) the budget ends on 2026-12-10 18:00 (UTC), 6 h before the day"
    )


def test_what_was_settled_counts() -> None:
    row = HistoryRow((NOW - HOUR).timestamp(), started=1, taken=10_00, settled=-4_00)

    assert (found := pace_of(status(USD, 100), [row], NOW.timestamp())) is not None
    assert found.pace == pytest.approx(6_00 / 3_600)


def test_nothing_is_told_of_what_is_no_budget_or_stands_still() -> None:
    assert pace(Quota("x", 5, per="day"), 5, {}) is None
    assert pace(Quota("x", 5, per="day", unit="USD", key="{t}"), 5, {}) is None
    assert pace_of(status(USD, 0, frozen_s=5.0), [], NOW.timestamp()) is None
    assert pace_of(status(USD, 0, paused=Pause(NOW, "")), [], NOW.timestamp()) is None


def test_its_document_has_instants_and_tokens() -> None:
    assert (found := pace(USD, 3_360_00, each_hour(10_00, 24 * 20))) is not None
    assert found.document() == {
        "limit": "usd",
        "unit": "USD",
        "scale": 2,
        "left": 3_360_00,
        "capacity": 5_000_00,
        "pace_s": pytest.approx(10_00 / 3_600),
        "ends_at": "2026-12-24T12:00:00Z",
        "period_ends": "2027-01-01T00:00:00Z",
        "share_at_end": pytest.approx(1.36, abs=0.01),
    }
