"""Workplace: one queue of a test: the duties of its leader, and its workers."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from contextvars import Context
from typing import Any

from runner.client import Publication, Runner, schedules_of
from runner.jobs import StartedJob
from runner.store import DirectStore, Nudge, Role, done
from runner.testing.clock import VirtualClock
from runner.testing.lifespans import entered
from runner.testing.member import Member
from runner.worker import DutyTable, Ticker, at_once

LEASE_S = 3_600.0
"""Of whatever asks in this queue: it is renewed when the clock has jumped, and a ticket in line has nothing else to fear than its own time."""

OnStart = Callable[[Member, StartedJob], None]


class Workplace:
    """`runners` are apps of one queue; each gets so many workers. `losing`: the jobs with which a worker is to die, and how often."""

    def __init__(
        self, runners: Sequence[Runner[Any]], store: DirectStore, clock: VirtualClock, *, lease_s: float, losing: Counter[str]
    ) -> None:
        self.store = store
        self.members: list[Member] = []
        self._runners = runners
        self._clock = clock
        self._lease_s = lease_s
        self._losing = losing
        self._lifespans = AsyncExitStack()
        self._duties = DutyTable(
            store,
            _not_here,
            _for_ever,
            now_s=clock.seconds,
            idle_s=math.inf,
            watches_workers=False,
            ticker=Ticker(store, compute=at_once),
        )
        self._duties.note_clock(clock.us)
        self._renewed_s = 0.0
        self._seen = (-1, 0)
        self._lapses_s: list[float] = []
        self._leaving: list[Member] = []
        """Workers that have died. Their other attempts go on, and count: they might have ended before."""

    async def open(self, workers: int, on_start: OnStart) -> None:
        """Publish, and let the workers enlist, inside the event loop that runs the handlers."""
        self._on_start = on_start
        for runner in self._runners:
            publication = Publication(runner.tasks, runner.limits, schedules_of(runner), role=Role.worker, revision=runner.revision)
            done(publication.publish(self.store))
            context = await self._lifespans.enter_async_context(entered(runner))
            self.members += [self._enlisted(runner, context) for _ in range(workers)]
        self._duties.begin()

    async def close(self) -> None:
        """Cancel what runs, and delete the queue."""
        for member in (*self.members, *self._leaving):
            await member.close()
        await self._lifespans.aclose()
        self.store.wipe()
        await self.store.close()

    def look(self) -> int:
        """Do all that can be done at this instant; how many jobs were started."""
        self._renew()
        self._replace_the_dead()
        if self.has_news:
            self._seen = self._clock.count, self.delivered
            self.stop_cancelled()
            if (nudge := done(self.store.take_nudge())) is not None:
                self._duties.nudge(retimes=nudge is Nudge.retime)
        if self._lapses_s and self._lapses_s[0] <= self._clock.seconds():
            self._lapses_s.pop(0)
            self._duties.reclaim_now()
        done(self._duties.perform_due())
        started = sum(member.claim() for member in self.members)
        for member in self.members:
            member.hear_ends()
            member.hear_of_budgets()
        return started

    @property
    def has_news(self) -> bool:
        """Whether something was sent since the last look, which may have put jobs on a stream or set an earlier wake, or a worker has died."""
        return self._seen != (self._clock.count, self.delivered) or any(member.lost for member in self.members)

    def stop_cancelled(self) -> None:
        """Stop the attempts whose jobs were cancelled."""
        for member in self.members:
            if member.running:
                member.renew(LEASE_S)

    def tell_progress(self) -> int:
        """Send what handlers have said of their progress; of how many attempts."""
        return sum(member.tell_progress() for member in self.members)

    @property
    def counts_jobs(self) -> bool:
        """Whether there are jobs on a stream, in a line or delayed, by their number."""
        left = done(self.store.remaining(0))
        return left.soon + left.later > 0

    @property
    def running(self) -> list[StartedJob]:
        """The jobs whose attempts go on."""
        return [job for member in (*self.members, *self._leaving) for job in member.running]

    @property
    def is_busy(self) -> bool:
        """Whether an attempt goes on, its outcome is on its way, or hooks are told of it."""
        return any(member.is_busy for member in (*self.members, *self._leaving))

    @property
    def is_telling(self) -> bool:
        """Whether hooks are being told something."""
        return any(member.is_telling for member in (*self.members, *self._leaving))

    @property
    def delivered(self) -> int:
        """How many outcomes Redis has accepted."""
        return sum(member.delivered for member in (*self.members, *self._leaving))

    @property
    def next_wake_s(self) -> float:
        """When there is something to do again, in seconds of the clock; infinite if nothing is due."""
        return min(self._duties.next_wake_s, *self._lapses_s[:1], math.inf)

    @property
    def next_tick_s(self) -> float:
        """When the next schedule is due, in seconds of the clock."""
        return self._duties.next_tick_s

    def _enlisted(self, runner: Runner[Any], context: Context) -> Member:
        member = Member(runner, context, self.store, self._losing, self._on_start)
        member.open()
        return member

    def _renew(self) -> None:
        now_s = self._clock.seconds()
        if now_s - self._renewed_s > LEASE_S / 3:
            self._renewed_s = now_s
            for member in self.members:
                member.renew(LEASE_S)
                member.hear_ends(announce=True)

    def _replace_the_dead(self) -> None:
        """A worker that has died holds its job until its lease lapses; another one begins in its place."""
        for at, member in enumerate(self.members):
            if member.lost:
                member.renew(self._lease_s)
                self._lapses_s.append(self._clock.seconds() + self._lease_s)
                self._leaving.append(member)
                self.members[at] = self._enlisted(member.runner, member.context)


async def _not_here(*, others: bool) -> None:  # noqa: ARG001 - a StartDue
    """Due jobs go to the streams."""
    return


async def _for_ever() -> float:
    """This leader needs no election."""
    return math.inf
