"""Exchange: what the leader does for the limits that its queue shares: tells their home what was used, and fetches tokens for the next jobs."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence

from runner.clock import MICROSECONDS, monotonic_s
from runner.errors import RunnerError, StoreUnavailable
from runner.limits import Limit, limit_name
from runner.log_throttle import A_MINUTE_S, LogThrottle
from runner.store import Ask, Deposit, Hand, Hands, Home, LeaseAnswer, Leased, Leases, Role, Told
from runner.telemetry import HomeCounts
from runner.worker.known_buckets import KnownBuckets

log = logging.getLogger("runner")

_RETRY_S = 0.3
_PUBLISH_S = 60.0
_LOOK_S = 0.1
"""Between two looks while there is something in hand, in line or to tell: workers that do not lead start jobs too."""
_IDLE_S = 5.0
_RENEW_S = 1.0
"""A hand lapses after two seconds without a call."""
_QUIET_S = 0.1
"""The longest that a start is not told of, while the queue asks for nothing."""
_PART_S = 0.01
"""Between two looks of which each sees a part of many buckets."""
_LAST_LOOK = 2**31


class Exchange:
    """The leader's way to one home. It tells and asks as little as it can: see `_is_due`.

    limits: by name, those of this home. served: called when tokens have come. Safe with no leader, with one, and with two.
    """

    def __init__(
        self,
        store: Leases,
        home: Home,
        limits: Mapping[str, Limit],
        weight: int,
        revision: int,
        served: Callable[[], None],
        counts: HomeCounts | None = None,
    ) -> None:
        self._store = store
        self._home = home
        self._limits = limits
        self._weight = weight
        self._revision = revision
        self._served = served
        self._counts = counts or HomeCounts()
        self._identity = secrets.token_hex(6)
        self._partition: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._buckets = KnownBuckets()
        self._asks_in_line: dict[str, Ask] = {}
        """By name: for jobs that need several buckets."""
        self._told: dict[str, Told] = {}
        self._deposits: list[Deposit] = []
        self._hands: Hands | None = None
        self._looked_s = float("-inf")
        self._looks = 0
        self._woken = asyncio.Event()
        self._since_us = 0
        self._published_s = float("-inf")
        self._outage, self._failures, self._outdone = LogThrottle(), LogThrottle(A_MINUTE_S), LogThrottle(A_MINUTE_S)
        self._round_trip_s = 0.0

    def wake(self) -> None:
        """Jobs may have started, or wait: look."""
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled. Survives whatever a server raises."""
        listener = asyncio.create_task(self._listen(), name="shared limits listener")
        try:
            while True:
                try:
                    if monotonic_s() - self._published_s > _PUBLISH_S:
                        await self._publish()
                    await self._wait(await self._step())
                    self._outage.is_over()
                except StoreUnavailable as error:
                    if self._outage.is_due(monotonic_s()):
                        log.warning("shared limits %s wait for their home: %s", ", ".join(self._limits), error)
                    await self._rest()
                except Exception:
                    if self._failures.is_due(monotonic_s()):
                        log.exception("shared limits %s cannot be used", ", ".join(self._limits))
                    await self._rest()
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    async def _rest(self) -> None:
        for bucket in self._buckets.all():
            bucket.is_in_line = False
        self._asks_in_line.clear()
        await asyncio.sleep(_RETRY_S)

    async def _publish(self) -> None:
        """Say at the home what this queue declares, in all that a declaration has there."""
        at_home = [limit.in_scope(None) for limit in self._limits.values()]
        done = await self._home.publish({}, at_home, self._since_us, role=Role.worker, revision=self._revision)
        self._since_us, self._published_s = done.since_us, monotonic_s()
        await self._home.turn_pages()
        if done.outdone and self._outdone.is_due(monotonic_s()):
            names = ", ".join(name for _, name, _ in done.outdone)
            log.warning("the home of shared limits keeps other numbers than those of queue %s: %s", self._store.keys.queue, names)

    async def _listen(self) -> None:
        """Hear what the home tells between two calls. Without it all works, only later."""
        partition = await self._partition
        while True:
            try:
                told = await self._home.wait_for_word(partition)
                self._counts.note_answer()
                if told:
                    self._note(told)
            except RunnerError:
                self._counts.note_failure()
                await asyncio.sleep(_RETRY_S)
                self.wake()

    def _note(self, told: Told) -> None:
        if told.granted is None:
            self._buckets.of(told.bucket).come_s = 0.0
        elif told.ask is None:
            self._told[told.bucket] = told
            self._buckets.of(told.bucket).is_in_line = told.is_in_line
        else:
            self._told[told.ask] = told
            if not told.is_in_line:
                self._asks_in_line.pop(told.ask, None)
        self.wake()

    async def _step(self) -> float:
        """Look, and call if that is due. Seconds until the next look."""
        is_woken = self._woken.is_set() or self._told
        self._woken.clear()
        hands = self._hands
        if hands is None or is_woken or monotonic_s() - self._looked_s >= (_PART_S if hands.is_partial else _LOOK_S):
            hands = await self._look()
        # Else what was read last will do: all its numbers only grow, so an older state is told at worst.
        due, asks = self._due(hands, monotonic_s())
        if due or asks:
            await self._call(hands, due, asks)
            if any(one.leased.granted > self._buckets.of(one.leased.bucket).granted for one in self._deposits):
                hands = await self._look()
        return self._next_look_s(hands)

    async def _look(self) -> Hands:
        """Take in what the home has said, and read how the hands stand."""
        told, self._told = list(self._told.values()), {}
        deposits, self._deposits = self._deposits, []
        self._looked_s = monotonic_s()
        named = self._buckets.due(self._looked_s) if self._hands is not None and self._hands.is_partial else []
        found = await self._store.exchange(self._identity, [*self._limits, *named], deposits, told, look=self._looks)
        self._looks = (self._looks + 1) % _LAST_LOOK
        brings = [grant for word in told for grant in word.grants] + [(one.leased.bucket, one.leased.granted) for one in deposits]
        news = any(granted > self._buckets.of(bucket).granted for bucket, granted in brings)
        for bucket, granted in brings:
            known = self._buckets.of(bucket)
            known.granted = max(known.granted, granted)
        if news or any(one.leased.stopped_us for one in deposits):
            self._served()
        if not self._partition.done():
            self._partition.set_result(f"{self._store.keys.queue}:{found.identity}")
        own = [hand for hand in found.hands if limit_name(hand.bucket) in self._limits]
        names = {hand.bucket for hand in own}
        self._buckets.forget(set(named) - names)
        self._hands = found._replace(hands=own, asks=[ask for ask in found.asks if names.issuperset(ask.buckets)])
        self._counts.note_hands(
            ((hand.bucket, limit_name(hand.bucket), hand.held, self._hands.wanted(hand), hand.spent.used) for hand in own),
            is_partial=found.is_partial,
        )
        return self._hands

    def _due(self, hands: Hands, now_s: float) -> tuple[list[Hand], list[Ask]]:
        """About which buckets the home is to be called, and with which asks for jobs that need several of them."""
        wanted = {bucket for ask in hands.asks for bucket in ask.buckets}
        due = {hand.bucket for hand in hands.hands if self._is_due(hand, hand.bucket in wanted, now_s)}
        if not hands.asks and not self._asks_in_line:
            return [hand for hand in hands.hands if hand.bucket in due], []
        free = {hand.bucket: hand.free for hand in hands.hands}
        names = {ask.name for ask in hands.asks}
        gone = [ask for name, ask in self._asks_in_line.items() if name not in names]
        asks = [ask._replace(costs="") for ask in gone if not hands.is_partial or free.keys() >= set(ask.buckets)]
        for ask in hands.asks:
            is_due = (
                ask.costs
                and ask.name not in self._asks_in_line
                and (not ask.is_covered or any(free[name] < self._buckets.of(name).share / 2 for name in ask.buckets))
            )
            if is_due or not due.isdisjoint(ask.buckets):
                due.update(ask.buckets)
                asks.append(ask)
        return [hand for hand in hands.hands if hand.bucket in due], asks

    def _is_due(self, hand: Hand, is_wanted: bool, now_s: float) -> bool:
        """Whether the home is to be called about a bucket. is_wanted: by jobs that need others too."""
        bucket = self._buckets.of(hand.bucket)
        half = max(bucket.share / 2, 1.0)
        if hand.is_told:
            bucket.untold_since_s = None
        elif bucket.untold_since_s is None:
            bucket.untold_since_s = now_s
        return bool(
            (hand.costs and not bucket.is_in_line and (hand.first > hand.free or hand.free < bucket.share / 2))
            or (bucket.is_in_line and not hand.first)
            or (hand.fresh >= half and (hand.first or bucket.is_in_line or is_wanted))
            or hand.frozen_us
            or hand.spent.back > hand.told.back
            or now_s >= bucket.come_s
            or (bucket.untold_since_s is not None and now_s - bucket.untold_since_s >= self._quiet_s(hand))
            or (hand.held and now_s - bucket.called_s >= _RENEW_S)
        )

    def _quiet_s(self, hand: Hand) -> float:
        limit = self._limits[limit_name(hand.bucket)]
        return min(_QUIET_S, limit.capacity * limit.period_us / 8 / MICROSECONDS)

    async def _call(self, hands: Hands, due: Sequence[Hand], asks: Sequence[Ask]) -> None:
        """Tell and ask. What is answered is taken in with the next look."""
        sent_s = monotonic_s()
        try:
            answer = await self._home.lease(f"{self._store.keys.queue}:{hands.identity}", self._weight, due, asks)
        except RunnerError:
            self._counts.note_failure()
            raise
        answered_s = monotonic_s()
        self._counts.note_call(answered_s - sent_s, {limit_name(hand.bucket) for hand in due})
        trip_s = answered_s - sent_s
        self._round_trip_s = min(self._round_trip_s * 1.01, trip_s) if self._round_trip_s else trip_s
        waits = self._note_asks(answer, asks)
        for hand, leased in zip(due, answer.hands, strict=True):
            if leased is None:  # nobody has published it there, or it was forgotten
                self._published_s = min(self._published_s, answered_s + _RETRY_S - _PUBLISH_S)
                self._buckets.of(hand.bucket).come_s = answered_s + _RETRY_S
            else:
                self._note_answer(leased, answered_s)
                self._deposits.append(Deposit(leased, hands.now_us, answer.home_us, waits.get(leased.bucket, 0)))

    def _note_asks(self, answer: LeaseAnswer, asks: Sequence[Ask]) -> dict[str, int]:
        """Which asks for several buckets are in line. Returns for how long, by bucket."""
        waits: dict[str, int] = {}
        leased = {one.bucket: one for one in answer.hands if one is not None}
        for ask in asks:
            at = answer.in_line.get(ask.name)
            if at is None:
                self._asks_in_line.pop(ask.name, None)
            else:
                self._asks_in_line[ask.name] = ask
                waits |= {bucket: max(waits.get(bucket, 0), leased[at].waits_us) for bucket in ask.buckets}
        return waits

    def _note_answer(self, answer: Leased, now_s: float) -> None:
        bucket = self._buckets.of(answer.bucket)
        bucket.is_in_line, bucket.share, bucket.called_s, bucket.untold_since_s = answer.place is not None, answer.share, now_s, None
        early_s = self._round_trip_s if answer.drives else 0.0
        bucket.come_s = float("inf") if answer.come_us is None else now_s + answer.come_us / MICROSECONDS - early_s

    def _next_look_s(self, hands: Hands) -> float:
        now_s, next_s = monotonic_s(), _LOOK_S if hands.asks else _IDLE_S
        if hands.is_partial:
            next_s = min(_PART_S, self._buckets.come_s - now_s)
        for hand in hands.hands:
            bucket = self._buckets.of(hand.bucket)
            next_s = min(next_s, bucket.come_s - now_s)
            if bucket.untold_since_s is not None:
                next_s = min(next_s, bucket.untold_since_s + self._quiet_s(hand) - now_s)
            if hand.held or hand.first or not hand.is_told:
                next_s = min(next_s, _LOOK_S)
        return next_s

    async def _wait(self, seconds: float) -> None:
        """For so long, or until something has happened."""
        if self._woken.is_set() or self._told:
            return
        alarm = asyncio.get_running_loop().call_later(max(seconds, 0.0) + 0.0005, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            alarm.cancel()
