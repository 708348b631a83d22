"""Foreseeing: what would become of jobs that are submitted now, and which of them cannot make their deadline. Reads only."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from runner.errors import BacklogFull
from runner.jobs import Acceptance, OtherJob, PauseStatus, Submission
from runner.limits import Need, decode_needs, pool_of
from runner.outlook import (
    Arrival,
    BucketView,
    Earliest,
    Estimate,
    Newcomer,
    Wait,
    earliest,
    earliest_of_each,
    estimates,
    slot_starts_us,
    snapshot,
    with_newcomers,
)
from runner.simulation import Snapshot
from runner.store import replies
from runner.store.jobs import Jobs
from runner.store.pauses import pause_of
from runner.store.portions import MOST_EXAMINED, MOST_PER_CALL
from runner.store.queue import run_length_encoded
from runner.store.submissions import fitting_jobs, too_many_pools
from runner.store.text import decoded

_NO_CAP = -1


class Forecast(NamedTuple):
    """What becomes of a job that is submitted now. answer: None for one that would be stored. `is_served`: by a live worker.

    earliest: before it does not start. estimate: None for one without limits. slot_us: µs until a slot is free for it, once its tokens are there and
    its delay is over; None if unknown. runs_us: µs that half of the runs of its task took at most.
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
        (forecast,) = await self.foresee_many([job], most_backlog)
        return forecast

    async def foresee_many(self, jobs: Sequence[Submission], most_backlog: int | None = None) -> list[Forecast]:
        """What becomes of jobs of different ids that are submitted together: each comes behind those before it. Raises as `foresee`."""
        now_us, rows = await self._in_parts(jobs, self._cap(most_backlog), 0)
        needs = [decode_needs(job.limits) for job in jobs]
        views = await self._surroundings(Wait(job.line, 0, own) for job, own in zip(jobs, needs, strict=True) if own)
        firsts = await self._earliest(jobs, needs, views, rows, now_us)
        runs_us = await self.run_times_us({job.task for job in jobs})
        told = [
            Forecast(row.answer, row.is_served, row.pause, first, runs_us=runs_us[job.task])
            for job, row, first in zip(jobs, rows, firsts, strict=True)
        ]
        for at in _spent(jobs, needs, rows, views):
            told[at] = told[at]._replace(fails=True)
        joining = _joining(jobs, rows, told)
        limited = [at for at in joining if needs[at]]
        waits, near = with_newcomers([Newcomer(jobs[at].line, rows[at].length, needs[at]) for at in limited], views)
        # The last first: of jobs of several limits one is played, and the last one says when all have started.
        estimated = reversed(estimates(waits[::-1], near, self.settings.least_share, most_played=1))
        at_once: dict[str, int] = {}
        for at, estimate in zip(limited, estimated, strict=True):
            told[at] = told[at]._replace(estimate=_after(told[at].earliest, estimate, at_once.get(estimate.bucket, 0)))
            if estimate.eta_us == 0:
                at_once |= {need.bucket: at_once.get(need.bucket, 0) + 1 for need in needs[at]}
        for at, slot_us in (await self._slots_us(jobs, joining, told, views)).items():
            told[at] = told[at]._replace(slot_us=slot_us)
        return told

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
        self,
        jobs: Sequence[Submission],
        needs: Sequence[Sequence[Need]],
        views: Mapping[str, BucketView],
        rows: Sequence[_Row],
        now_us: int,
    ) -> list[Earliest]:
        """Before when each does not start. Those that are ahead of the first of a line are read where they matter."""
        groups: dict[tuple[str, ...], list[int]] = {}
        for at, job in enumerate(jobs):
            groups.setdefault((job.task, job.spec, job.limits, job.line) if needs[at] else (), []).append(at)
        firsts = [places[0] for key, places in groups.items() if key and _is_kept(needs[places[0]], views, rows[places[0]].length)]
        ahead: dict[int, Sequence[int]] = dict.fromkeys(range(len(jobs)), ())
        if firsts:
            _, examined = await self._in_parts([jobs[at] for at in firsts], _NO_CAP, MOST_EXAMINED)
            ahead |= {at: row.ahead for at, row in zip(firsts, examined, strict=True)}
        found = [Earliest(0)] * len(jobs)
        for places in groups.values():
            ends = [*ahead[places[0]], *(_end_us(jobs[at], now_us) for at in places)]
            told = earliest_of_each(needs[places[0]], views, ends, len(places))
            for at, one in zip(places, told, strict=True):
                found[at] = _of(jobs[at], one, now_us)
        return found

    async def _in_parts(self, jobs: Sequence[Submission], most: int, most_ahead: int) -> tuple[int, list[_Row]]:
        """The rows of any number of jobs, and the instant at which the first part was read."""
        first_us, rows = 0, list[_Row]()
        while len(rows) < len(jobs):
            rest = jobs[len(rows) : len(rows) + MOST_PER_CALL]
            new = sum(row.answer is None for row in rows)
            now_us, more = await self._foreseen(rest[: fitting_jobs(rest)], most, most_ahead, new)
            first_us, rows = first_us or now_us, rows + more
        return first_us, rows

    async def _foreseen(self, jobs: Sequence[Submission], most: int, most_ahead: int, new: int = 0) -> tuple[int, list[_Row]]:
        """new: of a batch, how many before these would be stored."""
        rest = run_length_encoded(jobs, Submission.shared, Submission.own)
        room = most if most == _NO_CAP else max(most - new, 0)
        reply = await self._run("foresee", rest, count=len(jobs), most_backlog=room, most_ahead=most_ahead)
        replies.check_versions(self.keys.queue, reply)
        now, unended, *rows = reply
        found = [_row(row) for row in rows]
        if any(row.answer is Acceptance.pools for row in found):
            raise too_many_pools(self.keys.queue)
        if int(unended) >= 0:
            raise BacklogFull(self.keys.queue, int(unended), most, new + sum(row.answer is None for row in found))
        return int(now), found

    async def _slots_us(
        self, jobs: Sequence[Submission], joining: Sequence[int], told: Sequence[Forecast], views: Mapping[str, BucketView]
    ) -> dict[int, int | None]:
        """µs until a slot of its pool is free for each of these jobs. They take them in the order in which they are ready."""
        of_pools: dict[str | None, dict[int, Arrival]] = {}
        for at in joining:
            ready_us = _ready_us(jobs[at], told[at])
            if ready_us is not None:
                arrival = Arrival(jobs[at].line, ready_us, told[at].runs_us, _most_kept(jobs[at], views))
                of_pools.setdefault(pool_of(jobs[at].line), {})[at] = arrival
        found: dict[int, int | None] = {}
        for pool in await self.pools() if of_pools else ():
            arrivals = of_pools.get(pool.name, {})
            places = sorted(arrivals, key=lambda at: arrivals[at].ready_us)
            starts_us = slot_starts_us([arrivals[at] for at in places], pool.ready + pool.waiting, pool.running, pool.slots)
            found |= zip(places, starts_us, strict=True)
        return found

    def _cap(self, most_backlog: int | None) -> int:
        caps = [cap for cap in (self.settings.max_backlog or None, most_backlog) if cap is not None]
        return min(caps, default=_NO_CAP)


def _joining(jobs: Sequence[Submission], rows: Sequence[_Row], told: Sequence[Forecast]) -> list[int]:
    """Which of them join the lines, in the order in which they are due. What is paused, or has no worker, steps aside; unless none has one."""
    new = [at for at, row in enumerate(rows) if row.answer is None and row.pause is None and not told[at].fails and not jobs[at].is_held]
    served = [at for at in new if rows[at].is_served] or new
    return sorted(served, key=lambda at: jobs[at].delay_us and told[at].earliest.wait_us)


def _spent(
    jobs: Sequence[Submission], needs: Sequence[Sequence[Need]], rows: Sequence[_Row], views: Mapping[str, BucketView]
) -> Iterator[int]:
    """Which of them fail, as a quota of theirs is spent, by those before them too."""
    taken: dict[str, int] = {}
    for at, own in enumerate(needs):
        if rows[at].answer is not None or jobs[at].is_held:
            continue
        if any(_is_spent(views.get(need.bucket), need, taken.get(need.bucket, 0)) for need in own):
            yield at
            continue
        taken |= {need.bucket: taken.get(need.bucket, 0) + need.cost for need in own}


def _after(earliest: Earliest, estimate: Estimate, at_once: int) -> Estimate:
    """Not before the instant that is sure, and behind those alone that are not released at once."""
    position = max(estimate.position - at_once, 1)
    if estimate.eta_us is None or estimate.eta_us >= earliest.wait_us:
        return estimate._replace(position=position)
    return estimate._replace(position=position, eta_us=earliest.wait_us)


def _is_kept(needs: Sequence[Need], views: Mapping[str, BucketView], length: int) -> bool:
    """Whether those ahead of a job in its line may keep it."""
    return length > 0 and earliest(needs, views, [0] * min(length, MOST_EXAMINED)).wait_us > 0


def _end_us(job: Submission, now_us: int) -> int:
    """When a job that is submitted now ends by itself, if it has not started; 0: it does not."""
    wait_us = job.max_wait_us and job.max_wait_us + max(_delay_us(job, now_us), 0)
    ends = [us for us in (wait_us, job.deadline_us) if us]
    return now_us + min(ends) if ends else 0


def _ready_us(job: Submission, told: Forecast) -> int | None:
    """µs until its tokens are there and its delay is over; None: unknown."""
    tokens_us = 0 if told.estimate is None else told.estimate.eta_us
    if tokens_us is None:
        return None
    return max(tokens_us, told.earliest.wait_us) if job.delay_us else tokens_us


def _most_kept(job: Submission, views: Mapping[str, BucketView]) -> int:
    """Of how many such jobs its buckets keep the tokens at once; 0: it needs none, or has a delay."""
    if job.delay_us:
        return 0
    limits = [(view.limit, need.cost) for need in decode_needs(job.limits) if (view := views.get(need.bucket)) is not None]
    return min((max(limit.capacity // max(cost, 1), 1) for limit, cost in limits if limit is not None), default=0)


def _delay_us(job: Submission, now_us: int) -> int:
    return job.delay_us if job.delay_us >= 0 else -job.delay_us - now_us


def _of(job: Submission, found: Earliest, now_us: int) -> Earliest:
    """Not before its delay, or its instant."""
    delay_us = _delay_us(job, now_us)
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


def _is_spent(view: BucketView | None, need: Need, taken: int) -> bool:
    if view is None or view.limit is None or not view.limit.fails_when_spent:
        return False
    return bool(view.limit.bucket_of(view.stored, view.now_us).wait_us(need.cost, view.now_us, view.reserved + taken))
