"""Leases: the hands that a queue has of limits which several queues share, and the home of such limits, which gives the tokens. Two scripts."""

from collections.abc import Callable, Iterable, Sequence

from runner.clock import MICROSECONDS
from runner.connection import command, translated_errors
from runner.limits import QueueShare, SharedStatus, home_of
from runner.settings import Settings
from runner.store import scripts
from runner.store.hands import BETWEEN, Ask, Deposit, Hand, Hands, LeaseAnswer, Told, hand_of, leased_of, told_by
from runner.store.limits import Limits
from runner.store.portions import MOST_PER_CALL
from runner.store.queue import QueueStore
from runner.store.text import decoded

_TOLD_S = 1.0


class Leases(QueueStore):
    """At the queue."""

    async def exchange(
        self, identity: str, names: Iterable[str], deposits: Sequence[Deposit] = (), told: Sequence[Told] = (), *, look: int = 0
    ) -> Hands:
        """Take in what the home has said, and read how hands stand: those of these limits and buckets. `identity` counts if the queue has none yet.

        Of limits with a key it is a part, and another one for another `look`.
        """
        words: list[scripts.Argument] = [word for deposit in deposits for word in deposit.words]
        grants = [grant for word in told for grant in word.grants]
        for bucket, granted in grants:
            words += [bucket, granted, -1, -1, -1, -1, 0, 0, 0, 0, -1, "", 0]
        count = len(deposits) + len(grants)
        found, now_us, asks, is_partial, *rows = await self._run("exchange", [*words, *names], identity=identity, look=look, deposits=count)
        sets, covered, costs = asks[::3], asks[1::3], asks[2::3]
        waiting = [
            Ask(tuple(decoded(name).split(BETWEEN)), bool(is_covered), decoded(cost))
            for name, is_covered, cost in zip(sets, covered, costs, strict=True)
        ]
        return Hands(decoded(found), int(now_us), [hand_of(row) for row in rows], waiting, bool(is_partial))


class Home(Limits):
    """At the home of the shared limits of one scope: a key space without jobs, in which limits are published and controlled as in a queue.

    `url`: of the queue's server, where the home is unless the settings name another one for shared limits.
    """

    def __init__(self, url: str, scope: str, settings: Settings, *, now_us: Callable[[], int] = lambda: 0) -> None:
        super().__init__(settings.shared_url or url, home_of(scope), settings, now_us=now_us)
        self._scope = scope

    async def lease(self, partition: str, weight: int, hands: Sequence[Hand], asks: Sequence[Ask] = ()) -> LeaseAnswer:
        """Tell how these hands stand, and ask for what the jobs cost. All buckets of an ask are among the hands', unless it asks for nothing more."""
        words: list[scripts.Argument] = [word for ask in asks for word in (ask.name, ask.costs)]
        for hand in hands:
            words += [hand.bucket, *hand.spent, *hand.told, hand.ago_us, hand.less_at, hand.frozen_us, hand.frozen_by, hand.costs]
        now_us, *rows = await self._run("lease", words, partition=partition, weight=weight, asks=len(asks))
        places = zip(asks, rows[len(hands) :], strict=True)
        return LeaseAnswer(
            int(now_us),
            [leased_of(hand.bucket, row) if row else None for hand, row in zip(hands, rows[: len(hands)], strict=True)],
            {ask.name: decoded(at) for ask, (place, at) in places if place >= 0},
        )

    async def wait_for_word(self, partition: str) -> Told | None:
        """What is told to a queue between two calls; None if nothing is for a while."""
        with translated_errors():
            popped = await command(self._blocking, "BLPOP", self.keys.told(partition), f"{_TOLD_S:g}")
        if not popped:
            return None
        return told_by(decoded(popped[1]))

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
