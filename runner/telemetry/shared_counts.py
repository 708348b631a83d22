"""SharedCounts: what the worker that leads sees of limits that several queues share: the hands of its queue, and how their homes answer."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from runner.clock import monotonic_s
from runner.telemetry.labels import Labels
from runner.telemetry.spans_of_time import STARTS_S, Histogram


class InHand(NamedTuple):
    """Tokens of one limit, over all its buckets here: in the queue's hand, and those that the first of its waiting jobs need."""

    held: int
    wanted: int


@dataclass(slots=True)
class HomeCounts:
    """Of one home. heard_s: when it answered last about a limit, by the monotonic clock. away_since_s: None while it answers."""

    limits: Labels = field(default_factory=lambda: Labels(learns=True))
    calls: Histogram = field(default_factory=partial(Histogram, STARTS_S))
    errors: int = 0
    hands: Mapping[str, InHand] = field(default_factory=dict)
    used: Counter[str] = field(default_factory=Counter)
    heard_s: dict[str, float] = field(default_factory=dict)
    away_since_s: float | None = None
    _used_before: dict[str, int] = field(default_factory=dict)

    def note_call(self, seconds: float, limits: Iterable[str]) -> None:
        """It has answered a call about these limits."""
        self.calls.note(seconds)
        for limit in limits:
            self.heard_s[self.limits.of(limit)] = monotonic_s()
        self.note_answer()

    def note_answer(self) -> None:
        """It is there."""
        self.away_since_s = None

    def note_failure(self) -> None:
        """It has not answered."""
        self.errors += 1
        if self.away_since_s is None:
            self.away_since_s = monotonic_s()

    def note_hands(self, hands: Iterable[tuple[str, str, int, int, int]]) -> None:
        """How all hands stand: of each the bucket and its limit, tokens in hand, tokens wanted, and those used since ever."""
        held, wanted, used = Counter[str](), Counter[str](), dict[str, int]()
        for bucket, limit, has, wants, spent in hands:
            name = self.limits.of(limit)
            held[name] += has
            wanted[name] += wants
            used[bucket] = spent
            self.used[name] += max(spent - self._used_before.get(bucket, spent), 0)
        self._used_before = used
        self.hands = {name: InHand(held[name], wanted[name]) for name in held}

    def away_s(self) -> float:
        """For how long it has not answered."""
        return 0.0 if self.away_since_s is None else max(monotonic_s() - self.away_since_s, 0.0)


class SharedCounts:
    """By the scopes whose homes this worker has called."""

    def __init__(self) -> None:
        self._scopes = Labels(learns=True)
        self.homes: dict[str, HomeCounts] = defaultdict(HomeCounts)

    def of(self, scope: str) -> HomeCounts:
        """The counts of one home."""
        return self.homes[self._scopes.of(scope)]

    def rest(self) -> None:
        """This worker leads no more: what hands hold is told by another one. Totals stay."""
        for home in self.homes.values():
            home.hands, home.heard_s, home.away_since_s = {}, {}, None
            home.note_hands(())
