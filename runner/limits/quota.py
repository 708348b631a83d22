"""Quota: so much per calendar period of a time zone. The scripts know no calendar: Python publishes the instants at which periods begin."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, Self, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from typing_extensions import override

from runner.clock import MICROSECONDS, microseconds
from runner.errors import ConfigurationError
from runner.limits.bucket import Bucket
from runner.limits.limit_text import Form, LimitText, whole_number
from runner.limits.policy import Limit
from runner.limits.usage import Taken, Usage

Period = Literal["hour", "day", "week", "month", "year"]
OnExhausted = Literal["park", "fail"]
PERIODS: dict[str, int] = {"hour": 24 * 60, "day": 400, "week": 60, "month": 30, "year": 5}
"""How many periods ahead a calendar is published; it is extended long before it ends."""
_NOMINAL_DAYS = {"hour": 1 / 24, "day": 1, "week": 7, "month": 30, "year": 365}
_SHORTEST_S = {"hour": 3_600, "day": 82_800, "week": 601_200, "month": 2_415_600, "year": 31_532_400}
"""With an hour that daylight saving leaves out."""
_PAGE_US = 30 * 86_400 * MICROSECONDS
"""Far less than the length of any published calendar, so a calendar that begins with a page covers all of it."""


class Quota(Limit):
    """At most `capacity` tokens in each calendar `per` ("hour", "day", "week" from Monday, "month", "year") of time zone `tz`.

    When it is spent jobs wait for the next period, or fail at once: `on_exhausted="park"` or `"fail"`.
    """

    kind = "quota"
    script_fields = frozenset({"calendar"})
    forms = (Form("quota", "quota:1000/month@Europe/Berlin", frozenset({"on_exhausted"})),)
    resets = True

    def __init__(
        self,
        name: str,
        capacity: int,
        *,
        per: Period,
        tz: str = "UTC",
        on_exhausted: OnExhausted = "park",
        key: str | None = None,
    ) -> None:
        super().__init__(name, capacity, key)
        if per not in PERIODS:
            raise ConfigurationError(f"limit {name!r}: per={per!r} is no calendar period (known: {', '.join(PERIODS)})")
        if on_exhausted not in ("park", "fail"):
            raise ConfigurationError(f"limit {name!r}: on_exhausted={on_exhausted!r} is unknown (known: park, fail)")
        _zone(name, tz)
        self.per, self.tz, self.on_exhausted = per, tz, on_exhausted
        self.calendar = calendar_name(per, tz)
        self.fails_when_spent = on_exhausted == "fail"
        self.window_words = f"in one {per}"
        self.fill_us = microseconds(_NOMINAL_DAYS[per] * 86_400)

    @property
    @override
    def rate(self) -> str:
        """The limit in words."""
        return f"{self.capacity}/{self.per} ({self.tz})"

    @property
    @override
    def period_us(self) -> int:
        """An hour for every period."""
        return 3_600 * MICROSECONDS

    @override
    def bound(self, window_s: float) -> int:
        """Most tokens that can be taken in any closed window of `window_s` seconds: one period may end and another begin in it."""
        return self.capacity * (2 + int(window_s // _SHORTEST_S[self.per]))

    @override
    def full_bucket(self, now_us: int) -> Bucket:
        """A bucket of which nothing has been taken yet, in virtual time."""
        return _Counter(self)

    @override
    def usage(self, taken: Sequence[Taken], first_us: int) -> Usage:
        """By calendar periods."""
        used: Counter[tuple[int, int]] = Counter()
        for row in taken:
            used[period_of(self.per, self.tz, row.at_us)] += row.cost
        periods = _periods_touched(self.per, self.tz, first_us, taken[-1].at_us)
        return Usage(max(used.values()), used.total() / (self.capacity * periods))

    @override
    def fields(self) -> dict[str, Any]:
        """The period, and what becomes of a job when it is spent."""
        return {"per": self.per, "tz": self.tz, "calendar": self.calendar, "on_exhausted": self.on_exhausted}

    @classmethod
    @override
    def from_policy(cls, policy: Mapping[str, Any]) -> Self:
        """The limit that was published with these fields."""
        per, tz, on_exhausted = policy["per"], policy["tz"], policy["on_exhausted"]
        return cls(policy["name"], policy["capacity"], per=per, tz=tz, on_exhausted=on_exhausted, key=policy["key"])

    @classmethod
    @override
    def from_text(cls, text: LimitText) -> Self:
        """`quota:1000/month@Europe/Berlin`."""
        amount, slash, rest = text.body.partition("/")
        per, _, tz = rest.partition("@")
        if not slash:
            raise ValueError(f"{text.body!r} names no period")
        # The constructor refuses a period or an on_exhausted that it does not know.
        on_exhausted = cast("OnExhausted", text.options.get("on_exhausted", "park"))
        return cls(text.name, whole_number(amount), per=cast("Period", per), tz=tz or "UTC", on_exhausted=on_exhausted, key=text.key)

    @override
    def _changed(self, given: Mapping[str, Any]) -> Self:
        return type(self)(self.name, given["capacity"], per=self.per, tz=self.tz, on_exhausted=self.on_exhausted, key=self.key)

    def __repr__(self) -> str:
        return f"Quota({self.name!r}, {self.capacity}, per={self.per!r}, tz={self.tz!r}" + (f", key={self.key!r})" if self.key else ")")


class _Counter(Bucket):
    """What was taken in the current period; lua/include/quota.lua computes the same. Its calendar never ends."""

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


def _periods_touched(per: str, tz: str, from_us: int, to_us: int) -> int:
    count, (_, end_us) = 1, period_of(per, tz, from_us)
    while end_us <= to_us:
        count, (_, end_us) = count + 1, period_of(per, tz, end_us)
    return count


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
        raise ConfigurationError(
            f"limit {name!r}: time zone {tz!r} is unknown; write one like 'Europe/Berlin' (on a slim system install the tzdata package)"
        ) from error
