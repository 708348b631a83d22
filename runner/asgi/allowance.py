"""Allowance: what a limit allows, whatever its kind, in the two numbers that callers are told and local buckets are made of."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runner.clock import MICROSECONDS
from runner.limits import EXACT, Limit, Quota, SlidingWindow, TokenBucket

_NOMINAL_DAYS = {"hour": 1 / 24, "day": 1, "week": 7, "month": 30, "year": 365}
_NOT_WORTH_A_SECOND_US = 1_000
"""A window of 60 s whose first token returns in 60.000001 s is told as 60."""
_LONGEST_US = EXACT // 1024 - 1


@dataclass(frozen=True, slots=True)
class Allowance:
    """`capacity` tokens in `window_us`, which is the time in which an empty bucket fills at its average rate.

    `resets` says that all of them come at once, at an instant of the calendar, and none before it.
    """

    limit: str
    capacity: int
    window_us: int
    resets: bool = False

    @classmethod
    def of(cls, policy: Mapping[str, Any]) -> "Allowance":
        """Of a policy as it is published. Raises KeyError for a kind that is no rate."""
        window_us = _WINDOWS[policy["kind"]](policy)
        return cls(policy["name"], policy["capacity"], max(window_us, 1), policy["kind"] == Quota.kind)

    @classmethod
    def of_limit(cls, limit: Limit) -> "Allowance":
        """Of a limit as the code declares it."""
        return cls.of(json.loads(limit.to_json()))

    @property
    def window_s(self) -> int:
        """Whole seconds, at least one: the `w` of RateLimit-Policy."""
        return _whole_seconds(self.window_us)

    @property
    def quota(self) -> int:
        """Tokens in `window_s`: the `q` of RateLimit-Policy. A bucket that fills faster than in a second is told by the second."""
        return max(self.capacity, self.capacity * MICROSECONDS // self.window_us)

    def effective_s(self, left: int, next_s: float) -> int:
        """The `t` of RateLimit: for how long no more than `left` should be used, when the next token lands in `next_s`.

        Never so short that `left` in that time is more than the average rate: a client that divides the one by the other
        would be led to overdo it (section 8.5 of the draft).
        """
        next_us = next_s * MICROSECONDS
        evenly_us = left * self.window_us / self.capacity
        return _whole_seconds((next_us if self.resets and next_us > 0 else max(next_us, evenly_us)) - _NOT_WORTH_A_SECOND_US)

    def shared_by(self, instances: int) -> "Allowance":
        """The part of one of so many instances: capacity / instances, but at least 1, at 1 / instances of the rate."""
        capacity = max(1, self.capacity // instances)
        return Allowance(self.limit, capacity, -(-self.window_us * instances * capacity // self.capacity))

    def bucket(self) -> TokenBucket:
        """A token bucket of this capacity and average rate, whose tokens come one by one."""
        every_us = min(max(-(-self.window_us // self.capacity), 1), _LONGEST_US)
        return TokenBucket(self.limit, capacity=self.capacity, refill=1, every=every_us / MICROSECONDS)


def _whole_seconds(microseconds: float) -> int:
    return max(int(-(-microseconds // MICROSECONDS)), 1)


def _days_us(days: float) -> int:
    return round(days * 86_400 * MICROSECONDS)


_WINDOWS: dict[str, Callable[[Mapping[str, Any]], int]] = {
    TokenBucket.kind: lambda policy: -(-policy["capacity"] * policy["every_us"] // policy["refill"]),
    SlidingWindow.kind: lambda policy: policy["window_us"],
    Quota.kind: lambda policy: _days_us(_NOMINAL_DAYS[policy["per"]]),
}
