"""Foreseeing: what would become of jobs that are submitted now, and which of them cannot make their deadline. Reads only."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from runner.errors import BacklogFull
from runner.jobs import Acceptance, OtherJob, PauseStatus, Submission
from runner.limits import Need, decode_needs, pool_of
from runner.outlook import BucketView, Earliest, Estimate, Wait, earliest, estimates, slot_wait_us, snapshot, with_newcomer
from runner.simulation import Snapshot
from runner.store import replies
from runner.store.jobs import Jobs
from runner.store.pauses import pause_of
from runner.store.portions import MOST_EXAMINED
from runner.store.queue import run_length_encoded
from runner.store.submissions import fitting_jobs, too_many_pools
from runner.store.text import decoded

_NO_CAP = -1


class Forecast(NamedTuple):
    """What becomes of a job that is submitted now. answer: None for one that would be stored. `is_served`: by a live worker.

    earliest: before it does not start. estimate: None for one without limits. slot_us: µs until a slot is free for it, None if unknown. runs_us: µs
    that half of the runs of its task took at most.
    """

    answer: Acceptance | OtherJob | None
    is_served: bool
    pause: PauseStatus | None
    earliest: Earliest
    estimate: Estimate | None = None
    slot_us: int | None = None
    runs_us: int | None = None
    fails: bool = False
    """A quota that it needs is spent, and was declared with `on_exhausted="fail"`."""


class _Row(NamedTuple):
    """What foresee.lua tells of one job. ahead: when each job ahead ends by itself that surely has its turn before it, 0: it does not."""

    answer: Acceptance | OtherJob | None
    length: int
    is_served: bool
    pause: PauseStatus | None
    ahead: Sequence[int]


class Foreseeing(Jobs):
    """The role of a producer before its jobs are in."""

    async def foresee(self, job: Submission, most_backlog: int | None = None) -> Forecast:
        """What becomes of it. Raises `BacklogFull`, `StoreFull`, `IncompatibleVersion`, as its submission does."""
        now_us, (row,) = await self._foreseen([job], self._cap(most_backlog), 0)
        needs = decode_needs(job.limits)
        views = await self._surroundings([Wait(job.line, 0, needs)]) if needs else {}
        found = await self._earliest(job, needs, views, row.length, now_us)
        runs_us = await self.run_times_us((job.task,))
        forecast = Forecast(row.answer, row.is_served, row.pause, found, runs_us=runs_us[job.task])
        if row.answer is not None:
            return forecast
        forecast = forecast._replace(slot_us=await self._slot_us(job, forecast.runs_us))
        if not needs:
            return forecast
        wait, near = with_newcomer(job.line, row.length, needs, views)
        (estimate,) = estimates([wait], near, self.settings.least_share)
        return forecast._replace(estimate=estimate, fails=any(_is_spent(views.get(need.bucket), need) for need in needs))

    async def out_of_reach(self, jobs: Sequence[Submission]) -> dict[int, Earliest]:
        """The jobs, by their places, that are new and surely cannot start before their deadlines. Only jobs with a deadline and limits cost a call."""
        groups: dict[tuple[Any, ...], list[int]] = {}
        for at, job in enumerate(jobs):
            if job.deadline_us and job.limits:
                groups.setdefault((job.task, job.spec, job.limits, job.line, job.deadline_us, job.delay_us), []).append(at)
        if not groups:
            return {}
        firsts = [jobs[places[0]] for places in groups.values()]
        views = await self._surroundings([Wait(job.line, 0, decode_needs(job.limits)) for job in firsts], near=False)
        late: dict[int, Earliest] = {}
        for places in groups.values():
            first = jobs[places[0]]
            needs, length = decode_needs(first.limits), _length_of(first.line, views)
            now_us = next((view.now_us for view in views.values()), 0)
            if _of(first, earliest(needs, views, [0] * length), now_us).wait_us >= first.deadline_us:
                late |= await self._new_and_late([(at, jobs[at]) for at in places], needs, views)
        return late

    async def around(self, buckets: Sequence[str]) -> Snapshot | None:
        """These buckets (`MOST_BUCKETS` at most), and all that decides when their lines go on; None if it is too much, or not known."""
        return snapshot(await self._surroundings([Wait("", 0, [Need(name, 1) for name in buckets])]), self.settings.least_share)

    async def _new_and_late(
        self, jobs: Sequence[tuple[int, Submission]], needs: Sequence[Need], views: Mapping[str, BucketView]
    ) -> dict[int, Earliest]:
        """Of jobs that are alike, those that are not there yet, once it was looked whether those ahead really have their turns before."""
        late: dict[int, Earliest] = {}
        done = 0
        while done < len(jobs):
            part = jobs[done : done + fitting_jobs([job for _, job in jobs[done:]])]
            now_us, rows = await self._foreseen([job for _, job in part], _NO_CAP, MOST_EXAMINED)
            found = _of(part[0][1], earliest(needs, views, rows[0].ahead), now_us)
            if found.wait_us < part[0][1].deadline_us:
                break
            late.update({at: found for (at, _), row in zip(part, rows, strict=True) if row.answer is None})
            done += len(part)
        return late

    async def _earliest(
        self, job: Submission, needs: Sequence[Need], views: Mapping[str, BucketView], length: int, now_us: int
    ) -> Earliest:
        """Before when it does not start. Those ahead of it are read where they matter."""
        ahead: Sequence[int] = ()
        if length and earliest(needs, views, [0] * min(length, MOST_EXAMINED)).wait_us:
            _, (row,) = await self._foreseen([job], _NO_CAP, MOST_EXAMINED)
            ahead = row.ahead
        return _of(job, earliest(needs, views, ahead), now_us)

    async def _foreseen(self, jobs: Sequence[Submission], most: int, most_ahead: int) -> tuple[int, list[_Row]]:
        rest = run_length_encoded(jobs, Submission.shared, Submission.own)
        reply = await self._run("foresee", rest, count=len(jobs), most_backlog=most, most_ahead=most_ahead)
        replies.check_versions(self.keys.queue, reply)
        now, unended, *rows = reply
        found = [_row(row) for row in rows]
        if any(row.answer is Acceptance.pools for row in found):
            raise too_many_pools(self.keys.queue)
        if int(unended) >= 0:
            raise BacklogFull(self.keys.queue, int(unended), most, sum(row.answer is None for row in found))
        return int(now), found

    async def _slot_us(self, job: Submission, runs_us: int | None) -> int | None:
        """µs until a slot of its pool is free for it."""
        name = pool_of(job.line)
        pool = next((pool for pool in await self.pools() if pool.name == name), None)
        if pool is None:
            return None
        return slot_wait_us(pool.ready + pool.waiting, pool.running, pool.slots, runs_us)

    def _cap(self, most_backlog: int | None) -> int:
        caps = [cap for cap in (self.settings.max_backlog or None, most_backlog) if cap is not None]
        return min(caps, default=_NO_CAP)


def _of(job: Submission, found: Earliest, now_us: int) -> Earliest:
    """Not before its delay, or its instant."""
    delay_us = job.delay_us if job.delay_us >= 0 else -job.delay_us - now_us
    return Earliest(delay_us) if delay_us > found.wait_us else found


def _row(row: Sequence[Any]) -> _Row:
    answer, length, served, what, name, record, ahead = row
    told = None if not answer else _answer_of(answer)
    pause = pause_of([what, name, record]) if what else None
    return _Row(told, int(length), bool(served), pause, tuple(map(int, ahead)))


def _answer_of(answer: bytes) -> Acceptance | OtherJob:
    try:
        return Acceptance(decoded(answer))
    except ValueError:
        return replies.other_job(answer)


def _length_of(line: str, views: Mapping[str, BucketView]) -> int:
    """How many jobs wait in this line, as far as they are looked at."""
    lengths = [view.asked[line].length for view in views.values() if line in view.asked]
    return min(max(lengths, default=0), MOST_EXAMINED)


def _is_spent(view: BucketView | None, need: Need) -> bool:
    if view is None or view.limit is None or not view.limit.fails_when_spent:
        return False
    return bool(view.limit.bucket_of(view.stored, view.now_us).wait_us(need.cost, view.now_us, view.reserved))
