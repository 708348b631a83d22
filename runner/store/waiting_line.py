"""Waiting: who waits at a bucket, in the order in which they are served, and the buckets of a limit at which jobs wait. One method per script."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runner.clock import MICROSECONDS
from runner.jobs import Priority
from runner.limits import decode_needs
from runner.outlook import Wait, estimates
from runner.store.jobs import Jobs
from runner.store.overview import BucketReading, bucket_reading
from runner.store.text import decoded

MOST_PLACES = 1_000
"""So far back the order of a line is told."""
MOST_BUCKETS = 50
"""Buckets of one page."""


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A job in line. place: 1 is next. `cost`: tokens of this bucket. eta_s: seconds until it starts, as things stand; None: unknown.

    id, task, key: None if they are not for the caller to see.
    """

    place: int
    id: str | None
    task: str | None
    key: str | None
    cost: int
    priority: str
    waited_s: float | None
    eta_s: float | None


@dataclass(frozen=True, slots=True)
class WaitingLine:
    """A part of those who wait at a bucket, in the order in which they are served. next: the place after which to go on; None: no more are told."""

    at: float
    bucket: str
    total: int
    total_is_estimate: bool
    next: int | None
    jobs: tuple[WaitingJob, ...]


@dataclass(frozen=True, slots=True)
class WaitingBucket:
    """A bucket at which jobs wait. oldest_wait_s: of the first of each priority. clears_in_s: until the last of its line has started.

    What is None is unknown.
    """

    bucket: str
    key: str | None
    tokens: int
    waiting: int
    waiting_is_estimate: bool
    next_token_s: float | None
    oldest_wait_s: float | None
    clears_in_s: float | None
    frozen_s: float
    frozen_by: str | None


@dataclass(frozen=True, slots=True)
class WaitingBuckets:
    """Some of the buckets of a limit at which jobs wait: `total` of all, `matched` of those whose key begins as was asked.

    next: the cursor of the next page, whose buckets come by name; None: there is none.
    """

    at: float
    total: int
    matched: int
    next: str | None
    buckets: tuple[WaitingBucket, ...]


class Waiting(Jobs):
    """The role of who looks at lines."""

    async def line(self, bucket: str, after: int, most: int) -> WaitingLine:
        """Those who wait at a bucket, after so many: `most` at most, and none beyond the first `MOST_PLACES`."""
        most = max(min(most, MOST_PLACES - after), 0)
        now, total, is_estimate, more, *rows = await self._run("line", bucket=bucket, after=after, most=most)
        waits = [Wait(decoded(line), int(place), decode_needs(decoded(limits))) for line, place, _, _, limits, _, _ in rows]
        told = estimates(waits, await self._surroundings(waits), self.settings.least_share) if waits else []
        key = bucket.partition("/")[2] or None
        jobs = []
        for at, (row, wait, estimate) in enumerate(zip(rows, waits, told, strict=True), after + 1):
            job_id, task, _, due, priority = map(decoded, row[2:])
            cost = next((need.cost for need in wait.needs if need.bucket == bucket), 1)
            waited_s = round(max(int(now) - int(due), 0) / MICROSECONDS, 3) if due else None
            eta_s = None if estimate.eta_us is None else round(estimate.eta_us / MICROSECONDS, 3)
            jobs.append(WaitingJob(at, job_id, task, key, cost, Priority(int(priority)).name, waited_s, eta_s))
        following = after + len(jobs) if more and jobs and after + len(jobs) < MOST_PLACES else None
        return WaitingLine(int(now) / MICROSECONDS, bucket, int(total), bool(is_estimate), following, tuple(jobs))

    async def waiting_buckets(self, limit: str, beginning: str = "", after: str = "", most: int = MOST_BUCKETS) -> WaitingBuckets:
        """Buckets of a limit with a key at which jobs wait: those with most jobs first, or by name those whose key begins so."""
        now, total, matched, following, *rows = await self._run("buckets", limit=limit, beginning=beginning, after=after, most=most)
        buckets = tuple(_bucket_of(bucket_reading(_texts(row)), int(now)) for row in rows)
        return WaitingBuckets(int(now) / MICROSECONDS, int(total), int(matched), decoded(following) or None, buckets)


def _bucket_of(reading: BucketReading, now_us: int) -> WaitingBucket:
    waited_us = None if reading.first_us is None else max(now_us - reading.first_us, 0)
    return WaitingBucket(
        reading.name,
        reading.name.partition("/")[2] or None,
        reading.tokens,
        reading.waiting,
        reading.is_estimate,
        _seconds(reading.next_us),
        _seconds(waited_us),
        _seconds(reading.clears_us),
        reading.frozen_us / MICROSECONDS,
        reading.frozen_by or None,
    )


def _seconds(us: int | None) -> float | None:
    return None if us is None else round(us / MICROSECONDS, 3)


def _texts(row: Sequence[Any]) -> list[Any]:
    return [decoded(value) if isinstance(value, bytes) else value for value in row]
