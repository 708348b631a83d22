"""Lines: the waiting jobs and the buckets they need, in virtual time. What lua/include/lines.lua and release.lua do, on plain values."""

import math
from bisect import insort
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from runner.limits import Bucket, Limit, Need
from runner.simulation.wakes import Wakes

_UNKNOWN_US = 30_000_000
"""When to look again if a wait cannot be computed and no other event happens before."""
_PASS_US = 60_000_000
_LEAST_PATIENCE_US = 1_000_000
_MOST_RELEASED = 500
"""By one call of the leader, which acts before the workers here."""
_LEAST_QUANTUM = 4
_MOST_STEPS = 500


@dataclass(frozen=True, slots=True)
class Work:
    """What equal jobs have in common: who submits them and when, what they need, and the line they wait in."""

    tenant: str
    submitted_us: int
    duration_us: int
    needs: tuple[Need, ...]
    line: str
    stride: float
    """What one start adds to the pass of its line: 1 / weight."""


class Job(NamedTuple):
    """One job; its id is what holds the tokens it takes."""

    id: str
    work: Work


class _ServedBucket:
    """A bucket, the tokens that released jobs have reserved, and the lines that wait at it, by pass."""

    __slots__ = ("bucket", "full_since_us", "limit", "name", "period_us", "released", "reserved", "waiting")

    def __init__(self, name: str, limit: Limit, now_us: int) -> None:
        self.name = name
        self.limit = limit
        self.bucket: Bucket = limit.full_bucket(now_us)
        self.period_us: float = math.inf if limit.gives_back else limit.period_us
        self.reserved = self.released = 0
        self.waiting: list[tuple[float, str]] = []
        self.full_since_us: int | None = None
        """Set while lines wait only for room among its released jobs: the next start wakes them."""


class Lines:
    """Jobs from their submission until they can start: `ready`, in the order of the stream. The caller sets `now_us`."""

    def __init__(self, limits: Iterable[Limit], window: int, now_us: int) -> None:
        self.now_us = now_us
        self.ready: deque[Job] = deque()
        self.failed: list[Job] = []
        self._limits = {limit.name: limit for limit in limits}
        self._window = window
        self._buckets: dict[str, _ServedBucket] = {}
        self._lines: dict[str, deque[Job]] = {}
        self._passes: dict[str, tuple[float, int]] = {}
        self._holds: dict[str, list[Need]] = {}
        self._wakes = Wakes()

    def next_wake_us(self) -> int | None:
        return self._wakes.next_us()

    def submit(self, job: Job) -> None:
        """Make a job ready if no job waits before it and all its buckets can serve it; otherwise put it into its line."""
        needs, line = job.work.needs, job.work.line
        if self._lines.get(line):
            self._lines[line].append(job)
            return
        at, wait_us = None, 0
        for need in needs:
            bucket = self._bucket(need)
            if bucket.waiting:
                at, wait_us = bucket, self._wait_us(bucket, need.cost)
        if at is None:
            at, wait_us = self._lacking(needs)
            if at is not None and self._is_exhausted(needs):
                self.failed.append(job)
                return
            at = at or self._full(needs)
            if at is None:
                self._dispatch(job)
                return
        self._lines.setdefault(line, deque()).append(job)
        self._join(job.work, at, wait_us)

    def start(self, job: Job) -> None:
        """Take the tokens that were reserved for a job."""
        for need in job.work.needs:
            bucket = self._bucket(need)
            bucket.bucket.take(need.cost, self.now_us, job.id)
        self._unreserve(job.work.needs)
        if self._is_exhausted(job.work.needs):
            self._wake_waiters(job.work.needs)

    def end(self, job: Job) -> None:
        """Give back the slots that a job held, and wake the lines that wait for them."""
        needs = job.work.needs
        if not any(need.given_back for need in needs):
            return
        for need in needs:
            bucket = self._bucket(need)
            if need.given_back:
                bucket.bucket.give_back(job.id, self.now_us)
        self._wake_waiters(needs)

    def release(self) -> bool:
        """Serve the buckets that are due, each for its part of the budget. Returns whether any was due."""
        budget = _MOST_RELEASED
        due = self._wakes.take_due(self.now_us, budget)
        quantum = max(-(-budget // len(due)), _LEAST_QUANTUM) if due else 0
        for due_us, name in due:
            if budget <= 0:
                self._wakes.set_earlier(name, due_us)
            else:
                budget -= self._serve(self._buckets[name], min(quantum, budget))
        return bool(due)

    def _serve(self, bucket: _ServedBucket, budget: int) -> int:
        """Release up to `budget` jobs of the lines at one bucket, in order of pass, and set its next wake. Returns how many."""
        released = 0
        for _ in range(_MOST_STEPS):
            if self._rests(bucket, has_budget=released < budget):
                return released
            line_pass, line = bucket.waiting[0]
            jobs = self._lines[line]
            work = jobs[0].work
            if len(work.needs) > 1:
                self._let_go(line)
            lacked, lacked_us = self._lacking(work.needs)
            at = lacked or self._full(work.needs)
            if lacked is not None and self._is_exhausted(work.needs):
                self.failed.append(jobs.popleft())
            elif at is bucket:
                self._wake_in(bucket, lacked_us)
                return released
            elif at is not None:
                holds = lacked is not None and self._hold_for(work, lacked, lacked_us)
                bucket.waiting.pop(0)
                self._join(work, at, lacked_us, line_pass, first_of_all=holds)
                continue
            else:
                self._dispatch(jobs.popleft())
                released += 1
                line_pass += work.stride
            self._end_turn(bucket, line, line_pass)
        self._wake_in(bucket, 0)
        return released

    def _rests(self, bucket: _ServedBucket, *, has_budget: bool) -> bool:
        """Whether a bucket can serve no line now; if so, its next wake is set."""
        if not bucket.waiting:
            self._wakes.remove(bucket.name)
            return True
        wait_us = self._wait_us(bucket, 1)
        if (wait_us > 0 and not self._is_spent(bucket, 1)) or not has_budget:
            self._wake_in(bucket, wait_us)
            return True
        if bucket.released >= self._window:
            self._wakes.remove(bucket.name)
            bucket.full_since_us = self.now_us
            return True
        return False

    def _end_turn(self, bucket: _ServedBucket, line: str, line_pass: float) -> None:
        """After the turn of the first line: it leaves if it is empty, and goes to the place of its new pass if others wait."""
        if not self._lines[line]:
            self._leave(line, bucket, line_pass)
        elif len(bucket.waiting) > 1:
            bucket.waiting.pop(0)
            insort(bucket.waiting, (line_pass, line))

    def _join(self, work: Work, bucket: _ServedBucket, wait_us: int, line_pass: float | None = None, *, first_of_all: bool = False) -> None:
        """Let a line wait at this bucket with a pass within those of the others: then it neither starves them nor is starved."""
        if bucket.waiting:
            lowest, highest = bucket.waiting[0][0], bucket.waiting[-1][0] + work.stride
            if line_pass is None:
                kept, until_us = self._passes.get(work.line, (lowest, self.now_us + 1))
                line_pass = kept if self.now_us < until_us else lowest
            line_pass = lowest if first_of_all else min(max(line_pass, lowest), highest)
        insort(bucket.waiting, (line_pass or 0.0, work.line))
        if not self._is_woken_by_an_end(bucket, wait_us):
            self._wakes.set_earlier(bucket.name, self.now_us + wait_us)

    def _leave(self, line: str, bucket: _ServedBucket, line_pass: float) -> None:
        """Remove an empty line. Its pass is kept while others wait: a tenant that submits one job at a time would always be first."""
        bucket.waiting.pop(0)
        if bucket.waiting:
            self._passes[line] = (line_pass, self.now_us + _PASS_US)

    def _dispatch(self, job: Job) -> None:
        self._reserve(job.work.needs)
        self.ready.append(job)

    def _bucket(self, need: Need) -> _ServedBucket:
        bucket = self._buckets.get(need.bucket)
        if bucket is None:
            limit = self._limits[need.limit]
            bucket = self._buckets[need.bucket] = _ServedBucket(need.bucket, limit, self.now_us)
        return bucket

    def _wait_us(self, bucket: _ServedBucket, cost: int) -> int:
        """The wait once the reserved tokens are taken."""
        wait_us = bucket.bucket.wait_us(cost, self.now_us, bucket.reserved)
        return _UNKNOWN_US if wait_us is None else wait_us

    def _lacking(self, needs: Sequence[Need]) -> tuple[_ServedBucket | None, int]:
        """The bucket with the longest wait, and that wait; None if all can serve now."""
        worst, longest_us = None, 0
        for need in needs:
            bucket = self._bucket(need)
            wait_us = self._wait_us(bucket, need.cost)
            if wait_us > longest_us:
                worst, longest_us = bucket, wait_us
        return worst, longest_us

    def _full(self, needs: Sequence[Need]) -> _ServedBucket | None:
        """A bucket that has as many released jobs as its window allows."""
        return next((bucket for bucket in map(self._bucket, needs) if bucket.released >= self._window), None)

    def _is_exhausted(self, needs: Sequence[Need]) -> bool:
        """Whether a limit is spent whose jobs then fail instead of waiting."""
        return any(self._is_spent(self._bucket(need), need.cost) for need in needs)

    def _is_spent(self, bucket: _ServedBucket, cost: int) -> bool:
        return bucket.limit.fails_when_spent and bool(bucket.bucket.wait_us(cost, self.now_us))

    def _wake_in(self, bucket: _ServedBucket, wait_us: int) -> None:
        if self._is_woken_by_an_end(bucket, wait_us):
            self._wakes.remove(bucket.name)
        else:
            self._wakes.set(bucket.name, self.now_us + wait_us)

    def _wake_waiters(self, needs: Iterable[Need]) -> None:
        for bucket in map(self._bucket, needs):
            if bucket.waiting:
                self._wakes.set_earlier(bucket.name, self.now_us)

    def _is_woken_by_an_end(self, bucket: _ServedBucket, wait_us: int) -> bool:
        """Whether only the end of a running job can shorten the wait, so that no timer is needed."""
        return wait_us > 0 and bucket.limit.gives_back and bucket.reserved == 0

    def _reserve(self, needs: Iterable[Need]) -> None:
        for need in needs:
            bucket = self._bucket(need)
            bucket.reserved += need.cost
            bucket.released += 1

    def _unreserve(self, needs: Iterable[Need]) -> None:
        for need in needs:
            bucket = self._bucket(need)
            bucket.reserved -= need.cost
            bucket.released -= 1
            if bucket.full_since_us is not None:
                self._wakes.set_earlier(bucket.name, bucket.full_since_us)
                bucket.full_since_us = None

    def _hold_for(self, work: Work, lacked: _ServedBucket, wait_us: int) -> bool:
        """Reserve the line's scarcer tokens while it waits for more plentiful ones: otherwise other lines could always take them first."""
        held = [need for need in work.needs if self._is_held(self._bucket(need), need.cost, lacked, wait_us)]
        if held:
            self._holds[work.line] = held
            self._reserve(held)
        return bool(held)

    def _is_held(self, bucket: _ServedBucket, cost: int, lacked: _ServedBucket, wait_us: int) -> bool:
        if bucket is lacked or (bucket.period_us, lacked.name) <= (lacked.period_us, bucket.name):
            return False
        patience_us = _LEAST_PATIENCE_US if bucket.limit.gives_back else max(bucket.period_us, _LEAST_PATIENCE_US)
        return wait_us <= patience_us and self._wait_us(bucket, cost) == 0

    def _let_go(self, line: str) -> None:
        self._unreserve(self._holds.pop(line, ()))
