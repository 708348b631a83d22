"""A time as people and servers write it: a number, a duration, a date of HTTP or of ISO 8601, as seconds from now. Pure and total."""

import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone

from runner.ranges import YEAR_S

LONGEST_S = YEAR_S
"""The longest wait that anything is read as."""
_LONGEST_TEXT = 512
"""Characters. No server writes a time that long."""
_MOST_PARTS = 16
_LATEST_YEAR = 9999
_LEAP_SECOND = 60

# Above each of these a number is an instant since 1970: as a duration, even the smallest would be 30 years.
_INSTANTS = ((1e15, 1e-6), (1e11, 1e-3), (1e9, 1.0))

_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,64}(?:\.[0-9]{0,64})?|\.[0-9]{1,64})(?:[eE][+-]?[0-9]{1,3})?")
_PIECE = re.compile(r"([0-9]{1,64}(?:\.[0-9]{1,64})?) *([a-z]+)(?: *,? *(?:and )? *)")
_UNITS_S = {
    word: seconds
    for seconds, words in (
        (1e-9, "ns nanosecond nanoseconds"),
        (1e-6, "us microsecond microseconds"),
        (1e-3, "ms msec msecs millisecond milliseconds"),
        (1.0, "s sec secs second seconds"),
        (60.0, "m min mins minute minutes"),
        (3_600.0, "h hr hrs hour hours"),
        (86_400.0, "d day days"),
        (604_800.0, "w week weeks"),
    )
    for word in words.split()
}
_ISO_DURATION = re.compile(
    r"p(?:(?P<d>[0-9]{1,64})d)?(?:t(?:(?P<h>[0-9]{1,64})h)?(?:(?P<m>[0-9]{1,64})m)?(?:(?P<s>[0-9]{1,64}(?:\.[0-9]{1,64})?)s)?)?"
)
_CLOCK = re.compile(r"(?:([0-9]{1,4}):)?([0-9]{1,4}):([0-9]{1,2}(?:\.[0-9]{1,9})?)")

_ZONE = r"(?P<zone>[A-Za-z]{1,5}|[+-][0-9]{2}:?[0-9]{2})"
_TIME = r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.[0-9]{1,9})?)?"
_DATES = tuple(
    re.compile(form)
    for form in (
        # RFC 9110: IMF-fixdate and the form of RFC 850, then that of asctime.
        rf"(?:[A-Za-z]{{3,9}},? +)?(?P<day>[0-9]{{1,2}})[ -](?P<month>[A-Za-z]{{3,9}})[ -](?P<year>[0-9]{{1,64}}) +{_TIME}(?: *{_ZONE})?",
        rf"[A-Za-z]{{3,9}},? +(?P<month>[A-Za-z]{{3,9}}) +(?P<day>[0-9]{{1,2}}) +{_TIME}(?: +{_ZONE})? +(?P<year>[0-9]{{4,64}})",
    )
)
_MONTHS = {
    name: number for number, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)
}
_ZONES_H = {"gmt": 0, "utc": 0, "ut": 0, "z": 0, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7}
_ISO_YEAR = re.compile(r"\+?([0-9]{5,64})-[0-9]{2}-[0-9]{2}(?:[T ].*)?")
_NEXT_IN_A_LIST = re.compile(r",(?! *[0-9]{1,2}[ -][A-Za-z]{3})")


def seconds_of_number(number: float, now_s: float, unit_s: float = 1.0) -> float | None:
    """Seconds from now that a number says: so many units, or an instant if that is too long for a span. None for what is no number."""
    if math.isnan(number):
        return None
    if number * unit_s > _INSTANTS[-1][0]:
        return next(bounded_s(number * instant_s - now_s) for above, instant_s in _INSTANTS if number > above)
    return bounded_s(number * unit_s)


def seconds_of_text(text: str, now_s: float, unit_s: float = 1.0) -> float | None:
    """Seconds from now that a text says, None if it cannot be read. A number without a unit counts `unit_s`; of a list the largest counts."""
    text = text.strip().strip('"').strip()
    if len(text) > _LONGEST_TEXT:
        return None
    text = text.replace("\u00b5s", "us").replace("\u03bcs", "us")
    if not text.isascii():
        return None
    said_s = _one(text, now_s, unit_s)
    if said_s is not None or "," not in text:
        return said_s
    return longest(_one(part.strip(), now_s, unit_s) for part in _NEXT_IN_A_LIST.split(text, _MOST_PARTS)[:_MOST_PARTS])


def seconds_of_instant(moment: datetime, now_s: float) -> float:
    """Seconds until an instant with a time zone; 0 if it has passed."""
    # By subtraction, since `timestamp()` fails for instants near the first and the last year in other zones.
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return bounded_s((moment - epoch) / timedelta(seconds=1) - now_s)


def bounded_s(seconds: float) -> float:
    """From 0 to the longest wait."""
    return min(max(seconds, 0.0), LONGEST_S)


def longest(waits: Iterable[float | None]) -> float | None:
    """The longest of the waits that are known; None if none is."""
    return max((wait for wait in waits if wait is not None), default=None)


def _one(text: str, now_s: float, unit_s: float) -> float | None:
    if _NUMBER.fullmatch(text):
        return seconds_of_number(float(text), now_s, unit_s)
    return next((said_s for said_s in (read(text, now_s) for read in _READERS) if said_s is not None), None)


def _duration(text: str, _: float) -> float | None:
    """`6m0s`, `1h 30m`, `20ms`, "1 minute, 30 seconds": each unit is smaller than the one before, or it is a list."""
    text, total_s, last_s, at = text.lower() + " ", 0.0, math.inf, 0
    while at < len(text):
        piece = _PIECE.match(text, at)
        unit_s = _UNITS_S.get(piece[2]) if piece else None
        if piece is None or unit_s is None or unit_s >= last_s:
            return None
        total_s, last_s, at = total_s + float(piece[1]) * unit_s, unit_s, piece.end()
    return bounded_s(total_s)


def _iso_duration(text: str, _: float) -> float | None:
    """`PT1M30S`."""
    match = _ISO_DURATION.fullmatch(text.lower())
    if match is None or not any(match.groups()):
        return None
    return bounded_s(sum(float(count) * _UNITS_S[unit] for unit, count in match.groupdict().items() if count))


def _clock(text: str, _: float) -> float | None:
    """`00:01:30`, or `1:30` in minutes."""
    match = _CLOCK.fullmatch(text)
    return None if match is None else bounded_s(float(match[1] or 0) * 3_600 + float(match[2]) * 60 + float(match[3]))


def _http_date(text: str, now_s: float) -> float | None:
    """Without a zone it is UTC. A year of two digits is never more than 50 years ahead."""
    match = next(filter(None, (form.fullmatch(text) for form in _DATES)), None)
    if match is None:
        return None
    month, zone = _MONTHS.get(match["month"][:3].lower()), _zone(match["zone"] or "GMT")
    year = int(match["year"])
    if month is None or zone is None:
        return None
    if year > _LATEST_YEAR:
        return LONGEST_S
    if len(match["year"]) == 2:
        this_year = 1970 + now_s / (365.2425 * 86_400)
        year += int(this_year) // 100 * 100
        year -= 100 if year > this_year + 50 else 0
    second = int(match["second"] or 0)
    try:
        moment = datetime(
            year, month, int(match["day"]), int(match["hour"]), int(match["minute"]), min(second, _LEAP_SECOND - 1), tzinfo=zone
        )
    except ValueError:
        return None
    return seconds_of_instant(moment, now_s - (second == _LEAP_SECOND)) if second <= _LEAP_SECOND else None


def _iso_instant(text: str, now_s: float) -> float | None:
    """Without a zone it is UTC."""
    if _ISO_YEAR.fullmatch(text):
        return LONGEST_S
    if text[4:5] != "-":
        return None
    for word in (" UTC", " GMT", " Z"):
        text = text.removesuffix(word)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return seconds_of_instant(moment if moment.tzinfo else moment.replace(tzinfo=UTC), now_s)


def _zone(text: str) -> timezone | None:
    if text[0] not in "+-":
        hours = _ZONES_H.get(text.lower())
        return None if hours is None else timezone(timedelta(hours=hours))
    hours, minutes = int(text[1:3]), int(text[-2:])
    if hours > 23 or minutes > 59:
        return None
    return timezone((-1 if text[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))


_READERS: tuple[Callable[[str, float], float | None], ...] = (_duration, _clock, _http_date, _iso_instant, _iso_duration)
