"""Duties: what the leader does, and when each duty is due again. Every duty is safe with no leader, one or two."""

import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from runner.clock import MICROSECONDS, microseconds, monotonic_s
from runner.log_throttle import LogThrottle
from runner.store import Duties
from runner.telemetry import WorkerCounts
from runner.worker.adapting_log import log_adapted
from runner.worker.redis_pause import EXPECTED
from runner.worker.ticker import Ticker

log = logging.getLogger("runner")

_TRIM_S = 60.0
_ROUSE_S = 60.0
_BULK_S = 1.0
"""Between two looks for an act upon many jobs: no script interrupts the leader for one."""
_BULK_PAUSE_S = 0.01
"""Between two of its pages, so that others are served."""
_SWEEP_S = 60.0
_CALENDARS_S = 3_600.0
_ORPHANS_S = 5.0
_ORPHANS_SOON_S = 0.25
"""Pause between two pages of all jobs, and in the first round after a worker was lost: only then are there orphans, as a rule."""
_REPAIR_S = 5.0
_REPAIR_SOON_S = 1.0
"""Pause between two pages of what points at jobs, and where there is much of it."""
_CHECK_CLOCK_S = 1.0
_OPEN_POOLS_S = 1.0
_REST_S = 5.0
"""Pause of a duty that has failed."""
_FAIL_AGAIN_S = 60.0
"""So often at most a leader says of a duty that it fails, and gives way to another leader, which may do better."""
_NO_TIME_S = 1e-7
"""Less than the microsecond in which all instants are: sums of seconds that mean the same one may differ by so much."""
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
    """The leader's duties in the order in which it performs them; `lead`, which renews the leadership, is the first.

    now_s: a clock that never goes back. idle_s: when a duty looks again for which there is no job, unless a nudge comes; a lease, if None.
    Without `watches_workers` lapsed workers are looked for when `reclaim_now` says so, and not all the time.
    """

    def __init__(
        self,
        store: Duties,
        start_due: StartDue,
        lead: Callable[[], Awaitable[float]],
        *,
        now_s: Callable[[], float] = monotonic_s,
        idle_s: float | None = None,
        watches_workers: bool = True,
        ticker: Ticker | None = None,
        counts: WorkerCounts | None = None,
    ) -> None:
        self._counts = counts
        self._store = store
        self._ticker = ticker
        self._start_due = start_due
        self._now_s = now_s
        self._settings = store.settings
        self._idle_s = store.settings.lease_s if idle_s is None else idle_s
        self._watches_workers = watches_workers
        self._redis_ahead_us = 0
        """Redis's clock less this machine's monotonic one."""
        self._clock_checked_s = float("-inf")
        self.others_at_work = True
        """Whether due jobs are to be shared with other workers."""
        self.refills = Duty("refill", self._refill)
        self._nudged = [self.refills, Duty("promote", self._promote), Duty("expire", self._expire)]
        """What a nudge concerns: a script has set an earlier wake than the leader knows of."""
        self._tick = Duty("tick", self._fire_schedules, math.inf)
        """Due when `promote` says so, which looks at the schedules too: a nudge costs no call more for them."""
        self._retimes, self._adapts = Duty("retime", self._retime), Duty("adapt", self._adapt)
        self._unpauses, self._advances = Duty("unpause", self._unpause), Duty("advance", self._advance)
        self._reclaims, self._orphans = Duty("reclaim", self._reclaim), Duty("orphans", self._look_for_orphans)
        self._orphans_from, self._expects_orphans = b"0", True
        self._failed = LogThrottle(_FAIL_AGAIN_S)
        self._roused = self._swept = 0
        self._rows = [
            Duty("lead", lead),
            *self._nudged,
            self._tick,
            self._retimes,
            self._unpauses,
            self._adapts,
            self._reclaims,
            self._orphans,
            self._advances,
            Duty("trim", self._trim),
            Duty("bulk", self._bulk),
            Duty("unhold", self._unhold),
            Duty("open pools", self._open_pools),
            Duty("sweep", self._sweep),
            Duty("rouse", self._rouse),
            Duty("roll", self._roll),
            Duty("repair", self._repair),
            Duty("calendars", self._extend_calendars),
            Duty("drowse", self._look_after_dormant_schedules),
        ]

    @property
    def next_due_s(self) -> float:
        """When the next duty is due, by the clock of this table, which is monotonic."""
        return min(duty.due_s for duty in self._rows)

    @property
    def next_wake_s(self) -> float:
        """When the next duty is due for which there is a job; what is left are looks that find something after a loss only."""
        return min(duty.due_s for duty in (*self._nudged, self._tick, self._retimes, self._unpauses, self._advances))

    @property
    def next_tick_s(self) -> float:
        """When the next schedule is due; infinite if none is."""
        return self._tick.due_s

    def note_clock(self, redis_us: int) -> None:
        """What Redis's clock shows, by a reply that has just come."""
        self._redis_ahead_us = redis_us - microseconds(self._now_s())

    def begin(self) -> None:
        """A worker begins to lead: every duty is due."""
        for duty in self._rows:
            # Workers whose lease lapsed while Redis was away get a moment to renew it before their jobs are taken back.
            duty.due_s = self._now_s() + self._settings.reclaim_s if duty.name == "reclaim" else 0.0
        # What the workers of before leave behind is theirs until their leases lapse.
        self._expect_orphans(in_s=self._settings.lease_s)
        if not self._watches_workers:
            self._reclaims.due_s = self._orphans.due_s = math.inf

    def nudge(self, *, retimes: bool) -> None:
        """Look at the wakes at once, and with `retimes` turn the pages that are left of a change, also of pauses and flows."""
        if retimes:
            self._retimes.due_s = self._unpauses.due_s = self._adapts.due_s = self._advances.due_s = 0.0
        for duty in self._nudged:
            duty.due_s = 0.0

    def reclaim_now(self) -> None:
        """Look for lapsed workers with the next duties."""
        self._reclaims.due_s = 0.0

    async def perform_due(self) -> None:
        """Perform each duty that is due. Raises `StoreUnavailable`, and now and then, once all are performed, what one of them raised."""
        now_s, failure = self._now_s(), None
        for duty in self._rows:
            if duty.due_s <= now_s + _NO_TIME_S:
                try:
                    # Counted from before the call: the reply says how long the next wake was away when Redis sent it.
                    duty.due_s = now_s + await duty.perform()
                except EXPECTED:
                    raise
                except Exception as error:  # noqa: BLE001 - what makes Redis refuse one duty holds up no job of which the others take care
                    duty.due_s, failure = now_s + _REST_S, failure or error
                now_s = self._now_s()
        if failure is not None and self._failed.is_due(now_s):
            raise failure

    async def _refill(self) -> float:
        looks_s, due_s = self._now_s(), self._nudged[0].due_s
        check_clock = looks_s - self._clock_checked_s > _CHECK_CLOCK_S
        started = None if check_clock else await self._start_due(others=self.others_at_work)
        released, next_us = started or await self._store.refill(check_clock=check_clock)
        if check_clock:
            self._clock_checked_s = self._now_s()
        if self._counts is not None and released and due_s > 0:  # 0: a nudge came, and no instant was known
            self._counts.note_release_delay(looks_s - due_s)
        if next_us == 0 and not released:
            return BLOCKED_S
        return self._seconds_until(next_us)

    async def _retime(self) -> float:
        return 0.0 if await self._store.retime() else self._idle_s

    async def _unpause(self) -> float:
        return self._seconds_until(await self._store.unpause())

    async def _adapt(self) -> float:
        adapted = await self._store.adapt()
        log_adapted(adapted.changed)
        return self._seconds_until(adapted.next_us)

    async def _advance(self) -> float:
        return 0.0 if await self._store.advance() else self._idle_s

    async def _rouse(self) -> float:
        self._roused = await self._store.rouse(self._roused)
        return _ROUSE_S

    async def _repair(self) -> float:
        _, has_much = await self._store.repair()
        return _REPAIR_SOON_S if has_much else _REPAIR_S

    async def _promote(self) -> float:
        _, next_us, schedule_us = await self._store.promote_and_look()
        self._tick.due_s = math.inf if schedule_us is None else self._now_s() + max(schedule_us, 0) / MICROSECONDS
        return self._seconds_until(next_us)

    async def _fire_schedules(self) -> float:
        next_s = math.inf if self._ticker is None else await self._ticker.tick()
        return next_s if next_s == math.inf else min(next_s, self._idle_s)

    async def _look_after_dormant_schedules(self) -> float:
        return math.inf if self._ticker is None else await self._ticker.drowse()

    async def _expire(self) -> float:
        return self._seconds_until((await self._store.expire())[1])

    async def _reclaim(self) -> float:
        not_after_us = microseconds(self._now_s()) + self._redis_ahead_us + microseconds(self._settings.renew_s)
        reclaimed = await self._store.reclaim(not_after_us)
        if reclaimed.is_late:
            log.warning("a look for lapsed workers reached Redis too late, as others' renewals may have: it took nothing back")
            return self._settings.renew_s
        entries, workers, poisoned = reclaimed
        if entries or workers:
            log.warning("took back %d entries of %d lapsed workers; %d jobs given up as poison", entries, workers, poisoned)
        if workers:
            self._expect_orphans(in_s=0.0)
        if entries:
            return 0.0
        return self._settings.reclaim_s if self._watches_workers else math.inf

    def _expect_orphans(self, in_s: float) -> None:
        """Go through all jobs once, beginning now or later."""
        self._expects_orphans, self._orphans_from = True, b"0"
        self._orphans.due_s = self._now_s() + in_s

    async def _look_for_orphans(self) -> float:
        self._orphans_from, found = await self._store.orphans(self._orphans_from)
        if found:
            log.warning("took back %d jobs that were running, and that no worker held", found)
        if self._orphans_from == b"0":
            self._expects_orphans = False
        if self._expects_orphans:
            return _ORPHANS_SOON_S
        return _ORPHANS_S if self._watches_workers else math.inf

    async def _trim(self) -> float:
        _, more = await self._store.trim()
        return 0.0 if more else _TRIM_S

    async def _bulk(self) -> float:
        return _BULK_PAUSE_S if (await self._store.bulk()).more else _BULK_S

    async def _unhold(self) -> float:
        # The worker that comes for such jobs does this too: the leader goes on where one was lost.
        return 0.0 if await self._store.unhold() else self._settings.lease_s

    async def _open_pools(self) -> float:
        opened = await self._store.open_pools()
        if opened.forgotten:
            log.info("forgot pools that were empty, and that no worker had read for a day: %s", ", ".join(opened.forgotten))
        return _OPEN_POOLS_S if opened.has_pools else self._settings.lease_s

    async def _sweep(self) -> float:
        swept = await self._store.sweep(self._swept)
        self._swept = swept.cursor
        for what, names in (("tasks that no worker has served", swept.tasks), ("limits that nobody has declared", swept.limits)):
            if names:
                log.warning("removed %s for %g days: %s", what, self._settings.catalog_ttl_s / 86_400, ", ".join(names))
        return 0.0 if swept.more else _SWEEP_S

    async def _roll(self) -> float:
        await self._store.sample()
        rolled = await self._store.roll()
        return 0.0 if rolled.more else rolled.next_us / MICROSECONDS

    async def _extend_calendars(self) -> float:
        await self._store.extend_calendars()
        return _CALENDARS_S

    def _seconds_until(self, next_us: int) -> float:
        """The reply's µs until the next instant; without one (-1) the duty waits for a nudge, and `idle_s` at most."""
        return next_us / MICROSECONDS if next_us >= 0 else self._idle_s
