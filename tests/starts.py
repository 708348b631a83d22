"""Starts as they happened, held against the bound a limit promises for every window."""

from collections.abc import Sized
from dataclasses import dataclass, field

from runner.limits import TokenBucket


@dataclass
class Starts:
    """Starts as they happened: instants and costs, to be held against a bound."""

    at_us: list[int] = field(default_factory=list)
    costs: list[int] = field(default_factory=list)

    def add(self, now_us: int, cost: int = 1) -> None:
        self.at_us.append(now_us)
        self.costs.append(cost)

    def add_all(self, now_us: int, started: Sized) -> None:
        """As many starts as were made, of one token each."""
        for _ in range(len(started)):
            self.add(now_us)

    def excess(self, policy: TokenBucket) -> int:
        """The most tokens by which any closed window was over the policy's bound; 0 or less is well."""
        worst = -policy.capacity
        for first, start_us in enumerate(self.at_us):
            taken = 0
            for last in range(first, len(self.at_us)):
                taken += self.costs[last]
                if last + 1 == len(self.at_us) or self.at_us[last + 1] != self.at_us[last]:
                    worst = max(worst, taken - bound(policy, self.at_us[last] - start_us))
        return worst


def bound(policy: TokenBucket, window_us: int) -> int:
    """Most tokens in a closed window of `window_us`, written down from the definition and apart from `TokenBucket.bound`."""
    if policy.smooth:
        return (policy.capacity * policy.every_us + policy.refill * window_us) // policy.every_us
    whole, part = divmod(window_us, policy.every_us)
    return max(policy.capacity + policy.refill * whole, policy.capacity - 1 + policy.refill * (whole + (part > 0)))
