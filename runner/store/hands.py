"""Hands: what a queue and the home of shared limits tell each other. Values only."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from runner.store import scripts
from runner.store.text import decoded

LEASE_S = 2.0
"""After so long without a call the home counts the hand of a queue as used."""
BETWEEN = ";"
"""The names of buckets, as the scripts write several."""


class Spent(NamedTuple):
    """Tokens of one queue, counted from the beginning: used by starts, gone back, and settled to more or to less."""

    used: int
    back: int
    more: int
    less: int


class Hand(NamedTuple):
    """How the hand of one bucket stands. Times are µs.

    told: what the home is known to have heard of. ago_us: since the last start. less_at: the first start of which tokens come back, by the
    clock of the home. frozen_us: for so long it is frozen, of which the home has not heard. held: tokens in hand; free: those that no job has. first: what the first
    job needs that waits and needs no other shared limit; 0 if none does. costs: what the first ones cost, as lease.lua takes it.
    """

    bucket: str
    spent: Spent
    told: Spent
    ago_us: int
    less_at: int
    frozen_us: int
    frozen_by: str
    held: int
    free: int
    first: int
    costs: str

    @property
    def fresh(self) -> int:
        """Tokens used of which the home has not heard."""
        return self.spent.used - self.told.used

    @property
    def wanted(self) -> int:
        """Tokens that the first jobs need that wait."""
        return sum(int(count) * int(cost) for count, _, cost in (run.partition("x") for run in self.costs.split()))

    @property
    def is_told(self) -> bool:
        """Whether the home has heard everything."""
        return self.spent == self.told and not self.frozen_us


class Ask(NamedTuple):
    """Jobs that need tokens of all these buckets. is_covered: the hands suffice for the first one. costs: as lease.lua takes it; none if no job waits."""

    buckets: tuple[str, ...]
    is_covered: bool = True
    costs: str = ""

    @property
    def name(self) -> str:
        """As the scripts write the buckets."""
        return BETWEEN.join(self.buckets)

    def wanted(self, bucket: str) -> int:
        """Tokens of one of the buckets that the jobs cost."""
        at = self.buckets.index(bucket)
        runs = [run.partition("x") for run in self.costs.split()]
        return sum(int(count) * int(costs.split("+")[at]) for count, _, costs in runs)


class Leased(NamedTuple):
    """What the home answers about one bucket.

    place: in its line, None if this queue is not in it. share: tokens of one round. come_us: until to come again, None if there is no need; `drives` if this queue
    comes for all. stopped_us: so long it is frozen or paused. queues: how many have a lease.
    """

    bucket: str
    granted: int
    spent: Spent
    place: int | None
    share: int
    come_us: int | None
    drives: bool
    capacity: int
    stopped_us: int
    stopped_by: str
    queues: int

    @property
    def waits_us(self) -> int:
        """How long a queue in line counts as being there, without another call."""
        return round(LEASE_S * 500_000) if self.come_us is None else self.come_us + 200_000


class LeaseAnswer(NamedTuple):
    """Of the home, to one call: the instant there, and about each hand; None: nobody has published the limit.

    in_line: the asks that wait, by their name, and the bucket in whose line each does.
    """

    home_us: int
    hands: list[Leased | None]
    in_line: Mapping[str, str] = {}


class Told(NamedTuple):
    """What the home says between two calls: tokens it has given (the sum of all), and whether the queue is in line still; None: come at once.

    others: the same of the other buckets of an ask for several.
    """

    bucket: str
    granted: int | None
    is_in_line: bool
    others: tuple[tuple[str, int], ...] = ()

    @property
    def ask(self) -> str | None:
        """The name of the ask that it is about; None if that is one bucket."""
        return BETWEEN.join((self.bucket, *(bucket for bucket, _ in self.others))) if self.others else None

    @property
    def grants(self) -> list[tuple[str, int]]:
        """Of each bucket."""
        return [(self.bucket, self.granted or 0), *self.others]


class Deposit(NamedTuple):
    """What a queue takes in: the answer to a call that was sent at `sent_us` by its own clock and answered at `home_us` by that of the home.

    asked_us: for so long this queue waits there for jobs that need other buckets too.
    """

    leased: Leased
    sent_us: int
    home_us: int
    asked_us: int = 0

    @property
    def words(self) -> list[scripts.Argument]:
        """As exchange.lua takes it."""
        its = self.leased
        asked_us = max(self.asked_us, 0 if its.place is None else its.waits_us)
        return [
            its.bucket,
            its.granted,
            *its.spent,
            self.sent_us,
            self.home_us,
            asked_us,
            its.capacity,
            its.stopped_us,
            its.stopped_by,
            its.queues,
        ]


class Hands(NamedTuple):
    """How all hands stand that concern the home, and what jobs wait for that need several of them.

    `identity`: by which it knows this queue, `now_us`: the clock of the queue's server. `is_partial`: another look sees other buckets.
    """

    identity: str
    now_us: int
    hands: Sequence[Hand]
    asks: Sequence[Ask] = ()
    is_partial: bool = False

    def wanted(self, hand: Hand) -> int:
        """Tokens of its bucket that the first waiting jobs cost."""
        return hand.wanted + sum(ask.wanted(hand.bucket) for ask in self.asks if hand.bucket in ask.buckets)


def told_by(text: str) -> Told:
    """What leases.lua, granting.lua and joint.lua write: "a recall", "a 12 1", or "a 12 1 b 3000" for an ask of several buckets."""
    bucket, first, *rest = text.split(" ")
    others = tuple((name, int(granted)) for name, granted in zip(rest[1::2], rest[2::2], strict=True))
    return Told(bucket, None if first == "recall" else int(first), rest[:1] == ["1"], others)


def hand_of(row: Sequence[Any]) -> Hand:
    bucket, *numbers = row[:12]
    used, back, more, less, told_used, told_back, told_more, told_less, ago_us, less_at, frozen_us = map(int, numbers)
    spent, told = Spent(used, back, more, less), Spent(told_used, told_back, told_more, told_less)
    return Hand(
        decoded(bucket),
        spent,
        told,
        ago_us,
        less_at,
        frozen_us,
        decoded(row[12]),
        int(row[13]),
        int(row[14]),
        int(row[15]),
        decoded(row[16]),
    )


def leased_of(bucket: str, row: Sequence[Any]) -> Leased:
    granted, used, back, more, less, place, share, come_us, drives, capacity, stopped_us, why, queues = row
    return Leased(
        bucket,
        int(granted),
        Spent(int(used), int(back), int(more), int(less)),
        None if place < 0 else place,
        share,
        None if int(come_us) < 0 else int(come_us),
        bool(drives),
        int(capacity),
        int(stopped_us),
        decoded(why),
        queues,
    )
