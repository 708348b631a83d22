"""SharedCounts: what the worker that leads sees of limits that several queues share: the hands of its queue, and how their homes answer."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from runner.clock import monotonic_s
from runner.telemetry.labels import Labels
from runner.telemetry.spans_of_time import STARTS_S, Histogram

_MOST_HANDS = 10_000
_FRESH_S = 10.0
"""Of many buckets a look sees a part: what was noted before of another one counts for so long."""


class InHand(NamedTuple):
    """Tokens of one limit, over all its buckets here: in the queue's hand, and those that the first of its waiting jobs need."""

    held: int
    wanted: int


class _Hand(NamedTuple):
    """The same of one bucket, as it was noted; and the tokens that were used of it since ever."""

    limit: str
    held: int
    wanted: int
    used: int
    until_s: float


@dataclass(slots=True)
class HomeCounts:
    """Of one home. heard_s: when it answered last about a limit, by the monotonic clock. away_since_s: None while it answers."""

    limits: Labels = field(default_factory=lambda: Labels(learns=True))
    calls: Histogram = field(default_factory=partial(Histogram, STARTS_S))
    errors: int = 0
    used: Counter[str] = field(default_factory=Counter)
    heard_s: dict[str, float] = field(default_factory=dict)
    away_since_s: float | None = None
    _hands: dict[str, _Hand] = field(default_factory=dict)

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

    def note_hands(self, hands: Iterable[tuple[str, str, int, int, int]], *, is_partial: bool = False) -> None:
        """How hands stand: of each the bucket and its limit, tokens in hand, tokens wanted, and those used since ever. is_partial: these are not all."""
        until_s, found = monotonic_s() + _FRESH_S if is_partial else float("inf"), dict[str, _Hand]()
        for bucket, limit, held, wanted, used in hands:
            name, before = self.limits.of(limit), self._hands.get(bucket)
            self.used[name] += 0 if before is None else max(used - before.used, 0)
            found[bucket] = _Hand(name, held, wanted, used, until_s)
        if is_partial and len(self._hands) < _MOST_HANDS:
            self._hands |= found
        else:
            self._hands = found

    @property
    def hands(self) -> Mapping[str, InHand]:
        """By limit."""
        held, wanted, now_s = Counter[str](), Counter[str](), monotonic_s()
        for hand in tuple(self._hands.values()):  # at once: another thread notes meanwhile
            if now_s < hand.until_s:
                held[hand.limit] += hand.held
                wanted[hand.limit] += hand.wanted
        return {name: InHand(held[name], wanted[name]) for name in held}

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
            home.heard_s, home.away_since_s = {}, None
            home.note_hands(())
