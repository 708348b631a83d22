"""Cron: the instants of a cron expression in a time zone. cronsim is the calendar, of naive local times; which instants these are is said here.

A time that the clock leaves out (spring) comes at the end of the gap if neither minute nor hour begins with a star, once for all such times;
with a star it does not come. A time that the clock shows twice (autumn) comes the first time, and with a star both times. So does Debian's cron.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from runner.errors import InvalidSchedule
from runner.foreign import shown

NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS = (("minute", 60), ("hour", 24), ("day of month", 31), ("month", 12), ("day of week", 7))
"""The fields of an expression, and how many values each has."""
_LONGEST = 200
_STEP = re.compile(r"/([0-9]+)")
_MOST_REMEMBERED = 20_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)
_FOLD_SEEN_BY = (timedelta(hours=3), timedelta(hours=25))
"""How long after an instant in the first half of a fold the clock is behind what it would be: no fold of a zone is longer than a day."""


def zone_named(tz: str) -> ZoneInfo:
    """The time zone of that name. Raises `InvalidSchedule`."""
    try:
        return ZoneInfo(tz)
    except (ZoneInfoNotFoundError, TypeError, ValueError, OSError) as error:
        raise InvalidSchedule(f"time zone {shown(tz, 60)} is unknown: write one like 'Europe/Berlin'") from error


_ALLOWED = "give minutes 0-59, hours 0-23, days 1-31 that one of the months has, months 1-12 or JAN-DEC, weekdays 0-7 or SUN-SAT"


def checked_cron(expression: object) -> str:
    """The expression as it is kept: five fields with one space between. Raises `InvalidSchedule`, which names the value and the remedy."""
    if not isinstance(expression, str) or len(expression) > _LONGEST or not expression.isascii():
        raise InvalidSchedule(f"cron is {shown(expression, 80)}: give five fields, like '0 6 * * 1-5'")
    text = " ".join(expression.upper().split())
    text = NAMED.get(text.lower(), text)
    if text.startswith("@"):
        raise InvalidSchedule(f"cron {expression!r} is unknown: give five fields, or one of {', '.join(NAMED)}")
    fields = text.split(" ")
    if len(fields) != len(_FIELDS):
        more = "; below a minute there is every=" if len(fields) == len(_FIELDS) + 1 else ""
        raise InvalidSchedule(f"cron {expression!r} has {len(fields)} fields and must have five: minute hour day month weekday{more}")
    for field, (name, values) in zip(fields, _FIELDS, strict=True):
        for step in _STEP.findall(field):
            if int(step) > values:
                raise InvalidSchedule(f"cron {expression!r}: step {step} is wider than the field {name}, which has {values} values")
    try:
        calendar = CronSim(text, datetime(2024, 1, 1))  # noqa: DTZ001 - a calendar has no zone
    except (CronSimError, AssertionError, ValueError) as error:
        raise InvalidSchedule(f"cron {expression!r} cannot be read: {error}: {_ALLOWED}") from error
    if next(calendar, None) is None:
        raise InvalidSchedule(f"cron {expression!r} has no instant in the next 50 years: there is no such day")
    return text


@lru_cache(maxsize=_MOST_REMEMBERED)
def cron_after(expression: str, tz: str, after_us: int) -> int | None:
    """The first instant (µs) of the expression after this one; None if there is none within 50 years."""
    zone, after = zone_named(tz), _EPOCH + after_us * _MICROSECOND
    fields = expression.split(" ")
    has_star = fields[0].startswith("*") or fields[1].startswith("*")
    here = after.astimezone(zone)
    begin = here.replace(tzinfo=None, fold=0) - _SECOND - (_fold_ahead(after, here) if has_star else timedelta())
    best: datetime | None = None
    for local in CronSim(expression, begin):
        first, *others = _instants(local, zone, has_star=has_star) or (None,)
        if first is None:
            continue
        if best is not None and first >= best:
            break  # no later time of the calendar has an earlier first instant
        for instant in (first, *others):
            if instant > after and (best is None or instant < best):
                best = instant
        if best == first:
            break
    return None if best is None else (best - _EPOCH) // _MICROSECOND


def what_is_odd(tz: str, at_us: int) -> str:
    """What is to be said of an instant's local time: "gap" if the clock has just jumped ahead there, "fold" if it shows that time twice."""
    zone = zone_named(tz)
    instant = (_EPOCH + at_us * _MICROSECOND).astimezone(zone)
    if instant.replace(fold=0).utcoffset() != instant.replace(fold=1).utcoffset():
        return "fold"
    before = (_EPOCH + at_us * _MICROSECOND - _SECOND).astimezone(zone)
    jump = (instant.utcoffset() or timedelta()) - (before.utcoffset() or timedelta())
    return "gap" if jump > timedelta() else ""


def _fold_ahead(after: datetime, here: datetime) -> timedelta:
    """How wide the fold is that this instant is in the first half of, or that is soon; the clock shows its times again later."""
    now = here.utcoffset() or timedelta()
    later = [(after + span).astimezone(here.tzinfo).utcoffset() or timedelta() for span in _FOLD_SEEN_BY]
    return max(*(now - offset for offset in later), timedelta())


def _instants(local: datetime, zone: ZoneInfo, *, has_star: bool) -> tuple[datetime, ...]:
    """The instants at which this time of the calendar comes, the earlier first."""
    one = (local.replace(tzinfo=zone, fold=0)).utcoffset() or timedelta()
    two = (local.replace(tzinfo=zone, fold=1)).utcoffset() or timedelta()
    moment = local.replace(tzinfo=UTC)
    if one == two:
        return (moment - one,)
    if one > two:
        return (moment - one, moment - two) if has_star else (moment - one,)
    return () if has_star else (_end_of_gap(moment - two, moment - one, zone),)


def _end_of_gap(before: datetime, behind: datetime, zone: ZoneInfo) -> datetime:
    """The instant at which the clock jumps, which is after the first and not after the second of these."""
    old = before.astimezone(zone).utcoffset()
    while behind - before > _SECOND:
        middle = before + ((behind - before) // 2 // _SECOND) * _SECOND
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            behind = middle
    return behind


def cron_instants(expression: str, tz: str, after_us: int) -> Iterator[int]:
    """The instants after this one, in order."""
    at_us = cron_after(expression, tz, after_us)
    while at_us is not None:
        yield at_us
        at_us = cron_after(expression, tz, at_us)
