"""Leases: the hands that a queue has of limits which several queues share, and the home of such limits, which gives the tokens. Two scripts."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from runner.clock import MICROSECONDS
from runner.connection import command, translated_errors
from runner.limits import QueueShare, SharedStatus, home_of
from runner.settings import Settings
from runner.store import scripts
from runner.store.limits import Limits
from runner.store.portions import MOST_PER_CALL
from runner.store.queue import QueueStore
from runner.store.text import decoded

LEASE_S = 2.0
"""After so long without a call the home counts the hand of a queue as used."""
_TOLD_S = 1.0


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
    job needs that waits; 0 if none does. costs: what the first ones cost, as lease.lua takes it.
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


class Told(NamedTuple):
    """What the home says between two calls: tokens it has given (the sum of all), and whether the queue is in line still; None: come at once."""

    bucket: str
    granted: int | None
    is_in_line: bool


class Deposit(NamedTuple):
    """What a queue takes in: the answer to a call that was sent at `sent_us` by its own clock and answered at `home_us` by that of the home."""

    leased: Leased
    sent_us: int
    home_us: int

    @property
    def words(self) -> list[scripts.Argument]:
        """As exchange.lua takes it."""
        its = self.leased
        asked_us = 0 if its.place is None else round(LEASE_S * 500_000) if its.come_us is None else its.come_us + 200_000
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
    """How all hands stand that concern the home. `identity`: by which it knows this queue, `now_us`: the clock of the queue's server."""

    identity: str
    now_us: int
    hands: Sequence[Hand]


class Leases(QueueStore):
    """At the queue."""

    async def exchange(self, identity: str, limits: Iterable[str], deposits: Sequence[Deposit] = (), told: Sequence[Told] = ()) -> Hands:
        """Take in what the home has said, and read how the hands of these limits stand. `identity` counts if the queue has none yet."""
        words: list[scripts.Argument] = [word for deposit in deposits for word in deposit.words]
        for word in told:
            words += [word.bucket, word.granted or 0, -1, -1, -1, -1, 0, 0, 0, 0, -1, "", 0]
        found, now_us, *rows = await self._run("exchange", [*words, *limits], identity=identity, deposits=len(deposits) + len(told))
        return Hands(decoded(found), int(now_us), [_hand(row) for row in rows])


class Home(Limits):
    """At the home of the shared limits of one scope: a key space without jobs, in which limits are published and controlled as in a queue.

    `url`: of the queue's server, where the home is unless the settings name another one for shared limits.
    """

    def __init__(self, url: str, scope: str, settings: Settings, *, now_us: Callable[[], int] = lambda: 0) -> None:
        super().__init__(settings.shared_url or url, home_of(scope), settings, now_us=now_us)
        self._scope = scope

    async def lease(self, partition: str, weight: int, hands: Sequence[Hand]) -> tuple[int, list[Leased | None]]:
        """Tell how these hands stand, and ask for what the jobs cost: the instant there, and an answer for each; None: nobody has published the limit."""
        words: list[scripts.Argument] = []
        for hand in hands:
            words += [hand.bucket, *hand.spent, *hand.told, hand.ago_us, hand.less_at, hand.frozen_us, hand.frozen_by, hand.costs]
        now_us, *rows = await self._run("lease", words, partition=partition, weight=weight)
        return int(now_us), [_leased(hand.bucket, row) if row else None for hand, row in zip(hands, rows, strict=True)]

    async def wait_for_word(self, partition: str) -> Told | None:
        """What is told to a queue between two calls; None if nothing is for a while."""
        with translated_errors():
            popped = await command(self._blocking, "BLPOP", self.keys.told(partition), f"{_TOLD_S:g}")
        if not popped:
            return None
        bucket, first, *rest = decoded(popped[1]).split(" ")
        return Told(bucket, None if first == "recall" else int(first), rest == ["1"])

    async def recall(self, bucket: str) -> None:
        """Have all queues come at once that may hold tokens of a bucket, or of all buckets of a limit: something has changed."""
        await self._run("recall", bucket=bucket)

    async def sharers(self, bucket: str) -> SharedStatus | None:
        """Who holds tokens of a bucket, and who waits for some; None for an unknown limit."""
        answer = await self._run("sharers", bucket=bucket)
        if not answer:
            return None
        tokens, out, *rows = answer
        queues = [
            QueueShare(decoded(queue), int(held), int(used), int(wanted), int(weight), int(heard_us) / MICROSECONDS)
            for queue, held, used, wanted, weight, heard_us in rows
        ]
        return SharedStatus(self._scope, int(tokens), int(out), sorted(queues, key=lambda share: share.queue))

    async def turn_pages(self) -> None:
        """What a leader does in a queue after a change of limits: nobody leads here."""
        while await self._run("retime", budget=MOST_PER_CALL):
            pass


def _hand(row: Sequence[Any]) -> Hand:
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


def _leased(bucket: str, row: Sequence[Any]) -> Leased:
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
