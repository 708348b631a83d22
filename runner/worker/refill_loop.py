"""RefillLoop: elects a leader, wakes it when a duty is due, watches it, stands in for it. Leadership only paces: no duty depends on it."""

import asyncio
import logging

from runner.clock import MICROSECONDS, monotonic_s
from runner.errors import StoreUnavailable
from runner.log_throttle import A_MINUTE_S, LogThrottle
from runner.store import Duties, Nudge
from runner.telemetry import WorkerCounts
from runner.worker.duties import BLOCKED_S, DutyTable, StartDue
from runner.worker.redis_pause import RETRY_S
from runner.worker.shared_limits import SharedLimits
from runner.worker.ticker import Ticker

log = logging.getLogger("runner")

_SAFETY = 0.8
"""The part of the lock's time to live for which this worker trusts it, counted from before it asked."""
_OVERDUE_US = 20_000
"""A wake found this late twice in succession means that no leader is at work."""
_GRACE_US = 25_000
"""Time that a leader at work gets for a wake, from its instant on."""
_LONG_OVERDUE_US = 200_000
"""A wake found this late by a worker that does not watch means that the one that watches is lost too."""
_SCHEDULE_LATE_US = 2_000_000
"""A schedule that is due for so long is fired by the worker that watches the leader."""
_LEAST_PATIENCE_S = 0.2
_LONGEST_STAND_IN_S = 0.1
"""A worker that stands in gets no nudges, so it looks this often."""
_TIMER_GRAIN_S = 0.001


class RefillLoop:
    """Stands for election. While it leads, it performs what is due, and sends nothing while nothing is."""

    def __init__(
        self, store: Duties, worker: str, start_due: StartDue, ticker: Ticker | None = None, counts: WorkerCounts | None = None
    ) -> None:
        self._store = store
        self._ticker = ticker
        self._worker = worker
        self._settings = store.settings
        self._duties = DutyTable(store, start_due, self._lead, ticker=ticker, counts=counts)
        self._term = 0
        self._watches = False
        self._trusted_until_s = 0.0
        self._stands_in_since_s = self._stands_in_until_s = float("-inf")
        self._suspects = False
        """What the leader was to do has been found overdue once: it may be at work all the same, only late."""
        self._nudged = self._retimes = False
        self._woken = asyncio.Event()
        self._outage = LogThrottle()
        self._failures = LogThrottle(A_MINUTE_S)
        self.leader = ""
        self.elected = asyncio.Event()
        self.shared_limits: SharedLimits | None = None
        """What the leader does for limits that its queue shares, and who stands in for it; set before `run`."""
        self._sharing: asyncio.Task[None] | None = None
        self._has_tokens = False

    async def run(self) -> None:
        """Stand for election and lead until cancelled, then resign. Survives whatever a duty raises."""
        try:
            while True:
                try:
                    await self._lead()
                    if self._term:
                        await self._perform_duties()
                    elif self._watches or self._suspects or self._stands_in:
                        await self._stand_by()
                    else:
                        await self._end_sharing()
                        await asyncio.sleep(self._settings.renew_s)
                except StoreUnavailable as error:
                    # The term stays: if the lock is still held by this worker, the next election goes on with it.
                    if self._outage.is_due(monotonic_s()):
                        log.warning("refill loop waits for Redis: %s", error)
                    await asyncio.sleep(RETRY_S)
                except Exception:
                    if self._failures.is_due(monotonic_s()):
                        log.exception("a duty failed; worker %s resigns", self._worker)
                    await self._resign()
                    await asyncio.sleep(self._settings.renew_s)
        finally:
            await self._end_sharing()
            if self._term or self._watches:
                await self._resign()

    @property
    def leads(self) -> bool:
        """Whether this worker leads, as far as it knows."""
        return self._term > 0

    # Election

    async def _lead(self) -> float:
        """Become leader, stay it, or learn who it is. Seconds until the next election."""
        asked_s = monotonic_s()
        election = await self._store.lead(self._worker, self._term)
        self._term, self.leader, self._watches = election.term, election.leader, election.watches
        if election.quiet_s is not None and asked_s - election.quiet_s > self._stands_in_since_s:
            self._stands_in_until_s = float("-inf")  # the leader has renewed its lock since
        self._suspects = election.late_us > _LONG_OVERDUE_US
        self._duties.note_clock(election.now_us)
        self._duties.others_at_work = election.workers > 1
        self.elected.set()
        self._outage.is_over()
        self._trusted_until_s = asked_s + self._settings.lease_s * _SAFETY
        return self._settings.renew_s

    async def _resign(self) -> None:
        term, self._term, self._watches = self._term, 0, False
        try:
            async with asyncio.timeout(self._settings.command_timeout_s):
                await self._store.resign(self._worker, term)
        except Exception:  # noqa: BLE001 - Redis is away, or refuses that too, which must not end the loop
            log.info("leadership of worker %s runs out by itself", self._worker)

    # Leading

    async def _perform_duties(self) -> None:
        """Until another worker leads, or this one can no longer be sure to."""
        log.info("worker %s leads (term %d)", self._worker, self._term)
        self._duties.begin()
        listener = asyncio.create_task(self._listen(), name="refill-listener")
        try:
            while self._term and monotonic_s() < self._trusted_until_s:
                await self._duties.perform_due()
                self._share()
                await self._wait_until(self._duties.next_due_s)
        finally:
            listener.cancel()
            await asyncio.gather(listener, self._end_sharing(), return_exceptions=True)

    # Limits that several queues share

    def _share(self) -> None:
        """Fetch tokens for the jobs that wait. With two who do so nothing is exceeded."""
        if self.shared_limits is None:
            return
        if self._sharing is None or self._sharing.done():
            self._sharing = asyncio.create_task(self.shared_limits.run(self._tokens_came), name="shared limits")
        self.shared_limits.wake()

    async def _end_sharing(self) -> None:
        sharing, self._sharing = self._sharing, None
        if sharing is not None:
            sharing.cancel()
            await asyncio.gather(sharing, return_exceptions=True)

    def _tokens_came(self) -> None:
        """Tokens of a shared limit are in hand: start the jobs that waited for them."""
        self._duties.refills.due_s = 0.0
        self._has_tokens = True
        self._woken.set()

    async def _wait_until(self, due_s: float) -> None:
        """Until that instant, or until a script has set an earlier wake."""
        # An event loop rounds its timers to milliseconds. One that fires early needs a second one, which costs more than the job.
        alarm = asyncio.get_running_loop().call_later(max(due_s - monotonic_s(), 0) + _TIMER_GRAIN_S, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            alarm.cancel()
        self._woken.clear()
        if self._nudged:
            self._duties.nudge(retimes=self._retimes)
            self._nudged = self._retimes = False

    async def _listen(self) -> None:
        """Listen for nudges. They are no timer: Redis ends a blocking read up to 100 ms late."""
        while True:
            try:
                if nudge := await self._store.wait_for_nudge(self._settings.block_s):
                    self._nudge(retimes=nudge is Nudge.retime)
            except StoreUnavailable:
                # The duties log it. Redis may have sent a nudge to the connection that was lost, so look without one.
                await asyncio.sleep(RETRY_S)
                self._nudge(retimes=True)

    def _nudge(self, *, retimes: bool) -> None:
        self._nudged, self._retimes = True, self._retimes or retimes
        self._woken.set()

    # Standing in

    async def _stand_by(self) -> None:
        """Until the next election: look, before tokens are lost, whether the leader is at work; stand in for it if it is not."""
        election_s = monotonic_s() + self._settings.renew_s
        due_s = promote_s = 0.0
        while (now_s := monotonic_s()) < election_s:
            if promote_s <= now_s:
                _, _, schedule_us = await self._store.promote_and_look()
                if schedule_us is not None and schedule_us < -_SCHEDULE_LATE_US and self._ticker is not None:
                    await self._ticker.tick(_SCHEDULE_LATE_US)
                promote_s = now_s + self._settings.block_s
            if due_s <= now_s or self._has_tokens:
                self._has_tokens = False
                due_s = now_s + await self._watch_leader()
            await self._wait_until(min(due_s, promote_s, election_s))

    async def _watch_leader(self) -> float:
        """Release what is due, which finds nothing while a leader is at work. Seconds until it is time to look again."""
        released = await self._store.refill_and_watch()
        is_overdue = released.late_us > _OVERDUE_US
        if is_overdue and self._suspects:
            self._stand_in()
        self._suspects = is_overdue
        if self._stands_in:
            self._share()
            await self._store.retime()
            await self._store.unpause()
        elif self._sharing is not None:
            await self._end_sharing()
        if released.next_wake_us < 0:
            return self._settings.block_s
        if self._stands_in:
            blocked = released.next_wake_us == 0 and not released.jobs
            return BLOCKED_S if blocked else min(released.next_wake_us / MICROSECONDS, _LONGEST_STAND_IN_S)
        due_us, least_s = (released.next_wake_us, 0.0) if is_overdue else (released.lost_in_us, _LEAST_PATIENCE_S)
        return min(max((due_us + _GRACE_US) / MICROSECONDS, least_s), self._settings.block_s)

    def _stand_in(self) -> None:
        if not self._stands_in:
            self._stands_in_since_s = monotonic_s()
        self._stands_in_until_s = monotonic_s() + self._settings.lease_s

    @property
    def _stands_in(self) -> bool:
        return monotonic_s() < self._stands_in_until_s
