"""Driver: runs the jobs of a `TestQueue`: it starts them, waits for the attempts, and if nothing is left to do at this instant the clock jumps."""

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import NoReturn

from runner.clock import MICROSECONDS, microseconds, monotonic_s
from runner.jobs import JobStatus, explain
from runner.store import Depth, done
from runner.testing.clock import VirtualClock
from runner.testing.timers import VirtualTimers
from runner.testing.workplace import Workplace

_LEAST_SPINS, _SPINS = 3, 40
"""Turns of the event loop before a handler is thought to wait for something: most have ended by then. A cancellation takes three."""
_LEAST_PAUSE_S, _LONGEST_PAUSE_S = 0.001, 0.05
_HANGS_S = 0.5
"""A handler that neither sleeps nor waits for a job, and does nothing for so long of real time, is thought to hang until its time-out."""
_MOST_JUMPS = 5_000
"""One after the other at which nothing starts and nothing ends."""
_MOST_SHOWN = 10


class NeverIdle(AssertionError):
    """The queue does not come to rest: the message says what waits, and why."""


class Driver:
    """One run at a time, in one event loop. `timers` are those of the handlers, if these are virtual."""

    def __init__(self, places: Sequence[Workplace], clock: VirtualClock, timers: VirtualTimers | None) -> None:
        self._places = places
        self._clock = clock
        self._timers = timers
        self._changed = asyncio.Event()
        self._started = self._told = 0
        self._most = math.inf
        self._lock = asyncio.Lock()

    async def run(self, is_over: Callable[[], bool], until_us: float, most: float, *, may_rest: bool) -> None:
        """Until `is_over`, or until this instant, at which the clock stands then; with `may_rest` until nothing is left to do.

        Raises `NeverIdle` if more than `most` attempts are started, or nothing ever happens that would end what waits.
        """
        async with self._lock:
            self._most, jumps = self._started + most, 0
            while not is_over():
                before = self._started
                await self._exhaust()
                if is_over():
                    return
                jumps = jumps + 1 if self._started == before else 0
                if jumps > _MOST_JUMPS:
                    self._fail(f"the clock has jumped {jumps} times, and nothing has started")
                next_us = self._next_us
                # Jobs that have ended may have left a wake, and schedules go on for ever.
                may_be_idle = next_us == math.inf or self._started == before or next_us >= self._next_tick_us
                if may_rest and may_be_idle and not (self._clock.waits or self._is_telling or self._is_left(next_us)):
                    return
                if next_us == until_us == math.inf:
                    self._fail("nothing will happen any more, and there are jobs that have not ended")
                if next_us > until_us:
                    self._jump(until_us)
                    return
                self._jump(next_us)

    async def _exhaust(self) -> None:
        """Do all that there is to do at this instant. Returns when every attempt that goes on sleeps or waits for a job."""
        pause_s, quiet_since_s = _LEAST_PAUSE_S, monotonic_s()
        while True:
            started = sum(place.look() for place in self._places)
            self._started += started
            if self._started > self._most:
                self._fail("more attempts were started than `most` allows")
            is_quiet = await self._until_quiet()
            if started or self._changed.is_set() or any(place.has_news for place in self._places):
                self._changed.clear()
                pause_s, quiet_since_s = _LEAST_PAUSE_S, monotonic_s()
                continue
            if self._let_look():
                continue
            if is_quiet and not self._someone_wakes():
                return
            if self._hangs(monotonic_s() - quiet_since_s):
                return
            await self._pause(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            for place in self._places:
                place.stop_cancelled()

    async def _until_quiet(self) -> bool:
        """Let the attempts go on for a moment; whether none does anything any more at this instant."""
        for spin in range(_SPINS):
            await asyncio.sleep(0)
            if spin >= _LEAST_SPINS and self._is_quiet():
                return True
        return False

    def _is_quiet(self) -> bool:
        if self._clock.sent or self._clock.is_looked_at or self._is_telling:
            return False
        running = {(job.id, job.attempt) for place in self._places for job in place.running}
        if running:
            return running <= self._clock.waiting | (set() if self._timers is None else self._timers.sleeping)
        return not any(place.is_busy for place in self._places)

    def _let_look(self) -> bool:
        """Send what handlers have said of their progress, and let those look who follow jobs; whether there are any."""
        self._told += sum(place.tell_progress() for place in self._places)
        if not self._clock.looks:
            return False
        delivered = sum(place.delivered for place in self._places)
        return self._clock.let_look((self._clock.us, self._started, delivered, self._told))

    @property
    def _is_telling(self) -> bool:
        return any(place.is_telling for place in self._places)

    def _hangs(self, quiet_s: float) -> bool:
        """Whether only a time-out can end the attempts that go on: with real time-outs they are waited for."""
        return self._timers is not None and quiet_s > _HANGS_S and self._timers.next_us < math.inf and not self._someone_wakes()

    def _someone_wakes(self) -> bool:
        """Whether somebody who waits for a job is about to learn that it has ended: the clock must not jump meanwhile."""
        asked = list({job_id for wait in list(self._clock.waits) for job_id in wait.job_ids})
        for place in self._places if asked else ():
            found = done(place.store.get(asked, Depth.state))
            if any(status is not None and status.state.is_final for status in found):
                return True
        return False

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    @property
    def is_running(self) -> bool:
        """Whether a run goes on."""
        return self._lock.locked()

    def note_change(self) -> None:
        """Somebody begins or ends to wait or to sleep."""
        self._changed.set()

    # Time

    @property
    def _next_us(self) -> float:
        """The next instant at which there is something to do."""
        next_s = min((place.next_wake_s for place in self._places), default=math.inf)
        next_us = math.inf if next_s == math.inf else self._clock.start_us + microseconds(next_s)
        # Of a handler that has ended an open timer may be left, which looks after the time-outs of all.
        is_busy = any(place.is_busy for place in self._places)
        timer_us = self._timers.next_us if self._timers is not None and is_busy else math.inf
        return max(min(next_us, self._clock.next_end_us, timer_us), self._clock.us)

    @property
    def _next_tick_us(self) -> float:
        """The next instant of a schedule."""
        next_s = min((place.next_tick_s for place in self._places), default=math.inf)
        return math.inf if next_s == math.inf else self._clock.start_us + microseconds(next_s)

    def _jump(self, us: float) -> None:
        self._clock.jump(int(us))
        if self._timers is not None:
            self._timers.fire_due()

    # What is left

    def _is_left(self, next_us: float) -> bool:
        """Whether jobs have not ended. While the clock goes on by itself that is a count, which may still have jobs that were cancelled."""
        if next_us < self._next_tick_us and any(place.counts_jobs for place in self._places):
            return True
        return bool(self.unended())

    def unended(self) -> list[JobStatus]:
        """The jobs that have not ended."""
        return [job for place in self._places for job in place.store.jobs(Depth.state) if not job.state.is_final]

    def _fail(self, why: str) -> NoReturn:
        told = [f"{why}, at {self._clock.seconds():g} s:"]
        left = self.unended()
        for place in self._places:
            for job in [job for job in place.store.jobs(Depth.state) if not job.state.is_final][:_MOST_SHOWN]:
                limits = done(place.store.limits(job.limit, bucket=job.bucket or "")) if job.limit else []
                lines = explain(job, limits, self._clock.us / MICROSECONDS)
                told.append(" ".join(line for line in lines if "python -m runner" not in line))
        if len(left) > _MOST_SHOWN:
            told.append(f"... {len(left)} jobs in all")
        told += [f"somebody waits for job {wait.job_ids[0]}" for wait in list(self._clock.waits) if wait.job_ids]
        told += [f"somebody follows {look.job_ids[0]}" for look in list(self._clock.looks) if look.job_ids]
        raise NeverIdle("\n".join(told))
