"""Line and Progress: the jobs of one priority that need the same buckets, and how far a line of several has come at each of them."""

from collections import deque

from runner.simulation.buckets import ServedBucket
from runner.simulation.work import Job, LineName


class Progress:
    """How far a line has come at one bucket. What lua/include/records.lua keeps of one need.

    cost: what its first job takes there. had: it has had its turn since its last start. stands: it stands in the order; leaves: it stops to,
    if it takes no new place by the end of the step, and whether others stood there. saved: tokens set aside, until `until_us`; without any
    that is when it stands there again, for the burst that comes.
    entry: its place in the book, None if its claim is not there.
    """

    __slots__ = ("bucket", "cost", "entry", "had", "leaves", "saved", "stands", "until_us")

    def __init__(self, bucket: ServedBucket) -> None:
        self.bucket = bucket
        self.cost = 1
        self.had = self.stands = False
        self.leaves: bool | None = None
        self.saved = self.until_us = 0
        self.entry: int | None = None

    def has_saved(self, now_us: int) -> bool:
        """Whether it still has tokens set aside for its first job. They end with their burst, or an older claim takes them: the turn stays."""
        if self.saved == 0:
            return False
        bucket = self.bucket
        is_valid = self.until_us == bucket.until_us and self.until_us > now_us
        if is_valid and self.saved >= self.cost and bucket.aside_at(now_us) >= self.cost:
            return True
        self.give_up(now_us)
        self.had = True
        return False

    def give_up(self, now_us: int) -> None:
        """What it has set aside is free for others."""
        if self.saved and self.until_us == self.bucket.until_us:
            self.bucket.aside = max(self.bucket.aside_at(now_us) - self.saved, 0)
        self.saved = 0


class Line:
    """One line: its jobs in the order of their submission. Only one of several needs has progress and claims.

    number: the age of its claim, 0 without one. due_us: the instant that it is promised. missed: how often that has passed.
    latest: the need it waits for longest. looked_at: whether the next look at it was set in this step.
    """

    __slots__ = ("due_us", "jobs", "latest", "looked_at", "missed", "name", "needs", "number")

    def __init__(self, name: str, buckets: list[ServedBucket]) -> None:
        self.name = LineName.of(name)
        self.jobs: deque[Job] = deque()
        self.needs = [Progress(bucket) for bucket in buckets]
        self.number = self.due_us = self.missed = 0
        self.latest = self.needs[0]
        self.looked_at = False

    def at(self, bucket: ServedBucket) -> Progress:
        """How far it has come at one bucket."""
        for need in self.needs:
            if need.bucket is bucket:
                return need
        raise KeyError(bucket.name)

    def note_costs(self) -> None:
        """Its place and its claim are about its first job."""
        for need, wanted in zip(self.needs, self.jobs[0].work.needs, strict=True):
            need.cost = wanted.cost
