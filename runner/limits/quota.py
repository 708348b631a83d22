"""Quota: so much per calendar period of a time zone. The scripts know no calendar: they are given the instants at which periods begin."""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from typing_extensions import override

from runner.clock import MICROSECONDS
from runner.errors import ConfigurationError
from runner.limits.bucket import Bucket
from runner.limits.policy import Limit

Period = Literal["hour", "day", "week", "month", "year"]
PERIODS: dict[str, int] = {"hour": 24 * 60, "day": 400, "week": 60, "month": 30, "year": 5}
"""How many periods ahead a calendar is published; it is extended long before it ends."""
_PAGE_US = 30 * 86_400 * MICROSECONDS
"""Far less than any published calendar is long: one that begins with a page covers it."""


class Quota(Limit):
    """At most `capacity` tokens in each calendar `per` ("hour", "day", "week" from Monday, "month", "year") of time zone `tz`.

    When it is spent jobs wait for the next period, or fail at once: `on_exhausted="park"` or `"fail"`.
    """

    kind = "quota"

    def __init__(
        self,
        name: str,
        capacity: int,
        *,
        per: Period,
        tz: str = "UTC",
        on_exhausted: Literal["park", "fail"] = "park",
        key: str | None = None,
    ) -> None:
        super().__init__(name, capacity, key)
        if per not in PERIODS:
            message = f"limit {name!r}: per={per!r} is no calendar period (known: {', '.join(PERIODS)})"
            raise ConfigurationError(message)
        if on_exhausted not in ("park", "fail"):
            message = f"limit {name!r}: on_exhausted={on_exhausted!r} is unknown (known: park, fail)"
            raise ConfigurationError(message)
        _zone(name, tz)
        self.per, self.tz, self.on_exhausted = per, tz, on_exhausted

    @property
    def rate(self) -> str:
        """The limit in words."""
        return f"{self.capacity}/{self.per} ({self.tz})"

    def bound(self, window_s: float) -> int:
        """Most tokens that can be taken in any closed window of `window_s` seconds: one period may end and another begin in it."""
        shortest_s = {"hour": 3_600, "day": 82_800, "week": 601_200, "month": 2_415_600, "year": 31_532_400}[self.per]
        return self.capacity * (2 + int(window_s // shortest_s))

    @override
    def full_bucket(self, now_us: int) -> Bucket:
        """A bucket of which nothing has been taken yet, in virtual time."""
        return _Counter(self)

    def fields(self) -> dict[str, Any]:
        """The numbers of this kind, as the scripts read them."""
        return {
            "rate": self.rate,
            "per": self.per,
            "tz": self.tz,
            "calendar": calendar_name(self.per, self.tz),
            "on_exhausted": self.on_exhausted,
            "period_us": 3_600 * MICROSECONDS,
        }

    def __repr__(self) -> str:
        return f"Quota({self.name!r}, {self.capacity}, per={self.per!r}, tz={self.tz!r}" + (f", key={self.key!r})" if self.key else ")")


class _Counter(Bucket):
    """What was taken in the period under way; lua/include/quota.lua computes the same. Its calendar never ends."""

    def __init__(self, policy: Quota) -> None:
        self._policy = policy
        self._used = 0
        self._begins_us = self._ends_us = 0

    def _refill(self, now_us: int) -> None:
        if not self._begins_us <= now_us < self._ends_us:
            self._used = 0
            self._begins_us, self._ends_us = period_of(self._policy.per, self._policy.tz, now_us)

    @override
    def wait_us(self, cost: int, now_us: int, reserved: int = 0) -> int | None:
        self._refill(now_us)
        capacity = self._policy.capacity
        return 0 if self._used + reserved + min(cost, capacity) <= capacity else self._ends_us - now_us

    @override
    def take(self, cost: int, now_us: int, holder: str) -> None:
        self._refill(now_us)
        self._used += cost

    @override
    def give_back(self, holder: str, now_us: int) -> None:
        """What is spent stays spent until the period ends."""


def calendar_name(per: str, tz: str) -> str:
    """The part of a key that names a calendar: limits of equal periods and zone share one."""
    return f"{per}:{tz}"


def period_starts(per: str, tz: str, now_us: int) -> list[int]:
    """Instants (µs) at which periods begin: the one `now_us` is in, and `PERIODS[per]` after it."""
    zone = _zone(f"calendar {per}", tz)
    first = _floor(datetime.fromtimestamp(now_us / MICROSECONDS, zone), per)
    starts = _following(first, per)
    return [round(next(starts).timestamp()) * MICROSECONDS for _ in range(PERIODS[per] + 1)]


def period_of(per: str, tz: str, now_us: int) -> tuple[int, int]:
    """(begin, end) in µs of the period that `now_us` is in; a begin belongs to its period, an end to the next."""
    starts = _calendar(per, tz, now_us // _PAGE_US)
    following = bisect_right(starts, now_us)
    return starts[following - 1], starts[following]


@lru_cache(maxsize=64)
def _calendar(per: str, tz: str, page: int) -> list[int]:
    return period_starts(per, tz, page * _PAGE_US)


def _floor(moment: datetime, per: str) -> datetime:
    if per == "hour":
        # In UTC steps: an hour that daylight saving repeats is two hours.
        return (
            moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
            if _whole_hours(moment)
            else moment.replace(minute=0, second=0, microsecond=0)
        )
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if per == "week":
        return midnight - timedelta(days=midnight.weekday())
    if per == "month":
        return midnight.replace(day=1)
    if per == "year":
        return midnight.replace(month=1, day=1)
    return midnight


def _following(first: datetime, per: str) -> Iterator[datetime]:
    """Wall-clock steps: a day is from midnight to midnight, whether it has 23, 24 or 25 hours."""
    moment = first
    while True:
        yield moment
        if per == "hour":
            moment = (moment.astimezone(UTC) + timedelta(hours=1)).astimezone(moment.tzinfo)
        elif per == "day":
            moment += timedelta(days=1)
        elif per == "week":
            moment += timedelta(days=7)
        elif per == "month":
            moment = moment.replace(year=moment.year + moment.month // 12, month=moment.month % 12 + 1)
        else:
            moment = moment.replace(year=moment.year + 1)


def _whole_hours(moment: datetime) -> bool:
    offset = moment.utcoffset() or timedelta()
    return offset % timedelta(hours=1) == timedelta()


def _zone(name: str, tz: str) -> ZoneInfo:
    try:
        return ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = (
            f"limit {name!r}: time zone {tz!r} is unknown; write one like 'Europe/Berlin' (on a slim system install the tzdata package)"
        )
        raise ConfigurationError(message) from error
