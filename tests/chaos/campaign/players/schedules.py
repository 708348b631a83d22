"""The player of schedules: declared in code and added at run time, paused, changed, triggered, and in the way of each other's ids."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

from runner import JobOptions, Runner, RunnerError
from runner.clock import MICROSECONDS
from runner.jobs import ScheduleStatus
from tests.chaos.campaign.calls import NEW
from tests.chaos.campaign.players.diary import End
from tests.chaos.campaign.players.player import Findings, Play, Player, Stage

_BY_HAND = ":by-hand-"
_MOST_ADDED = 8


def declare(runner: Runner[Any], play: Play, version: int) -> None:
    @runner.every(1, name="schedules-second", args={"most_s": 0.0})
    @runner.every(1, name="schedules-slow", args={"most_s": 2.5})
    @runner.every(2, name="schedules-queued", args={"most_s": 3.5}, overlap="queue")
    @runner.every(1, name="schedules-beside", args={"most_s": 2.0}, overlap="allow", missed="all", jitter=0.5)
    @runner.every(1, name="schedules-hurried", args={"most_s": 0.2}, missed="skip", grace=1)
    @runner.cron("* * * * *", name="schedules-minute", args={"most_s": 0.5}, tz="Europe/Berlin", missed="all")
    @runner.task
    async def beat(most_s: float) -> None:
        with play():
            await asyncio.sleep(random.uniform(0, most_s))

    if version == NEW:
        runner.every(2, name="schedules-new", args={"most_s": 0.1})(beat)


class Schedules(Player):
    """Each instant of a schedule is made once, or counted as missed, skipped or refused."""

    NAME = "schedules"
    PAUSE_S = 2.0

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._names: set[str] = set()
        self.paused: set[str] = set()
        """Those of which some instants are in no count."""
        self.changed: set[str] = set()
        """Those whose counts are of two grids."""
        self.strangers: set[str] = set()
        """Jobs that somebody else gave the id of an instant."""

    async def act(self, number: int) -> None:
        if len(self._names) < _MOST_ADDED or number % 4 == 0:
            await self._add(f"schedules-t{number}")
            return
        name = self.draw.choice(sorted(self._names))
        act = self.draw.choice([self._pause_a_while, self._change, self._take_an_id, self._trigger])
        with suppress(RunnerError):  # it has ended meanwhile, or the instant has come
            await act(name)

    async def _add(self, name: str) -> None:
        draw = self.draw
        self._names.add(name)
        every, end = draw.choice([1.0, 1.5, 2.0]), datetime.now(UTC) + timedelta(seconds=draw.uniform(8, 40))
        missed, overlap = draw.choice(["latest", "all", "skip"]), draw.choice(["skip", "queue", "allow"])
        args, jitter = {"most_s": draw.choice([0.1, 2.0])}, draw.choice([0.0, 0.4])
        options = JobOptions(priority=draw.choice(["high", "normal"]))
        await self.ask(
            lambda: self.app.client.schedules.add(
                name, "beat", args, every=every, end=end, missed=missed, overlap=overlap, grace=1.0, jitter=jitter, options=options
            )
        )
        self.figures["added"] += 1

    async def _pause_a_while(self, name: str) -> None:
        self.paused.add(name)
        await self.ask(lambda: self.app.client.schedules.pause(name, "a while"))
        await asyncio.sleep(self.draw.uniform(0, 2))
        await self.ask(lambda: self.app.client.schedules.resume(name))
        self.figures["paused"] += 1

    async def _change(self, name: str) -> None:
        self.changed.add(name)
        every, end = self.draw.choice([1.0, 3.0]), datetime.now(UTC) + timedelta(seconds=15)
        await self.ask(lambda: self.app.client.schedules.add(name, "beat", {"most_s": 0.1}, every=every, end=end, overlap="allow"))
        self.figures["changed"] += 1

    async def _take_an_id(self, name: str) -> None:
        """Another job has the id of an instant to come: that instant is refused."""
        status = await self.ask(lambda: self.app.client.schedules.show(name))
        if status.spec is None or (coming := list(status.coming(4))) == []:
            return
        job_id = status.spec.job_id(round(coming[-1].at * MICROSECONDS))
        job = self.app.tasks["flows_leaf"].with_options(id=job_id).prepare(number=0, fails=False)
        self.strangers.add(job_id)
        try:
            await self.submit(self.app, [job])
        except RunnerError:  # the instant has come
            self.strangers.discard(job_id)
            return
        self.figures["ids taken"] += 1

    async def _trigger(self, name: str) -> None:
        await self.ask(lambda: self.app.client.schedules.trigger(name))
        self.figures["triggered"] += 1

    async def finish(self) -> None:
        """No instant comes any more."""
        for status in await self.stage.watcher.schedules.list():
            await self.ask(partial(self.stage.watcher.schedules.pause, status.name, "the end"))

    async def findings(self) -> dict[str, list[str]]:
        wrong = Findings()
        for status in await self.stage.watcher.schedules.list():
            self.figures["instants"] += instants_of(status)
            for what in ("made", "missed", "skipped", "refused"):
                self.figures[what] += getattr(status, what)
            if status.name not in self.changed:
                wrong["instants"] += unaccounted(status, was_paused=status.name in self.paused)
            ends = self._ends_of(status.name)
            if len(ends) != status.made:
                wrong["instants"].append(f"{status.name} says that {status.made} jobs were made, and {len(ends)} have ended")
            if status.spec is not None and status.spec.overlap != "allow" and status.name not in self.changed:
                wrong["overlap"] += overlapping(status.name, ends)
        return wrong

    def _ends_of(self, name: str) -> list[tuple[str, End]]:
        """The jobs of its instants, in their order."""
        jobs = self.stage.diary.ended_with(f"{name}:")
        return sorted((job, self.stage.diary.ends[job][0]) for job in jobs if _BY_HAND not in job and job not in self.strangers)


def instants_of(status: ScheduleStatus) -> int:
    """How many instants of a schedule are settled, by its own grid or calendar."""
    if status.spec is None or status.last_at is None:
        return 0
    last_us = round(status.last_at * MICROSECONDS)
    first_us = status.spec.after(status.anchor_us, status.anchor_us)
    if status.spec.every_us is not None and first_us is not None:
        return (last_us - first_us) // status.spec.every_us + 1
    instants = status.spec.following(first_us, status.anchor_us)
    return next(number for number, at_us in enumerate(instants) if at_us > last_us)


def unaccounted(status: ScheduleStatus, *, was_paused: bool) -> list[str]:
    """Instants that are in no count, or in two."""
    counted = status.made + status.missed + status.skipped + status.refused + (status.queued_at is not None)
    instants = instants_of(status)
    if counted == instants or (was_paused and counted < instants):
        return []
    counts = f"{status.made} made, {status.missed} missed, {status.skipped} skipped, {status.refused} refused"
    return [f"{status.name} had {instants} instants: {counts} ({status.why})"]


def overlapping(name: str, ends: Sequence[tuple[str, End]]) -> list[str]:
    """Runs that were made before the one before had ended."""
    return [
        f"{job} was made {(before.at_us - end.submitted_us) / 1000:.0f} ms before {before_job} of {name} had ended"
        for (before_job, before), (job, end) in pairwise(ends)
        if end.submitted_us is not None and before.at_us > end.submitted_us
    ]
