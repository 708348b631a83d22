"""Starts as they happened, held against what a limit of any kind promises for every window, period or instant."""

from collections import Counter
from collections.abc import Iterable, Sized
from dataclasses import dataclass, field
from itertools import accumulate

from runner.limits import Concurrency, Limit, Quota, SlidingWindow, TokenBucket
from runner.limits.calendar import period_of

_MOST_INTERVALS = 100


@dataclass
class Starts:
    """Starts as they happened: instants and costs, and where it matters the instants at which they ended."""

    at_us: list[int] = field(default_factory=list)
    costs: list[int] = field(default_factory=list)
    ends_us: list[int] = field(default_factory=list)

    def add(self, now_us: int, cost: int = 1, end_us: int | None = None) -> None:
        self.at_us.append(now_us)
        self.costs.append(cost)
        self.ends_us.append(now_us if end_us is None else end_us)

    def add_all(self, now_us: int, started: Sized) -> None:
        """As many starts as were made, of one token each."""
        for _ in range(len(started)):
            self.add(now_us)

    def excess(self, policy: Limit) -> int:
        """The most tokens by which the limit was exceeded, in any closed window, period or instant; 0 or less is well."""
        if isinstance(policy, TokenBucket):
            return self._excess_of_smooth(policy) if policy.smooth else self._excess_of_interval(policy)
        if isinstance(policy, SlidingWindow):
            return self._most_within(policy.window_us) - policy.capacity
        if isinstance(policy, Quota):
            return self._most_in_a_period(policy) - policy.capacity
        assert isinstance(policy, Concurrency)
        return self._most_at_once() - policy.capacity

    def _excess_of_smooth(self, policy: TokenBucket, more: int = 0) -> int:
        """As if the capacity was so much `more`."""
        # In one pass: with X = tokens so far * I - R * t, a window's excess over C + R * W / I is the rise of X within it.
        capacity = policy.capacity + more
        worst, lowest = -capacity * policy.every_us, None
        for taken, cost, at_us in zip(accumulate(self.costs), self.costs, self.at_us, strict=True):
            before = (taken - cost) * policy.every_us - policy.refill * at_us
            lowest = before if lowest is None else min(lowest, before)
            worst = max(worst, before + cost * policy.every_us - lowest - capacity * policy.every_us)
        return -(-worst // policy.every_us)

    def _excess_of_interval(self, policy: TokenBucket) -> int:
        """Exact for windows of up to `_MOST_INTERVALS`, as each pair of starts is one; of longer ones those far beyond the bound are found."""
        worst = self._excess_of_smooth(policy, more=policy.refill - 1)
        longest_us = policy.every_us * _MOST_INTERVALS
        for first, start_us in enumerate(self.at_us):
            taken = 0
            for last in range(first, len(self.at_us)):
                if self.at_us[last] > start_us + longest_us:
                    break
                taken += self.costs[last]
                if last + 1 == len(self.at_us) or self.at_us[last + 1] != self.at_us[last]:
                    worst = max(worst, taken - bound(policy, self.at_us[last] - start_us))
        return worst

    def _most_within(self, window_us: int) -> int:
        """Most tokens in a closed window of this length."""
        most = taken = first = 0
        for last, at_us in enumerate(self.at_us):
            taken += self.costs[last]
            while self.at_us[first] < at_us - window_us:
                taken -= self.costs[first]
                first += 1
            most = max(most, taken)
        return most

    def _most_in_a_period(self, policy: Quota) -> int:
        taken = Counter[int]()
        for at_us, cost in zip(self.at_us, self.costs, strict=True):
            taken[period_of(policy.per, policy.tz, at_us)[0]] += cost
        return max(taken.values(), default=0)

    def _most_at_once(self) -> int:
        changes = [(end_us, -cost) for end_us, cost in zip(self.ends_us, self.costs, strict=True)]
        changes += list(zip(self.at_us, self.costs, strict=True))
        return max(accumulate(cost for _, cost in sorted(changes)), default=0)


def merged(several: Iterable[Starts]) -> Starts:
    """Those of several queues as those of one, in the order of their instants."""
    together = Starts()
    for at_us, cost, end_us in sorted(row for starts in several for row in zip(starts.at_us, starts.costs, starts.ends_us, strict=True)):
        together.add(at_us, cost, end_us)
    return together


def bound(policy: TokenBucket, window_us: int) -> int:
    """Most tokens in a closed window of `window_us`, written down from the definition and apart from `TokenBucket.bound`."""
    if policy.smooth:
        return (policy.capacity * policy.every_us + policy.refill * window_us) // policy.every_us
    whole, part = divmod(window_us, policy.every_us)
    return max(policy.capacity + policy.refill * whole, policy.capacity - 1 + policy.refill * (whole + (part > 0)))
