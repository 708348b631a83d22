"""Quota: so much per calendar period of a time zone. The scripts know no calendar: Python publishes the instants at which periods begin."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, Self, cast

from typing_extensions import override

from runner.clock import MICROSECONDS, microseconds
from runner.errors import ConfigurationError
from runner.limits.bucket import Bucket, Burst, StoredBucket, lead_us
from runner.limits.budget import unit_of, warnings_of
from runner.limits.calendar import CUT_S, PERIODS, SHORTEST_S, Period, calendar_name, period_of, periods_touched, zone_of
from runner.limits.limit_text import Form, LimitText, whole_number
from runner.limits.policy import Limit
from runner.limits.usage import Taken, Usage

OnExhausted = Literal["park", "fail"]
_NOMINAL_DAYS = {"hour": 1 / 24, "day": 1, "week": 7, "month": 30, "year": 365}
_MOST_PERIODS = 100
_PROBE_GAP_US = MICROSECONDS
"""How many periods ahead an instant is computed."""


class Quota(Limit):
    """At most `capacity` tokens in each calendar `per` ("hour", "day", "week" from Monday, "month", "year") of time zone `tz`.

    When it is spent jobs wait for the next period, or fail at once: `on_exhausted="park"` or `"fail"`.
    With `jitter` (seconds) nothing starts in so much time before the end of a period: a call that started in it could be counted in the next.
    With `shared=True` all queues that declare a limit of this name share one quota; a name shares it in a scope of that name.
    With a `unit` it is a budget: a token is the 10^`scale`-th part of one (unit="USD", scale=2: cents), it is shown so, and what is spent
    is counted by task and key; a shared one can be none yet. `warn_at`: shares of it (0.8, or several) of which `on_budget` hooks are told, once a period each.
    """

    kind = "quota"
    script_fields = frozenset({"calendar"})
    forms = (Form("quota", "quota:1000/month@Europe/Berlin", frozenset({"on_exhausted", "jitter", "unit", "scale"})),)
    resets = True

    fill_us: int

    def __init__(
        self,
        name: str,
        capacity: int,
        *,
        per: Period,
        tz: str = "UTC",
        on_exhausted: OnExhausted = "park",
        key: str | None = None,
        jitter: float = 0,
        shared: bool | str = False,
        unit: str | None = None,
        scale: int = 0,
        warn_at: float | Sequence[float] = (),
    ) -> None:
        super().__init__(name, capacity, key)
        if per not in tuple(PERIODS):
            raise ConfigurationError(f"limit {name!r}: per={per!r} is no calendar period (known: {', '.join(PERIODS)})")
        if on_exhausted not in ("park", "fail"):
            raise ConfigurationError(f"limit {name!r}: on_exhausted={on_exhausted!r} is unknown (known: park, fail)")
        zone_of(name, tz)
        self.unit = unit_of(f"limit {name!r}", unit, scale)
        self.warn_at = warnings_of(f"limit {name!r}", warn_at)
        self.jitter_us = self._jitter_us(jitter)
        if self.jitter_us >= microseconds(SHORTEST_S[per]):
            raise ConfigurationError(
                f"limit {name!r}: with jitter={jitter:g} nothing would ever start, a period of one {per} is not longer"
            )
        self.per, self.tz, self.on_exhausted = per, tz, on_exhausted
        self.calendar = calendar_name(per, tz)
        self.fails_when_spent = on_exhausted == "fail"
        self.window_words = f"in one {per}"
        self.fill_us = microseconds(_NOMINAL_DAYS[per] * 86_400)
        self.shared = self._scope(shared)
        if self.shared is not None and (self.jitter_us or self.fails_when_spent or self.unit or self.warn_at):
            budget = "unit" if self.unit else "warn_at"
            option = "jitter" if self.jitter_us else 'on_exhausted="fail"' if self.fails_when_spent else budget
            raise ConfigurationError(
                f"limit {name!r}: a quota that several queues share cannot have {option}, as a queue knows neither what is left nor when it ends"
            )

    @property
    @override
    def rate(self) -> str:
        """The limit in words."""
        return f"{self.unit.words(self.capacity) if self.unit else self.capacity}/{self.per} ({self.tz})"

    @property
    @override
    def period_us(self) -> int:
        """An hour for every period."""
        return 3_600 * MICROSECONDS

    @override
    def _most_within(self, window_us: int) -> int:
        """One period may end and another begin in it."""
        return self.capacity * (2 + int((window_us / MICROSECONDS + CUT_S[self.per]) // SHORTEST_S[self.per]))

    @override
    def bound(self, window_s: float, *, arriving: bool = False) -> int:
        """Most tokens that can be taken in any closed window of `window_s` seconds: calls arrive in the period in which they started."""
        return self._most_within(microseconds(window_s))

    @override
    def full_bucket(self, now_us: int) -> Bucket:
        """A bucket of which nothing has been taken yet, in virtual time."""
        return _Counter(self)

    @override
    def bucket_of(self, stored: StoredBucket, now_us: int) -> Bucket:
        """The bucket that Redis holds, in virtual time."""
        bucket = _Counter(self, [at_us for at_us, _ in stored.rows], stored.numbers.get("period", now_us))
        bucket.take(stored.numbers["used"], now_us, "")
        bucket.probe(bool(stored.numbers.get("probe", 0)), stored.numbers.get("resumes", 0))
        bucket.lower(stored.numbers.get("lowered", 0), stored.numbers.get("back", 0))
        return bucket

    @override
    def usage(self, taken: Sequence[Taken], first_us: int) -> Usage:
        """By calendar periods."""
        used: Counter[tuple[int, int]] = Counter()
        for row in taken:
            used[period_of(self.per, self.tz, row.at_us)] += row.cost
        periods = periods_touched(self.per, self.tz, first_us, taken[-1].at_us)
        return Usage(max(used.values()), used.total() / (self.capacity * periods))

    @override
    def fields(self) -> dict[str, Any]:
        """The period, and what becomes of a job when it is spent."""
        own = {"per": self.per, "tz": self.tz, "calendar": self.calendar, "on_exhausted": self.on_exhausted}
        return own | (self.unit.fields() if self.unit else {}) | ({"warn_at": [*self.warn_at]} if self.warn_at else {})

    @classmethod
    @override
    def from_policy(cls, policy: Mapping[str, Any]) -> Self:
        """The limit that was published with these fields."""
        per, tz, on_exhausted, jitter_s = policy["per"], policy["tz"], policy["on_exhausted"], policy.get("jitter_us", 0) / MICROSECONDS
        budget = {name: policy[name] for name in ("unit", "scale", "warn_at") if name in policy}
        return cls(
            policy["name"], policy["capacity"], per=per, tz=tz, on_exhausted=on_exhausted, key=policy["key"], jitter=jitter_s, **budget
        )

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
        zone = tz or "UTC"
        period = cast("Period", per)
        unit, scale = text.options.get("unit"), whole_number(text.options.get("scale", "0"))
        make = partial(cls, on_exhausted=on_exhausted, key=text.key, jitter=text.jitter, unit=unit, scale=scale)
        return make(text.name, whole_number(amount), per=period, tz=zone)

    @override
    def _changed(self, given: Mapping[str, Any]) -> Self:
        make = partial(type(self), self.name, per=self.per, tz=self.tz, on_exhausted=self.on_exhausted, key=self.key, jitter=self.jitter_s)
        unit, scale = self.unit or (None, 0)
        return make(given["capacity"], unit=unit, scale=scale, warn_at=self.warn_at)

    def __repr__(self) -> str:
        budget = f", unit={self.unit.name!r}, scale={self.unit.scale}" if self.unit else ""
        budget += f", warn_at={self.warn_at}" if self.warn_at else ""
        return f"Quota({self.name!r}, {self.capacity}, per={self.per!r}, tz={self.tz!r}{self._options_in_words()}{budget})"


class _Counter(Bucket):
    """What was taken in the current period; lua/include/quota.lua computes the same. Its calendar never ends."""

    def __init__(self, policy: Quota, begins_us: Sequence[int] = (), period_us: int = 0) -> None:
        self._policy = policy
        self._used = 0
        self._following_us = deque(begins_us)
        """When the next periods begin, as far as that was published."""
        self._begins_us, self._ends_us = (period_us, begins_us[0]) if begins_us else (0, 0)
        self._probing, self._resumes_us = False, 0
        self._lowered, self._back_us = 0, 0

    def lower(self, tokens: int, back_us: int) -> None:
        """So many of what is used are no starts of ours, and come back at an instant: a provider has said so."""
        self._lowered, self._back_us = tokens, back_us

    def probe(self, probing: bool, resumes_us: int) -> None:
        """After a freeze one job starts alone, and the others from an instant on."""
        self._probing, self._resumes_us = probing, resumes_us

    def _refill(self, now_us: int) -> None:
        if self._begins_us <= now_us < self._ends_us:
            if self._lowered and now_us >= self._back_us:
                self._used, self._lowered = max(self._used - self._lowered, 0), 0
            return
        self._used = self._lowered = 0
        self._begins_us = now_us
        while self._following_us and self._following_us[0] <= now_us:
            self._begins_us = self._following_us.popleft()
        if self._following_us:
            self._ends_us = self._following_us[0]
        else:
            self._begins_us, self._ends_us = period_of(self._policy.per, self._policy.tz, now_us)

    @override
    def wait_us(self, cost: int, now_us: int, reserved: int = 0) -> int | None:
        self._refill(now_us)
        capacity = self._policy.capacity
        excess = self._used + reserved + min(cost, capacity) - capacity
        if excess <= 0 and self._ends_us - now_us <= self._policy.jitter_us:
            return self._ends_us - now_us
        if excess <= 0:
            return _PROBE_GAP_US if self._probing and reserved > 0 else max(self._resumes_us - now_us, 0)
        if excess <= self._lowered:
            return self._back_us - now_us
        ends_us = self._ends_us
        for _ in range(min(-(-excess // capacity), _MOST_PERIODS) - 1):
            _, ends_us = period_of(self._policy.per, self._policy.tz, ends_us)
        return ends_us - now_us

    @override
    def take(self, cost: int, now_us: int, holder: str) -> None:
        self._refill(now_us)
        self._used += cost
        if self._probing:
            self._probing, self._resumes_us = False, now_us + _PROBE_GAP_US

    @override
    def give_back(self, holder: str, now_us: int) -> None:
        """What is spent stays spent until the period ends."""

    @override
    def felt_us(self, due_us: int, now_us: int) -> int:
        self._refill(now_us)
        return due_us - (self._ends_us if due_us >= self._ends_us else self._begins_us)

    @override
    def each_us(self, cost: int, now_us: int) -> float:
        self._refill(now_us)
        return (self._ends_us - self._begins_us) * cost / self._policy.capacity

    @override
    def burst(self, cost: int, now_us: int, reserved: int) -> Burst | None:
        self._refill(now_us)
        return Burst(self._ends_us - lead_us(self._ends_us - self._begins_us), self._ends_us)
