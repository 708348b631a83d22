"""The promises of all kinds of limits, told in a model of its own: what was taken, by whom and when, and nothing of how it is stored."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

from runner.limits import Concurrency, Limit, Quota, SlidingWindow, TokenBucket


@dataclass
class Taken:
    """One start as the world saw it: when, of which cost, what it was settled to, whether it still runs, and whether it holds a slot then."""

    at_us: int
    cost: int
    holder: str
    used: int | None = None
    runs: bool = True
    slot: bool = False
    lapses_us: int | None = None

    @property
    def holds(self) -> bool:
        """Whether it holds a slot, which it has taken if the limit was one of slots at its start, whatever it is now."""
        return self.runs and self.slot

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
                    others = sum(one.cost for one in self.taken if one.holds) - page[-1].cost
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


class Books:
    """What was done to the limits of a queue: the policy in force of each, its pauses and freezes, and a ledger for each bucket."""

    def __init__(self, code: Mapping[str, Limit]) -> None:
        self.in_force = dict(code)
        self.paused: set[str] = set()
        self.was_frozen: set[str] = set()
        self.frozen_until_us: dict[str, int] = defaultdict(int)
        self._code = dict(code)
        self._overridden_until_us: dict[str, int] = {}
        self._ledgers: dict[str, Ledger] = {}

    @property
    def ledgers(self) -> list[Ledger]:
        return list(self._ledgers.values())

    def of(self, bucket: str) -> Ledger:
        return self._ledgers.setdefault(bucket, Ledger(self.in_force[bucket.partition("/")[0]]))

    def slots_of(self, holder: str) -> list[Taken]:
        """What lapses of what this ticket took."""
        return [one for ledger in self.ledgers for one in ledger.taken if one.holder == holder and one.slot]

    def override(self, name: str, policy: Limit, until_us: int | None) -> None:
        """None is until it is restored."""
        self._change(name, policy)
        self._overridden_until_us.pop(name, None)
        if until_us is not None:
            self._overridden_until_us[name] = until_us

    def restore(self, name: str) -> None:
        self._overridden_until_us.pop(name, None)
        self._change(name, self._code[name])

    def freeze(self, bucket: str, until_us: int) -> None:
        """A shorter freeze shortens nothing."""
        self.was_frozen.add(bucket)
        self.frozen_until_us[bucket] = max(self.frozen_until_us[bucket], until_us)

    def release(self, bucket: str) -> None:
        self.was_frozen.add(bucket)
        self.frozen_until_us[bucket] = 0

    def move_to(self, now_us: int) -> None:
        """Slots lapse, and overrides end by themselves."""
        for ledger in self._ledgers.values():
            for one in ledger.taken:
                one.runs = one.runs and (one.lapses_us is None or one.lapses_us > now_us)
        for name, until_us in sorted(self._overridden_until_us.items(), key=lambda row: row[1]):
            if until_us <= now_us:
                self.restore(name)

    def _change(self, name: str, policy: Limit) -> None:
        self.in_force[name] = policy
        for bucket, ledger in self._ledgers.items():
            if bucket.partition("/")[0] == name:
                ledger.change(policy)
