"""Duties: what the leader does, and when each duty is due again. Every duty is safe with no leader, one or two."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from runner.clock import MICROSECONDS, monotonic_s
from runner.store import Duties

log = logging.getLogger("runner")

_TRIM_S = 60.0
_CALENDARS_S = 3_600.0
_CHECK_CLOCK_S = 1.0
BLOCKED_S = 0.1
"""Pause when no due job can start because the window of its bucket is full; the next claims will empty it."""


class StartDue(Protocol):
    """Starts due jobs directly in this worker's free slots, bypassing the streams: (started, µs until the next wake, -1 if no job waits).

    Returns None if they should go to the streams, where the `others` can take them: see `Claimer.start_due`.
    """

    async def __call__(self, *, others: bool) -> tuple[int, int] | None: ...


@dataclass(slots=True)
class Duty:
    """One row of the table: `perform` returns the seconds until the duty is due again."""

    name: str
    perform: Callable[[], Awaitable[float]]
    due_s: float = 0.0


class DutyTable:
    """The leader's duties in the order in which it performs them; `lead`, which renews the leadership, is the first."""

    def __init__(self, store: Duties, start_due: StartDue, lead: Callable[[], Awaitable[float]]) -> None:
        self._store = store
        self._start_due = start_due
        self._settings = store.settings
        self._clock_checked_s = float("-inf")
        self.others_at_work = True
        """Whether due jobs are to be shared with other workers."""
        self._nudged = [Duty("refill", self._refill), Duty("promote", self._promote), Duty("expire", self._expire)]
        """What a nudge concerns: a script has set an earlier wake than the leader knows of."""
        self._rows = [
            Duty("lead", lead),
            *self._nudged,
            Duty("reclaim", self._reclaim),
            Duty("trim", self._trim),
            Duty("calendars", self._extend_calendars),
        ]

    @property
    def next_due_s(self) -> float:
        """When the next duty is due, by the monotonic clock."""
        return min(duty.due_s for duty in self._rows)

    def begin(self) -> None:
        """A worker begins to lead: every duty is due."""
        for duty in self._rows:
            # Workers whose lease lapsed while Redis was away get a moment to renew it before their jobs are taken back.
            duty.due_s = monotonic_s() + self._settings.reclaim_s if duty.name == "reclaim" else 0.0

    def nudge(self) -> None:
        """Look at the wakes at once."""
        for duty in self._nudged:
            duty.due_s = 0.0

    async def perform_due(self) -> None:
        """Perform each duty that is due. Raises what a duty raises."""
        now_s = monotonic_s()
        for duty in self._rows:
            if duty.due_s <= now_s:
                # Counted from before the call: the reply says how long the next wake was away when Redis sent it.
                duty.due_s = now_s + await duty.perform()
                now_s = monotonic_s()

    async def _refill(self) -> float:
        check_clock = monotonic_s() - self._clock_checked_s > _CHECK_CLOCK_S
        started = None if check_clock else await self._start_due(others=self.others_at_work)
        released, next_us = started or await self._store.refill(check_clock=check_clock)
        if check_clock:
            self._clock_checked_s = monotonic_s()
        if next_us == 0 and not released:
            return BLOCKED_S
        return self._seconds_until(next_us)

    async def _promote(self) -> float:
        _, next_us = await self._store.promote()
        return self._seconds_until(next_us)

    async def _expire(self) -> float:
        _, next_us = await self._store.expire()
        return self._seconds_until(next_us)

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

    def _seconds_until(self, next_us: int) -> float:
        """The reply's µs until the next instant; without one (-1) the duty waits for a nudge, and a lease at most."""
        return next_us / MICROSECONDS if next_us >= 0 else self._settings.lease_s
