"""Cron expressions: their instants in a zone against a brute force that knows nothing of the code, and what is refused."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runner.clock import MICROSECONDS
from runner.errors import InvalidSchedule
from runner.jobs.cron import checked_cron, cron_after, what_is_odd

ZONES = (
    "UTC",
    "Europe/Berlin",
    "Europe/Dublin",
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Santiago",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Asia/Gaza",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Pacific/Apia",
    "Africa/Casablanca",
)
_MINUTE = timedelta(minutes=1)


def _changes(zone: str) -> list[datetime]:
    """The instants at which the clock of a zone jumped, from 2010 to 2026, to the hour."""
    found, at, end = [], datetime(2010, 1, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    before = at.astimezone(ZoneInfo(zone)).utcoffset()
    while at < end:
        at += timedelta(hours=6)
        now = at.astimezone(ZoneInfo(zone)).utcoffset()
        if now != before:
            found.append(at)
        before = now
    return found


CHANGES = {zone: _changes(zone) or [datetime(2024, 3, 31, tzinfo=UTC)] for zone in ZONES}


def _values(field: str, least: int, most: int) -> set[int]:
    """A field as its manual says."""
    values: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, last = (least, most) if span == "*" else (int(span.split("-")[0]), int(span.split("-")[-1]))
        if step and span != "*" and "-" not in span:
            last = most
        values |= set(range(first, last + 1, int(step or 1)))
    return values


@lru_cache(maxsize=100)
def _minutes_shown(zone: str, begin: datetime, days: int) -> list[tuple[datetime, datetime]]:
    """Each minute of some days, and what the clock shows then."""
    instants = (begin + n * _MINUTE for n in range(days * 24 * 60))
    return [(instant, instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)) for instant in instants]


class BruteForce:
    """All minutes of some days, looked at one by one."""

    def __init__(self, expression: str, zone: str, begin: datetime, days: int) -> None:
        minute, hour, day, month, weekday = expression.split(" ")
        self._minutes, self._hours = _values(minute, 0, 59), _values(hour, 0, 23)
        self._days, self._months = _values(day, 1, 31), _values(month, 1, 12)
        self._weekdays = {number % 7 for number in _values(weekday, 0, 7)}
        self._both = day.startswith("*") or weekday.startswith("*")
        self._starred = minute.startswith("*") or hour.startswith("*")
        self._shown = _minutes_shown(zone, begin, days)

    def _fits(self, local: datetime) -> bool:
        of_day, of_week = local.day in self._days, (local.weekday() + 1) % 7 in self._weekdays
        is_day = (of_day and of_week) if self._both else (of_day or of_week)
        return is_day and local.minute in self._minutes and local.hour in self._hours and local.month in self._months

    def instants(self) -> Iterator[datetime]:
        if self._starred:
            yield from (instant for instant, local in self._shown if self._fits(local))
            return
        latest = self._shown[0][1] - _MINUTE
        for instant, local in self._shown:
            passed = False
            while latest < local:  # each time of the clock once: when it is shown first, or left out
                latest += _MINUTE
                passed = passed or self._fits(latest)
            if passed:
                yield instant


def _us(instant: datetime) -> int:
    return round(instant.timestamp() * MICROSECONDS)


_numbers = {"minute": (0, 59), "hour": (0, 5)}


@st.composite
def _field(draw: st.DrawFn, name: str) -> str:
    least, most = _numbers[name]
    kind = draw(st.sampled_from(["star", "one", "step", "span", "list", "from"]))
    if kind == "star":
        return "*"
    if kind == "step":
        return f"*/{draw(st.sampled_from([2, 3, 7, 20, 24] if name == 'hour' else [5, 7, 15, 20, 30, 45]))}"
    first = draw(st.integers(least, most))
    last = draw(st.integers(first, most))
    return {"one": f"{first}", "span": f"{first}-{last}", "list": f"{first},{last}", "from": f"{first}/{7 if name == 'hour' else 20}"}[kind]


@settings(max_examples=150)
@given(
    minute=_field("minute"),
    hour=_field("hour"),
    day=st.sampled_from(["*", "*", "*", "1-15", "*/2", "31"]),
    weekday=st.sampled_from(["*", "*", "*", "0", "1-5", "7"]),
    zone=st.sampled_from(ZONES),
    change=st.integers(0, 5),
    minutes=st.integers(0, 3 * 24 * 60),
    second=st.integers(0, 59),
)
@example("45", "2", "*", "*", "Europe/Berlin", 1, 0, 0)
@example("*/7", "*", "*", "*", "Australia/Lord_Howe", 0, 0, 0)
@example("30", "12", "*", "*", "Pacific/Apia", 4, 0, 0)
def test_the_instants_around_a_change_of_the_clock_are_those_of_a_brute_force(
    minute: str, hour: str, day: str, weekday: str, zone: str, change: int, minutes: int, second: int
) -> None:
    expression = f"{minute} {hour} {day} * {weekday}"
    at = CHANGES[zone][change % len(CHANGES[zone])].replace(minute=0, second=0)
    # The first two days only let the brute force know what the clock has shown before.
    after = at - timedelta(hours=36) + timedelta(minutes=minutes, seconds=second)
    expected = [instant for instant in BruteForce(expression, zone, at - timedelta(hours=84), 7).instants() if instant > after][:40]
    found, us = [], _us(after)
    for _ in expected:
        us = cron_after(expression, zone, us) or 0
        found.append(us)
    assert found == [_us(instant) for instant in expected]


@settings(max_examples=50)
@given(zone=st.sampled_from(ZONES), day=st.integers(0, 5_000), expression=st.sampled_from(["0 12 * * *", "5 11-13 * * 1-5", "0 12 29 2 *"]))
def test_far_from_a_change_the_instants_are_those_of_cronsim(zone: str, day: int, expression: str) -> None:
    after = datetime(2012, 1, 1, 18, tzinfo=UTC) + timedelta(days=day)
    local = after.astimezone(ZoneInfo(zone))
    expected = next(CronSim(expression, local))
    assert cron_after(expression, zone, _us(after)) == _us(expected)


def test_a_leap_day_comes_every_four_years() -> None:
    us, years = _us(datetime(2024, 3, 1, tzinfo=UTC)), []
    for _ in range(3):
        us = cron_after("0 0 29 2 *", "UTC", us) or 0
        years.append(datetime.fromtimestamp(us / MICROSECONDS, UTC).year)
    assert years == [2028, 2032, 2036]


@pytest.mark.parametrize(
    ("at", "zone", "word"),
    [
        ("2026-03-29T01:00:00+00:00", "Europe/Berlin", "gap"),
        ("2026-10-25T00:30:00+00:00", "Europe/Berlin", "fold"),
        ("2026-10-25T01:30:00+00:00", "Europe/Berlin", "fold"),
        ("2026-10-25T02:30:00+00:00", "Europe/Berlin", ""),
        ("2026-03-29T01:00:00+00:00", "UTC", ""),
    ],
)
def test_what_is_odd_about_an_instant_is_named(at: str, zone: str, word: str) -> None:
    assert what_is_odd(zone, _us(datetime.fromisoformat(at))) == word


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("*/61 * * * *", "step 61 is wider than the field minute, which has 60 values"),
        ("0 */25 * * *", "step 25 is wider than the field hour"),
        ("0 0 0 * * *", "has 6 fields and must have five: minute hour day month weekday; below a minute there is every="),
        ("0 0 * *", "has 4 fields"),
        ("", "has 1 fields"),
        ("0 0 30 2 *", "cannot be read: Bad day-of-month: give minutes 0-59, hours 0-23, days 1-31 that one of the months has"),
        ("0 0 31 4,6 *", "days 1-31 that one of the months has"),
        ("60 * * * *", "cannot be read: Bad minute"),
        ("@reboot", "is unknown: give five fields, or one of @hourly"),
        ("0 0 * * 1#6", "cannot be read"),
        (7, "cron is 7: give five fields"),
        ("* " * 150, "give five fields, like"),
        ("٣ * * * *", "give five fields, like"),
    ],
)
def test_an_expression_that_cannot_work_is_refused_by_name(expression: object, said: str) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        checked_cron(expression)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("expression", "zone", "after", "following"),
    [
        ("0 * * * *", "US/Pacific", "2026-11-01T07:30", "2026-11-01T08:00 2026-11-01T09:00 2026-11-01T10:00"),
        ("0 18 * * 2", "UTC", "2021-05-10T00:00", "2021-05-11T18:00 2021-05-18T18:00 2021-05-25T18:00"),
        ("0 23 31 * *", "UTC", "2026-08-01T00:00", "2026-08-31T23:00 2026-10-31T23:00 2026-12-31T23:00"),
        ("15 23 28-31 9 *", "Africa/Johannesburg", "2026-07-09T00:00", "2026-09-28T21:15 2026-09-29T21:15 2026-09-30T21:15"),
        ("0 0 1 */12 *", "UTC", "2026-04-05T00:00", "2027-01-01T00:00 2028-01-01T00:00 2029-01-01T00:00"),
        ("0 * L * *", "UTC", "2026-01-30T23:00", "2026-01-31T00:00 2026-01-31T01:00 2026-01-31T02:00"),
        ("0 17 * * *", "America/New_York", "2026-11-01T00:00", "2026-11-01T22:00 2026-11-02T22:00 2026-11-03T22:00"),
        ("0 0 13 * 5", "UTC", "2026-01-01T00:00", "2026-01-02T00:00 2026-01-09T00:00 2026-01-13T00:00"),
    ],
)
def test_what_other_schedulers_got_wrong(expression: str, zone: str, after: str, following: str) -> None:
    instant_us: int | None = round(datetime.fromisoformat(f"{after}+00:00").timestamp()) * 1_000_000
    told = []
    for _ in range(3):
        assert instant_us is not None
        instant_us = cron_after(checked_cron(expression), zone, instant_us)
        told.append(datetime.fromtimestamp((instant_us or 0) // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M"))
    assert told == following.split()


def test_an_expression_is_kept_in_one_spelling() -> None:
    assert checked_cron(" 0  6 * jan mon-fri ") == "0 6 * JAN MON-FRI"
    assert checked_cron("@Daily") == "0 0 * * *"
