"""Calendar: when the periods of a time zone begin: one period for each hour, day, week, month and year that the wall clock shows.

A period begins at the first instant at which the clock shows its label or a later one, and lasts until the next begins. So an hour or
a midnight that comes twice begins nothing the second time, a day whose midnight is left out begins at its first instant, and what is
left out as a whole has no period.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from runner.clock import MICROSECONDS
from runner.errors import ConfigurationError

Period = Literal["hour", "day", "week", "month", "year"]
PERIODS: dict[str, int] = {"hour": 24 * 60, "day": 400, "week": 60, "month": 30, "year": 5}
"""How many periods ahead a calendar is published; it is extended long before it ends."""
SHORTEST_S = {"hour": 3_600, "day": 86_400, "week": 7 * 86_400, "month": 28 * 86_400, "year": 365 * 86_400}
"""Periods from which daylight saving cuts nothing."""
CUT_S = {"hour": 3_600, "day": 10_800, "week": 10_800, "month": 10_800, "year": 10_800}
"""By so much at most successive periods are shorter together. An hour that is left out as a whole shortens no other."""
_PAGE_US = 30 * 86_400 * MICROSECONDS
"""Far less than the length of any published calendar, so a calendar that begins with a page covers all of it."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WALL_EPOCH = _EPOCH.replace(tzinfo=None)
_SECOND = timedelta(seconds=1)


def calendar_name(per: str, tz: str) -> str:
    """The part of a key that names a calendar: limits of equal periods and zone share one."""
    return f"{per}:{tz}"


def zone_of(limit: str, tz: str) -> ZoneInfo:
    """The time zone of that name. Raises `ConfigurationError`, which names the limit."""
    try:
        return ZoneInfo(tz)
    except (ZoneInfoNotFoundError, TypeError, ValueError, OSError) as error:
        raise ConfigurationError(f"limit {limit!r}: time zone {tz!r} is unknown; write one like 'Europe/Berlin'") from error


def period_starts(per: str, tz: str, now_us: int) -> list[int]:
    """Instants (µs) at which periods begin: the one `now_us` is in, and `PERIODS[per]` after it."""
    zone = zone_of(f"calendar {per}", tz)
    now_s = now_us // MICROSECONDS
    # The clock may show an earlier label for a second time, so the period is that of this label or of a later one.
    starts: list[int] = []
    for begin_s in (_begin_s(label, zone) for label in _labels(_wall(now_s, zone), per)):
        if begin_s <= now_s:
            starts = [begin_s]
        elif begin_s > starts[-1]:
            starts.append(begin_s)
        if len(starts) > PERIODS[per]:
            break
    return [begin_s * MICROSECONDS for begin_s in starts]


def period_of(per: str, tz: str, now_us: int) -> tuple[int, int]:
    """(begin, end) in µs of the period that `now_us` is in; a begin belongs to its period, an end to the next."""
    starts = _calendar(per, tz, now_us // _PAGE_US)
    following = bisect_right(starts, now_us)
    return starts[following - 1], starts[following]


def periods_touched(per: str, tz: str, from_us: int, to_us: int) -> int:
    """How many periods have an instant from `from_us` to `to_us`, both included."""
    count, (_, end_us) = 1, period_of(per, tz, from_us)
    while end_us <= to_us:
        count, (_, end_us) = count + 1, period_of(per, tz, end_us)
    return count


@lru_cache(maxsize=64)
def _calendar(per: str, tz: str, page: int) -> list[int]:
    return period_starts(per, tz, page * _PAGE_US)


def _wall(instant_s: int, zone: ZoneInfo) -> datetime:
    """What the wall clock shows."""
    return (_EPOCH + timedelta(seconds=instant_s)).astimezone(zone).replace(tzinfo=None)


def _labels(wall: datetime, per: str) -> Iterator[datetime]:
    """The period that the wall clock shows and all after it, each as its first moment on that clock, whether that exists or not."""
    label = wall.replace(minute=0, second=0, microsecond=0)
    if per != "hour":
        label = label.replace(hour=0)
    if per == "week":
        label -= timedelta(days=label.weekday())
    elif per == "month":
        label = label.replace(day=1)
    elif per == "year":
        label = label.replace(month=1, day=1)
    steps = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}
    while True:
        yield label
        if per in steps:
            label += steps[per]
        elif per == "month":
            label = label.replace(year=label.year + label.month // 12, month=label.month % 12 + 1)
        else:
            label = label.replace(year=label.year + 1)


def _begin_s(label: datetime, zone: ZoneInfo) -> int:
    """The first instant at which the wall clock shows this moment or a later one."""
    shown_s = (label - _WALL_EPOCH) // _SECOND
    first, second = _offset_s(label, zone), _offset_s(label.replace(fold=1), zone)
    if first >= second:
        return shown_s - first
    # The clock leaves this moment out: it jumps over it at an instant between those two.
    early_s, late_s = shown_s - second, shown_s - first
    while late_s - early_s > 1:
        middle_s = (early_s + late_s) // 2
        if _wall(middle_s, zone) >= label:
            late_s = middle_s
        else:
            early_s = middle_s
    return late_s


def _offset_s(moment: datetime, zone: ZoneInfo) -> int:
    """How far the clock of this zone is ahead of UTC when it shows this moment."""
    return (zone.utcoffset(moment) or timedelta()) // _SECOND
