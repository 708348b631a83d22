"""Allowance: what a limit of any kind allows, in two numbers: callers are told them, and local buckets are made of them."""

from dataclasses import dataclass

from runner.clock import MICROSECONDS, microseconds
from runner.limits import EXACT, Limit, TokenBucket

_NOT_WORTH_A_SECOND_US = 1_000
"""A window of 60 s whose first token comes back in 60.000001 s is told as 60."""
_LONGEST_US = EXACT // 1024 - 1


@dataclass(frozen=True, slots=True)
class Allowance:
    """`capacity` tokens in `window_us`, which is the time in which an empty bucket fills at its average rate.

    With `resets` all of them come back together at an instant of the calendar, and none before it. `is_shared`: by several queues, so that nobody
    here knows how many are left.
    """

    limit: str
    capacity: int
    window_us: int
    resets: bool = False
    is_shared: bool = False

    @classmethod
    def of(cls, limit: Limit) -> "Allowance":
        """What a limit allows. Raises TypeError for one that bounds no rate."""
        if limit.fill_us is None:
            raise TypeError(f"limit {limit.name!r} bounds no rate: no caller can be told when to come back")
        return cls(limit.name, limit.capacity, limit.fill_us, limit.resets, limit.shared is not None)

    @property
    def window_s(self) -> int:
        """Whole seconds, at least one: the `w` of RateLimit-Policy."""
        return _whole_seconds(self.window_us)

    @property
    def quota(self) -> int:
        """Tokens in `window_s`: the `q` of RateLimit-Policy. For a bucket that fills in less than a second it counts the tokens of a second."""
        return max(self.capacity, self.capacity * MICROSECONDS // self.window_us)

    def effective_s(self, left: int, next_s: float) -> int:
        """The `t` of RateLimit: for how long the caller should use no more than `left`, when the next token lands in `next_s`.

        Never so short that `left` in that time exceeds the average rate: a client that divides one by the other would send
        too much (section 8.5 of the draft).
        """
        next_us = microseconds(next_s)
        evenly_us = left * self.window_us / self.capacity
        return _whole_seconds((next_us if self.resets and next_us > 0 else max(next_us, evenly_us)) - _NOT_WORTH_A_SECOND_US)

    def shared_by(self, instances: int) -> "Allowance":
        """The part of one instance: capacity / instances, but at least 1, at 1 / instances of the rate."""
        capacity = max(1, self.capacity // instances)
        return Allowance(self.limit, capacity, -(-self.window_us * instances * capacity // self.capacity))

    def bucket(self) -> TokenBucket:
        """A token bucket of this capacity and average rate, whose tokens come one by one."""
        every_us = min(max(-(-self.window_us // self.capacity), 1), _LONGEST_US)
        return TokenBucket(self.limit, capacity=self.capacity, refill=1, every=every_us / MICROSECONDS)


def _whole_seconds(time_us: float) -> int:
    return max(int(-(-time_us // MICROSECONDS)), 1)
