"""The promises of all kinds of limits, told in a model of its own: what was taken, by whom and when, and nothing of how it is stored."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

from runner.limits import Concurrency, Limit, Quota, SlidingWindow, TokenBucket


@dataclass
class Taken:
    """One start as the world saw it: when, of which cost, what it was settled to, and whether it still runs."""

    at_us: int
    cost: int
    holder: str
    used: int | None = None
    runs: bool = True

    @property
    def counts(self) -> int:
        """What it counts for in a window: what was used, but no more than was known when others were let in."""
        return self.cost if self.used is None else min(self.used, self.cost)


@dataclass
class Ledger:
    """All that was ever taken of one bucket under one policy; a changed policy opens a new page."""

    policy: Limit
    taken: list[Taken] = field(default_factory=list)
    page: int = 0

    def change(self, policy: Limit) -> None:
        self.policy, self.page = policy, len(self.taken)

    def excess(self) -> Iterator[str]:
        """What is over the bound since the policy in force began."""
        page = self.taken[self.page :]
        match self.policy:
            case Concurrency() as policy:
                # Those of former pages run on; a job may cost more than the capacity was lowered to, and then runs alone.
                if page and page[-1].runs:
                    others = sum(one.cost for one in self.taken if one.runs) - page[-1].cost
                    if others + min(page[-1].cost, policy.capacity) > policy.capacity:
                        yield f"{others} + {page[-1].cost} held of {policy}"
            case Quota() as policy:
                zone = ZoneInfo(policy.tz)
                days: dict[object, int] = {}
                for one in page:
                    day = datetime.fromtimestamp(one.at_us // 1_000_000, zone).date()
                    days[day] = days.get(day, 0) + one.counts
                yield from (f"{used} used of {policy} on {day}" for day, used in days.items() if used > policy.capacity)
            case SlidingWindow() as policy:
                for first in page:
                    used = sum(one.counts for one in page if first.at_us <= one.at_us <= first.at_us + policy.window_us)
                    if used > policy.capacity:
                        yield f"{used} used of {policy} from {first.at_us} on"
            case TokenBucket() as policy:
                for start, first in enumerate(page):
                    used = 0
                    for last in page[start:]:
                        used += last.counts
                        if used > self._bound(policy, last.at_us - first.at_us):
                            yield f"{used} used of {policy} from {first.at_us} to {last.at_us}"

    @staticmethod
    def _bound(policy: TokenBucket, window_us: int) -> Fraction:
        intervals = Fraction(window_us, policy.every_us)
        if policy.smooth:
            return policy.capacity + policy.refill * intervals
        whole = window_us // policy.every_us
        return Fraction(
            max(policy.capacity + policy.refill * whole, policy.capacity - 1 + policy.refill * -(-window_us // policy.every_us))
        )
