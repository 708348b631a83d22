"""SlidingWindow: never more than `capacity` in any window of its length. Each token comes back when its own window has passed."""

import copy
from collections import deque
from collections.abc import Mapping
from typing import Any, Self

from typing_extensions import override

from runner.clock import MICROSECONDS
from runner.errors import ConfigurationError
from runner.limits.bucket import Bucket, Burst, StoredBucket
from runner.limits.limit_text import Form, LimitText
from runner.limits.policy import Limit
from runner.limits.rates import duration_in_words, parse_rate

MOST_IN_WINDOW = 100_000
"""Redis keeps each start within the window, so a window cannot hold any number of them."""


class SlidingWindow(Limit):
    """At most `capacity` tokens in any `per` seconds, exactly: each comes back when `per` seconds have passed since it was taken.

    Exact, and it costs memory for each start in the window; a smooth `TokenBucket` costs none.
    With `jitter` (seconds) the window is that of the provider's door, which one call may reach so much later than another: starts are kept
    to a window that is longer by it.
    With `shared=True` all queues that declare a limit of this name share one window; a name shares it in a scope of that name.
    Raises `ConfigurationError` for a window that cannot work.
    """

    kind = "sliding_window"
    numbers = frozenset({"capacity", "per"})
    forms = (Form("window", "window:100/60s", frozenset({"jitter"})),)

    window_us: int
    declared: "SlidingWindow | None" = None

    def __init__(
        self, name: str, capacity: int, *, per: float, key: str | None = None, jitter: float = 0, shared: bool | str = False
    ) -> None:
        super().__init__(name, capacity, key)
        self.window_us = self.fill_us = self._span_us("per", per)
        self.jitter_us = self._jitter_us(jitter)
        if self.jitter_us:
            self.declared = copy.copy(self)
            self.declared.jitter_us = 0
            self.window_us = self.fill_us = self.window_us + self.jitter_us
        if self.capacity > MOST_IN_WINDOW:
            raise ConfigurationError(
                f"limit {name!r}: a sliding window remembers each start, at most {MOST_IN_WINDOW}; use TokenBucket for {capacity}"
            )
        self.shared = self._scope(shared)

    @property
    @override
    def rate(self) -> str:
        """The rate in words."""
        return f"{self.capacity}/{duration_in_words(self.window_us)}"

    @property
    @override
    def words(self) -> str:
        """The rate, and what it allows for."""
        return self._with_declared(self.rate)

    @property
    @override
    def period_us(self) -> int:
        """The time of one token at the average rate."""
        return -(-self.window_us // self.capacity)

    @override
    def _most_within(self, window_us: int) -> int:
        return self.capacity * (1 + window_us // (self.window_us + 1))

    @override
    def full_bucket(self, now_us: int) -> Bucket:
        """A bucket of which nothing has been taken yet, in virtual time."""
        return _Starts(self)

    @override
    def bucket_of(self, stored: StoredBucket, now_us: int) -> Bucket:
        """The bucket that Redis holds, in virtual time."""
        bucket = _Starts(self)
        for at_us, cost in stored.rows:
            bucket.take(cost, at_us, "")
        bucket.pace(stored.numbers["next_at"], stored.numbers["paced_until"])
        return bucket

    @override
    def fields(self) -> dict[str, Any]:
        """The length of the window."""
        return {"window_us": self.window_us}

    @classmethod
    @override
    def from_policy(cls, policy: Mapping[str, Any]) -> Self:
        """The limit that was published with these fields."""
        jitter_us = policy.get("jitter_us", 0)
        per = (policy["window_us"] - jitter_us) / MICROSECONDS
        return cls(policy["name"], policy["capacity"], per=per, key=policy["key"], jitter=jitter_us / MICROSECONDS)

    @classmethod
    @override
    def from_text(cls, text: LimitText) -> Self:
        """`window:100/60s`."""
        capacity, window_us = parse_rate(text.body)
        return cls(text.name, capacity, per=window_us / MICROSECONDS, key=text.key, jitter=text.jitter)

    @override
    def _changed(self, given: Mapping[str, Any]) -> Self:
        per = given.get("per", (self.declared or self).window_us / MICROSECONDS)
        return type(self)(self.name, given.get("capacity", self.capacity), per=per, key=self.key, jitter=self.jitter_s)

    def __repr__(self) -> str:
        per_s = (self.declared or self).window_us / MICROSECONDS
        return f"SlidingWindow({self.name!r}, {self.capacity}, per={per_s:g}{self._options_in_words()})"


class _Starts(Bucket):
    """Each start until its own window has passed; lua/include/sliding_window.lua computes the same.

    What was taken at t can be taken again from t + window + 1 µs on: a closed window of that length never holds both.
    """

    def __init__(self, policy: SlidingWindow) -> None:
        self._capacity = policy.capacity
        self._window_us = policy.window_us
        self._period_us = policy.period_us
        self._next_us = self._paced_until_us = 0
        self._taken: deque[tuple[int, int]] = deque()
        self._used = 0

    def pace(self, next_us: int, until_us: int) -> None:
        """After a freeze starts are spread: none before `next_us`, and then one a period, up to `until_us`."""
        self._next_us, self._paced_until_us = next_us, until_us

    def _refill(self, now_us: int) -> None:
        while self._taken and self._taken[0][0] < now_us - self._window_us:
            self._used -= self._taken.popleft()[1]

    @override
    def wait_us(self, cost: int, now_us: int, reserved: int = 0) -> int | None:
        self._refill(now_us)
        excess = self._used + reserved + min(cost, self._capacity) - self._capacity
        if excess <= 0:
            return 0 if now_us >= self._paced_until_us else self._paced_us(now_us, reserved)
        # After one whole window of starts (more, if the capacity was lowered) each further one waits for the same place in the next.
        windows = max(-((max(self._used, self._capacity) - excess) // self._capacity), 0)
        excess -= windows * self._capacity
        last_us = now_us
        for at_us, taken in self._taken:
            excess, last_us = excess - taken, at_us
            if excess <= 0:
                break
        return max(last_us + (windows + 1) * self._window_us + 1 - now_us, 1)

    @override
    def take(self, cost: int, now_us: int, holder: str) -> None:
        if cost > 0:
            self._refill(now_us)
            self._taken.append((now_us, cost))
            self._used += cost
            if now_us < self._paced_until_us:
                self._next_us = max(self._next_us, now_us) + cost * self._period_us

    def _paced_us(self, now_us: int, reserved: int) -> int:
        return min(max(self._next_us - now_us, 0) + reserved * self._period_us, self._paced_until_us - now_us)

    @override
    def give_back(self, holder: str, now_us: int) -> None:
        """A start stays in its window whenever it ends."""

    @override
    def felt_us(self, due_us: int, now_us: int) -> int:
        return self._window_us

    @override
    def each_us(self, cost: int, now_us: int) -> float:
        return self._window_us * cost / self._capacity

    @override
    def burst(self, cost: int, now_us: int, reserved: int) -> Burst | None:
        """Nothing is lost at an instant: a quarter of the window is long enough. Without tokens for two jobs there is no burst."""
        self._refill(now_us)
        if self._capacity - self._used - reserved < 2 * cost:
            return None
        quarter_us = -(-self._window_us // 4)
        return Burst((now_us // quarter_us + 1) * quarter_us)
