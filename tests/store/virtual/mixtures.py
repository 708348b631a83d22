"""Mixtures: limits of all kinds, and the lines that stand at them. The same seeds give the same mixture on every machine."""

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.clock import MICROSECONDS as S
from runner.jobs.job import Priority
from runner.limits import Concurrency, Limit, Quota, SlidingWindow, TokenBucket
from runner.limits.bucket import Bucket
from tests.store.builders import START_US

Gap = Callable[[random.Random], float]


class ShortQuota(Quota):
    """A quota whose periods are of any length, and begin at START_US: its calendar is published by whoever plays it."""

    def __init__(self, name: str, capacity: int, length_us: int) -> None:
        super().__init__(name, capacity, per="hour")
        self.length_us = length_us
        self.own_calendar = f"virtual:{length_us}"
        self.calendar = None  # it has no time zone to be worked out from

    def fields(self) -> dict[str, Any]:
        return {**super().fields(), "calendar": self.own_calendar}

    def full_bucket(self, now_us: int) -> Bucket:
        raise NotImplementedError

    def periods(self, until_us: int) -> range:
        """The instants at which its periods begin, beyond `until_us`."""
        return range(START_US, until_us + 3 * self.length_us, self.length_us)


@dataclass(frozen=True)
class Line:
    """Jobs that need the same limits at the same costs. Without a `gap` there is always one more; else one comes each `gap` µs."""

    name: str
    needs: tuple[tuple[str, int], ...]
    weight: int = 1
    priority: Priority = Priority.normal
    gap: Gap | None = None
    joins_us: int = 0
    jobs: int | None = None


@dataclass(frozen=True)
class Mixture:
    """Limits by name, lines, and how long a job holds a slot of each concurrency limit (the longest of those it needs)."""

    limits: Mapping[str, Limit]
    lines: Sequence[Line]
    holds_us: dict[str, int] = field(default_factory=dict)

    def hold_us(self, line: Line) -> int:
        return max((self.holds_us[limit] for limit, _ in line.needs if limit in self.holds_us), default=0)

    def most(self, limit: str, us: float) -> float:
        """What a limit gives in so much time, without what it holds at first: tokens, or of slots the time for which they are held."""
        match self.limits[limit]:
            case TokenBucket() as policy:
                return us * policy.refill / policy.every_us
            case SlidingWindow() as policy:
                return us * policy.capacity / (policy.window_us or 1)
            case ShortQuota() as policy:
                return us * policy.capacity / policy.length_us
            case policy:
                return us * policy.capacity

    def load(self, line: Line, limit: str) -> float:
        """What one job takes of it."""
        cost = dict(line.needs).get(limit, 0)
        return cost * self.hold_us(line) if limit in self.holds_us else cost

    def ideal(self) -> list[float]:
        """Of each line the fair part, by weight, at the tightest of its limits: jobs a second."""
        loads = {limit: sum(line.weight * self.load(line, limit) for line in self.lines) for limit in self.limits}
        return [line.weight * min(self.most(limit, S) / loads[limit] for limit, _ in line.needs) for line in self.lines]

    def max_min(self) -> list[float]:
        """Of each line the max-min fair part, by weight: what some cannot use goes to others. Jobs a second."""
        left = {limit: self.most(limit, S) for limit in self.limits}
        found: dict[int, float] = {}
        rest = list(range(len(self.lines)))
        while rest:
            loads = {limit: sum(self.lines[at].weight * self.load(self.lines[at], limit) for at in rest) for limit in left}
            tightest = min((limit for limit in left if loads[limit]), key=lambda limit: left[limit] / loads[limit])
            level = left[tightest] / loads[tightest]
            for at in [at for at in rest if self.load(self.lines[at], tightest)]:
                found[at] = level * self.lines[at].weight
                rest.remove(at)
                for limit in left:
                    left[limit] -= found[at] * self.load(self.lines[at], limit)
        return [found[at] for at in range(len(self.lines))]


KINDS = ("smooth", "interval", "window", "quota", "slots", "slot1")
SPEEDS = (60, 23, 41, 7, 120)


def limit_of_kind(kind: str, speed: int, name: str) -> tuple[Limit, int]:
    """A limit that gives `speed` tokens a minute, and how long a job holds its slot (0: it has none)."""
    if kind in {"smooth", "burst"}:
        return TokenBucket(name, rate=f"{speed}/m", burst=1 if kind == "smooth" else 5), 0
    if kind == "interval":
        return TokenBucket(name, capacity=10, refill=10, every=600 / speed), 0
    if kind == "window":
        return SlidingWindow(name, 10, per=600 / speed), 0
    if kind == "quota":
        return ShortQuota(name, 20, 1200 * S // speed), 0
    slots = {"slots": 2, "slot1": 1, "slots9": 9}[kind]
    return Concurrency(name, slots), slots * 60 * S // speed


def _limits(kinds: Iterator[tuple[str, int]]) -> tuple[dict[str, Limit], dict[str, int]]:
    limits, holds_us = {}, {}
    for at, (kind, speed) in enumerate(kinds):
        name = f"{at}{kind}"
        limits[name], held_us = limit_of_kind(kind, speed, name)
        if held_us:
            holds_us[name] = held_us
    return limits, holds_us


def _singles(limits: dict[str, Limit], counts: Iterator[int]) -> list[Line]:
    return [Line(f"s{name}{at}", ((name, 1),)) for name in limits for at in range(next(counts))]


def mixture(seed: int) -> Mixture:
    """Four limits, four lines of two or three needs with costs 1 to 3, a single-limit line at each limit."""
    r = random.Random(seed)
    limits, holds_us = _limits((r.choice(KINDS), r.choice(SPEEDS)) for _ in range(4))
    several = [
        Line(
            f"x{at}",
            tuple(sorted((name, min(r.choice([1, 1, 2, 3]), limits[name].capacity)) for name in r.sample([*limits], r.choice([2, 2, 3])))),
        )
        for at in range(4)
    ]
    return Mixture(limits, [*_singles(limits, itertools.repeat(1)), *several], holds_us)


def wide(seed: int) -> Mixture:
    """Six limits, 12 lines of two to four needs with weights, one to three single-limit lines at each limit."""
    r = random.Random(seed)
    kinds = [*KINDS, "burst", "slots9"]
    limits, holds_us = _limits((r.choice(kinds), r.choice(SPEEDS)) for _ in range(6))
    several = [
        Line(
            f"x{at}",
            tuple((name, min(r.choice([1, 1, 2, 3, 5]), limits[name].capacity)) for name in r.sample([*limits], r.choice([2, 2, 3, 4]))),
            r.choice([1, 1, 1, 2, 4]),
        )
        for at in range(12)
    ]
    return Mixture(limits, [*_singles(limits, iter(lambda: r.choice([1, 2, 3]), 0)), *several], holds_us)


def tenants(seed: int) -> Mixture:
    """30 tenants with a limit of their own, of any kind and slow, and two that all share, with single-limit lines at these."""
    r = random.Random(seed)
    kinds = [(r.choice([*KINDS, "burst", "slots9"]), r.choice([60, 120, 240])) for _ in range(2)]
    kinds += [(r.choice(KINDS), r.choice([1, 3, 7, 30])) for _ in range(30)]
    limits, holds_us = _limits(iter(kinds))
    names = [*limits]
    several = [Line(f"x{at}", ((names[2 + at], 1), *((name, 1) for name in r.sample(names[:2], r.choice([1, 2]))))) for at in range(30)]
    shared = {name: limits[name] for name in names[:2]}
    return Mixture(limits, [*_singles(shared, itertools.repeat(1)), *several], holds_us)


PAIRS = [(60, 60), (60, 23), (23, 60), (60, 6), (6, 60)]
TRIPLES = [(60, 60, 60), (60, 23, 41), (23, 60, 7), (60, 6, 120)]


def beside(kinds: Sequence[str], speeds: Sequence[int], *, cost: int = 1, others: int = 1) -> Mixture:
    """One line that needs limits of these kinds, and beside it single-limit lines at each."""
    limits, holds_us = _limits(zip(kinds, speeds, strict=True))
    several = Line("x", tuple((name, min(cost, limit.capacity)) for name, limit in limits.items()))
    return Mixture(limits, [*_singles(limits, itertools.repeat(others)), several], holds_us)


def matrix(size: int) -> list[tuple[tuple[str, ...], tuple[int, ...]]]:
    """All pairs (105) or triples (224) of kinds, with each set of speeds."""
    speeds: Sequence[tuple[int, ...]] = PAIRS if size == 2 else TRIPLES
    return list(itertools.product(itertools.combinations_with_replacement(KINDS, size), speeds))
