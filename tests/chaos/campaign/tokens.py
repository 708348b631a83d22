"""The ledger's side of tokens: what was taken of every bucket, by whom, against the bounds of its limit."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from runner.limits import Limit
from tests.starts import Starts

Taker = tuple[int, int] | str
"""The number of a job and that of its attempt, or a ticket."""


@dataclass(frozen=True)
class Spell:
    """A time in which less was permitted: `most` tokens of a limit between two instants."""

    limit: str
    from_us: int
    until_us: int
    most: int


@dataclass
class _Taken:
    """What was taken of one bucket."""

    at_us: list[int] = field(default_factory=list)
    costs: list[int] = field(default_factory=list)
    takers: list[Taker] = field(default_factory=list)


def costs_of(limits: str) -> dict[str, int]:
    """The cost of each bucket, as the log of starts writes them."""
    return {bucket: int(cost.rstrip("!")) for bucket, _, cost in (need.partition("=") for need in limits.split(";") if need)}


class Tokens:
    """What was taken, and the times in which less was permitted."""

    def __init__(self) -> None:
        self._taken: dict[str, _Taken] = defaultdict(_Taken)
        self.spells: list[Spell] = []

    @property
    def times(self) -> int:
        """How often tokens of a limit were taken."""
        return sum(len(taken.at_us) for taken in self._taken.values())

    def note(self, taker: Taker, at_us: int, costs: Mapping[str, int]) -> None:
        """A line of the log of starts."""
        for bucket, cost in costs.items():
            taken = self._taken[bucket]
            taken.at_us.append(at_us)
            taken.costs.append(cost)
            taken.takers.append(taker)

    def over_limit(self, policies: Mapping[str, Limit], held_until_us: Callable[[Taker, int], int | None]) -> list[str]:
        """Buckets of which too much was taken in some window, or in a spell. `held_until_us` is None for a run that never began."""
        wrong = []
        for bucket in self._taken:
            limit = bucket.partition("/")[0]
            spells = [spell for spell in self.spells if spell.limit == limit]
            wrong += exceeded(bucket, self.starts_under(bucket, held_until_us), policies[limit], spells)
        return wrong

    def starts_under(self, bucket: str, held_until_us: Callable[[Taker, int], int | None]) -> Starts:
        """What was taken of a bucket by those who began."""
        starts, taken = Starts(), self._taken[bucket]
        for at_us, cost, taker in zip(taken.at_us, taken.costs, taken.takers, strict=True):
            if (end_us := held_until_us(taker, at_us)) is not None:
                starts.add(at_us, cost, end_us)
        return starts


def exceeded(bucket: str, starts: Starts, limit: Limit, spells: Iterable[Spell]) -> list[str]:
    """Whether too much was taken of a bucket, in some window or in one of these spells."""
    wrong = []
    if (excess := starts.excess(limit)) > 0:
        wrong.append(f"{excess} tokens of {bucket} too many in some window")
    for spell in spells:
        inside = sum(cost for at_us, cost in zip(starts.at_us, starts.costs, strict=True) if spell.from_us <= at_us <= spell.until_us)
        if inside > spell.most:
            wrong.append(f"{inside} tokens of {bucket} taken where {spell.most} were permitted: {spell}")
    return wrong
