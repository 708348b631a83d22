"""Calendars against a brute force that looks at the wall clock minute by minute around every change of it, in all zones over ten years."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import pytest

from runner.clock import MICROSECONDS
from runner.limits.calendar import CUT_S, PERIODS, SHORTEST_S, period_of, period_starts

MINUTE, HOUR, DAY = 60, 3_600, 86_400
FIRST_S, LAST_S = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2018, 2028))
ALL_ZONES = sorted(available_timezones() - {"localtime", "Factory", "posixrules"})
ODD_ZONES = [
    "America/Asuncion",  # its midnight is left out, and 23:00 comes twice
    "America/Havana",  # midnight comes twice
    "America/Nuuk",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Antarctica/Casey",
    "Antarctica/Troll",  # the clock goes by two hours
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Pyongyang",
    "Asia/Qostanay",
    "Atlantic/Azores",
    "Australia/Lord_Howe",  # the clock goes by half an hour
    "Europe/Berlin",
]
LABELS: dict[str, Callable[[datetime], tuple[int, ...]]] = {
    "hour": lambda wall: (wall.year, wall.month, wall.day, wall.hour),
    "day": lambda wall: (wall.year, wall.month, wall.day),
    "week": lambda wall: wall.isocalendar()[:2],
    "month": lambda wall: (wall.year, wall.month),
    "year": lambda wall: (wall.year,),
}


class Change(NamedTuple):
    """The wall clock of a zone goes forward or back. Changes of the same instant and offsets are the same for every zone."""

    at_s: int
    before: timedelta | None
    after: timedelta | None


def wall(instant_s: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(instant_s, zone).replace(tzinfo=None)


def offset(instant_s: int, zone: ZoneInfo) -> timedelta | None:
    return datetime.fromtimestamp(instant_s, zone).utcoffset()


def changes(zone: ZoneInfo) -> Iterator[Change]:
    step_s = DAY // 4
    for begin_s in range(FIRST_S, LAST_S, step_s):
        before, after = offset(begin_s, zone), offset(begin_s + step_s, zone)
        if before != after:
            yield Change(next(s for s in range(begin_s, begin_s + step_s + 1, MINUTE) if offset(s, zone) == after), before, after)


def changes_of(zones: Iterable[str]) -> dict[Change, str]:
    return {change: tz for tz in zones for change in changes(ZoneInfo(tz))}


def one_of_each_kind(found: dict[Change, str]) -> dict[Change, str]:
    """Without those that are like others in other years: from the same hour of the wall clock by the same step."""
    kinds = {(change.at_s % DAY, change.before, change.after): change for change in found}
    return {change: found[change] for change in kinds.values()}


def begins(per: str, walls: Iterable[tuple[int, datetime]]) -> list[int]:
    """When the clock first shows a label that is later than all before: what the documents say of a period, word by word."""
    found: list[int] = []
    latest: tuple[int, ...] = ()
    for instant_s, shown in walls:
        label = LABELS[per](shown)
        if label > latest:
            latest = label
            found.append(instant_s)
    return found[1:]


def check_periods(found: dict[Change, str]) -> None:
    for change, tz in found.items():
        from_s, to_s = change.at_s - 3 * HOUR, change.at_s + 26 * HOUR
        walls = [(instant_s, wall(instant_s, ZoneInfo(tz))) for instant_s in range(from_s, to_s + 1, MINUTE)]
        for per in PERIODS:
            starts = [start_us // MICROSECONDS for start_us in period_starts(per, tz, from_s * MICROSECONDS)]
            assert [start_s for start_s in starts if from_s < start_s <= to_s] == begins(per, walls), (tz, per, change)
            assert starts[0] <= from_s
            assert len(starts) == PERIODS[per] + 1
            check_lengths(per, starts)


def check_lengths(per: str, starts: list[int]) -> None:
    """Successive periods are together never shorter than the bound of a quota takes them for."""
    lacking = 0
    for begin_s, end_s in pairwise(starts):
        lacking = min(lacking, 0) + end_s - begin_s - SHORTEST_S[per]
        assert -lacking <= CUT_S[per]


def test_a_period_is_what_the_wall_clock_shows_around_every_change_of_it() -> None:
    check_periods(one_of_each_kind(changes_of([*ODD_ZONES, *ALL_ZONES[::80]])))


@pytest.mark.slow
def test_a_period_is_what_the_wall_clock_shows_in_every_zone_of_the_world() -> None:
    check_periods(changes_of(ALL_ZONES))


def at(text: str, tz: str, fold: int = 0) -> int:
    """An instant in µs by the wall clock; `fold` 1 is the second time that the clock shows it."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(tz), fold=fold).timestamp()) * MICROSECONDS


@pytest.mark.parametrize(
    ("tz", "day", "hours"),
    [
        ("Atlantic/Azores", "2025-10-26", 25),  # 00:59 is followed by 00:00
        ("America/Havana", "2025-11-02", 25),
        ("America/Sao_Paulo", "2018-02-17", 25),  # 23:59 is followed by 23:00
        ("America/Sao_Paulo", "2018-11-04", 23),  # begins at 01:00
        ("Asia/Beirut", "2026-03-29", 23),
        ("America/Havana", "2025-03-09", 23),
        ("Antarctica/Troll", "2025-03-30", 22),
        ("Australia/Lord_Howe", "2025-04-06", 24.5),
        ("Asia/Kathmandu", "2025-04-06", 24),
    ],
)
def test_a_day_has_one_period_whether_its_midnight_comes_twice_or_never(tz: str, day: str, hours: float) -> None:
    for text in ("00:30", "12:00", "23:30"):
        # What is left out has no second time: Python takes it for an instant before.
        begin_us, end_us = period_of("day", tz, at(f"{day}T{text}", tz, fold=int(hours > 24)))
        assert (end_us - begin_us) / MICROSECONDS == hours * HOUR
        assert wall(begin_us // MICROSECONDS, ZoneInfo(tz)).date().isoformat() == day


@pytest.mark.parametrize(
    ("tz", "hour", "minutes"),
    [
        ("Europe/Berlin", "2025-10-26T02", 120),  # comes twice
        ("Australia/Lord_Howe", "2025-04-06T01", 90),  # its second half comes twice
        ("Australia/Lord_Howe", "2025-10-05T02", 30),  # its first half is left out
        ("Asia/Kathmandu", "2025-10-05T02", 60),
    ],
)
def test_an_hour_has_one_period_however_long_the_clock_shows_it(tz: str, hour: str, minutes: int) -> None:
    for fold in (0, 1):
        begin_us, end_us = period_of("hour", tz, at(f"{hour}:45", tz, fold))
        assert (end_us - begin_us) / MICROSECONDS == minutes * MINUTE


def test_a_day_that_never_was_has_no_period() -> None:
    """Samoa went from the 29th to the 31st of December 2011 when it changed sides of the date line."""
    _, end_us = period_of("day", "Pacific/Apia", at("2011-12-29T12:00", "Pacific/Apia"))
    assert end_us == at("2011-12-31T00:00", "Pacific/Apia")


def test_minutes_that_come_again_after_midnight_belong_to_the_new_day() -> None:
    """In Newfoundland the clock went from 00:01 back to 23:01."""
    tz = "America/St_Johns"
    again_us = at("2010-11-06T23:30", tz, fold=1)
    begin_us, end_us = period_of("day", tz, again_us)
    assert begin_us == at("2010-11-07T00:00", tz) < again_us < end_us
