"""RefillLoop: the leader's duties, each at its time. Leadership only paces them: every duty is safe with no leader, one or two."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from runner.clock import MICROSECONDS, monotonic_s
from runner.errors import StoreUnavailable
from runner.store import Duties
from runner.worker.log_throttle import LogThrottle
from runner.worker.retry import RETRY_S

log = logging.getLogger("runner")

_SAFETY = 0.8
"""The part of the lock's time to live for which this worker trusts it, counted from before it asked."""
_TRIM_S = 60.0
_CALENDARS_S = 3_600.0
_CHECK_CLOCK_S = 1.0
_OVERDUE_US = 20_000
"""A wake found this late means that no leader is at work."""
_LEAST_PATIENCE_S = 0.025
_LONGEST_STAND_IN_S = 0.1
"""Who stands in is not nudged, so it looks this often."""
_TIMER_GRAIN_S = 0.001
_BLOCKED_S = 0.1
"""Pause when what is due cannot move: the window of its bucket is full, and the next claims will release it."""


class StartDue(Protocol):
    """Starts what waits and is due in this worker, without a way over the streams; None if it is for all to start, see `Claimer`."""

    async def __call__(self, *, others: bool) -> tuple[int, int] | None: ...


@dataclass(slots=True)
class Duty:
    """One row of the leader's table: `perform` returns the seconds until it is due again."""

    name: str
    perform: Callable[[], Awaitable[float]]
    due_s: float = 0.0


class RefillLoop:
    """Stands for election; while it leads, performs what is due and sends nothing while nothing is."""

    def __init__(self, store: Duties, worker: str, start_due: StartDue) -> None:
        self._store = store
        self._start_due = start_due
        self._worker = worker
        self._settings = store.settings
        self.term = 0
        self.leader = ""
        self._others = True
        self.elected = asyncio.Event()
        self._trusted_until_s = 0.0
        self._clock_checked_s = float("-inf")
        self._stands_in_until_s = float("-inf")
        self._nudged = False
        self._woken = asyncio.Event()
        self._outage = LogThrottle()
        self._paced = [Duty("refill", self._refill), Duty("promote", self._promote), Duty("expire", self._expire)]
        self._duties = [
            Duty("lead", self._lead),
            *self._paced,
            Duty("reclaim", self._reclaim),
            Duty("trim", self._trim),
            Duty("calendars", self._extend_calendars),
        ]

    async def run(self) -> None:
        """Stand for election and lead, until cancelled; then resign. Survives whatever a duty raises."""
        try:
            while True:
                try:
                    if await self._lead() and self.term:
                        await self._perform_duties()
                    else:
                        await self._stand_by()
                except StoreUnavailable as error:
                    # The term stays: if the lock is still ours, the next election goes on with it.
                    if self._outage.is_due(monotonic_s()):
                        log.warning("refill loop waits for Redis: %s", error)
                    await asyncio.sleep(RETRY_S)
                except Exception:
                    log.exception("a duty failed; worker %s resigns", self._worker)
                    await self._resign()
                    await asyncio.sleep(self._settings.renew_s)
        finally:
            if self.term:
                await self._resign()

    async def _perform_duties(self) -> None:
        log.info("worker %s leads (term %d)", self._worker, self.term)
        for duty in self._duties:
            # Whoever lapsed while Redis was away gets a moment to renew before anything is taken from it.
            duty.due_s = monotonic_s() + self._settings.reclaim_s if duty.name == "reclaim" else 0.0
        listener = asyncio.create_task(self._listen(), name="refill-listener")
        try:
            while self.term and monotonic_s() < self._trusted_until_s:
                now_s = monotonic_s()
                for duty in self._duties:
                    if duty.due_s <= now_s:
                        # From when it began: the answer is as old as its way back.
                        duty.due_s = now_s + await duty.perform()
                        now_s = monotonic_s()
                await self._wait_until(min(duty.due_s for duty in self._duties))
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    async def _stand_by(self) -> None:
        """Until the next election: look, before a token is lost, whether the leader is at work, and stand in for it if not."""
        election_s = monotonic_s() + self._settings.renew_s
        due_s = promote_s = 0.0
        while (now_s := monotonic_s()) < election_s:
            if promote_s <= now_s:
                await self._store.promote()
                promote_s = now_s + self._settings.block_s
            if due_s <= now_s:
                due_s = now_s + await self._watch_leader()
            await asyncio.sleep(max(min(due_s, promote_s, election_s) - monotonic_s(), 0))

    async def _watch_leader(self) -> float:
        """Release what is due, which finds nothing while a leader is at work; seconds until it is time to look again."""
        released = await self._store.refill_and_watch()
        if released.late_us > _OVERDUE_US:
            self._stands_in_until_s = monotonic_s() + self._settings.lease_s
        if released.next_wake_us < 0:
            return self._settings.block_s
        if monotonic_s() < self._stands_in_until_s:
            blocked = released.next_wake_us == 0 and not released.jobs
            return _BLOCKED_S if blocked else min(released.next_wake_us / MICROSECONDS, _LONGEST_STAND_IN_S)
        return min(max(released.lost_in_us / MICROSECONDS, _LEAST_PATIENCE_S), self._settings.block_s)

    async def _wait_until(self, due_s: float) -> None:
        """Until then, or until somebody has set an earlier wake: then all that is paced is due."""
        # An event loop rounds its timers to milliseconds: one that is early is followed by another, which costs more than the job.
        alarm = asyncio.get_running_loop().call_later(max(due_s - monotonic_s(), 0) + _TIMER_GRAIN_S, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            alarm.cancel()
        self._woken.clear()
        if self._nudged:
            self._nudged = False
            for duty in self._paced:
                duty.due_s = 0.0

    def _nudge(self) -> None:
        self._nudged = True
        self._woken.set()

    async def _listen(self) -> None:
        """Hear of wakes set earlier than those known. The timer is ours: Redis ends a blocking read up to 100 ms late."""
        while True:
            try:
                if await self._store.wait_for_nudge(self._settings.block_s):
                    self._nudge()
            except StoreUnavailable:
                # The duties tell of it. A nudge may have gone to the connection that was lost: look for oneself.
                await asyncio.sleep(RETRY_S)
                self._nudge()

    async def _lead(self) -> float:
        asked_s = monotonic_s()
        self.term, self.leader, workers = await self._store.lead(self._worker, self.term)
        self._others = workers > 1
        self.elected.set()
        self._outage.is_over()
        self._trusted_until_s = asked_s + self._settings.lease_s * _SAFETY
        return self._settings.renew_s

    async def _refill(self) -> float:
        check_clock = monotonic_s() - self._clock_checked_s > _CHECK_CLOCK_S
        started = None if check_clock else await self._start_due(others=self._others)
        released, next_us = started or await self._store.refill(check_clock=check_clock)
        if check_clock:
            self._clock_checked_s = monotonic_s()
        if next_us == 0:
            return 0.0 if released else _BLOCKED_S
        return next_us / MICROSECONDS if next_us > 0 else self._settings.lease_s

    async def _promote(self) -> float:
        _, next_us = await self._store.promote()
        return next_us / MICROSECONDS if next_us >= 0 else self._settings.lease_s

    async def _expire(self) -> float:
        _, next_us = await self._store.expire()
        return next_us / MICROSECONDS if next_us >= 0 else self._settings.lease_s

    async def _reclaim(self) -> float:
        entries, workers, poisoned = await self._store.reclaim()
        if entries or workers:
            log.warning("took back %d entries of %d lapsed workers; %d jobs given up as poison", entries, workers, poisoned)
        return 0.0 if entries else self._settings.reclaim_s

    async def _trim(self) -> float:
        await self._store.trim()
        return _TRIM_S

    async def _extend_calendars(self) -> float:
        await self._store.extend_calendars()
        return _CALENDARS_S

    async def _resign(self) -> None:
        term, self.term = self.term, 0
        try:
            async with asyncio.timeout(self._settings.command_timeout_s):
                await self._store.resign(self._worker, term)
        except (StoreUnavailable, TimeoutError):
            log.info("leadership of worker %s runs out by itself", self._worker)
