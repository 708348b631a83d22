"""Lines: the jobs that wait, and who is served next, in virtual time. What lua/include/enqueue.lua and release.lua do, on plain values."""

from collections import deque
from collections.abc import Iterable

from runner.limits import FAR_US, Limit
from runner.simulation.buckets import FULL_US, Buckets, ServedBucket
from runner.simulation.claims import FAR, TOLERANCE_US, Claims
from runner.simulation.line import Line
from runner.simulation.turns import Turns
from runner.simulation.work import Job

LEAST_SHARE = 0.05
_MOST_RELEASED = 500
"""By one call of the leader, which acts before the workers here."""
_LEAST_QUANTUM = 4
_MOST_STEPS = 500
_MOST_CLAIMS = 50
"""That start in one service of a bucket."""


class Lines:
    """Jobs from their submission until they can start: `ready`, in the order of the stream. The caller sets `now_us`."""

    def __init__(self, limits: Iterable[Limit], window: int, now_us: int, least_share: float = LEAST_SHARE) -> None:
        self.ready: deque[Job] = deque()
        self.failed: list[Job] = []
        self.buckets = Buckets(limits, window, now_us, least_share)
        self.claims = Claims(self.buckets)
        self.known: dict[str, Line] = {}
        """The lines that have been waited in, by name."""
        self._turns = Turns(self.buckets, self.claims, self._dispatch, self.failed.append)

    @property
    def now_us(self) -> int:
        return self.buckets.now_us

    @now_us.setter
    def now_us(self, now_us: int) -> None:
        self.buckets.now_us = now_us

    def next_wake_us(self) -> int | None:
        return self.buckets.wakes.next_us()

    def submit(self, job: Job) -> None:
        """Make a job ready if nothing bars it; otherwise put it into its line."""
        line = self.known.get(job.work.line)
        if line is not None and line.jobs:
            line.jobs.append(job)
            return
        costs = self.buckets.costs(job.work.needs)
        bar = self._bar(costs)
        if bar is None:
            self._dispatch(job)
            return
        bucket, wait_us, must_wait = bar
        if not must_wait and self.buckets.are_spent(job.work.needs):
            self.failed.append(job)
            return
        if line is None:
            line = self.known[job.work.line] = Line(job.work.line, [bucket for bucket, _ in costs])
        line.jobs.append(job)
        if len(costs) == 1:
            bucket.order.join(line.name)
            self.buckets.wake_in(bucket, wait_us)
        else:
            self._turns.advance(line, 1)

    def start(self, job: Job) -> None:
        """Take the tokens that were reserved for a job."""
        needs = job.work.needs
        self.buckets.unreserve(needs)
        for bucket, cost in self.buckets.costs(needs):
            bucket.bucket.take(cost, self.now_us, job.id)
        if self.buckets.are_spent(needs):
            self.buckets.wake_waiters(needs)

    def end(self, job: Job) -> None:
        """Give back the slots that a job held, and wake the lines that wait for them."""
        needs = job.work.needs
        if any(need.given_back for need in needs):
            for need in needs:
                if need.given_back:
                    self.buckets[need.bucket].bucket.give_back(job.id, self.now_us)
            self.buckets.wake_waiters(needs)

    def release(self) -> bool:
        """Serve the buckets and look at the claims that are due, each for its part of the budget. Returns whether any was due."""
        budget = _MOST_RELEASED
        due = self.buckets.wakes.take_due(self.now_us, budget)
        quantum = max(-(-budget // len(due)), _LEAST_QUANTUM) if due else 0
        for due_us, name in due:
            if budget <= 0:
                self.buckets.wakes.set_earlier(name, due_us)
            elif name.startswith("!"):
                budget -= self._turns.visit(self.known[name[1:]], min(quantum, budget))
            else:
                budget -= self._serve(self.buckets[name], min(quantum, budget))
        return bool(due)

    def _bar(self, costs: list[tuple[ServedBucket, int]]) -> tuple[ServedBucket, int | None, bool] | None:
        """What keeps a new job from going at once: the bucket, the wait there, and whether it must wait even if its quota is spent."""
        for bucket, cost in reversed(costs):
            if bucket.order:
                return bucket, bucket.wait_us(cost, self.now_us), True
        lacking = [(bucket, wait_us) for bucket, cost in costs if (wait_us := bucket.wait_us(cost, self.now_us)) != 0]
        if lacking:
            return *next((row for row in lacking if row[1] is None), max(lacking, key=lambda row: row[1] or 0)), False
        for bucket, cost in costs:
            delay_us = self.claims.delay_us(bucket, cost)
            if delay_us is not None:
                return bucket, delay_us, True
            if self.buckets.is_full(bucket):
                return bucket, 0, True
        return None

    def _dispatch(self, job: Job) -> None:
        self.buckets.reserve(job.work.needs)
        self.ready.append(job)

    # A bucket serves

    def _serve(self, bucket: ServedBucket, budget: int) -> int:
        """Release up to `budget` jobs: of the claims that can start, then of the lines by their turn. Returns how many; sets its next wake."""
        released = self._serve_claims(bucket, budget) if bucket.claims else 0
        for _ in range(_MOST_STEPS):
            name = bucket.order.next_line()
            if name is None:
                self.buckets.wakes.remove(bucket.name)
                return released
            line = self.known[name]
            if released >= budget:
                went, goes_on, wait_us = 0, False, bucket.wait_us(1, self.now_us) if len(line.needs) == 1 else 0
            elif len(line.needs) == 1:
                went, goes_on, wait_us = self._serve_line(bucket, line)
            else:
                went, goes_on, wait_us = self._turns.have_turn(line, bucket, budget - released)
            released += went
            if not goes_on:
                self.buckets.rest(bucket, wait_us)
                return released
        self.buckets.rest(bucket, 0)
        return released

    def _serve_claims(self, bucket: ServedBucket, budget: int) -> int:
        """Start the claims that can, the oldest first."""
        released = 0
        for _ in range(_MOST_CLAIMS):
            started = 0
            for line in self.claims.book_of(bucket):
                if bucket.wait_us(line.at(bucket).cost, self.now_us, -bucket.aside_at(self.now_us)) == 0:
                    started = self._turns.advance(line, budget - released)
                    if started:
                        break
            released += started
            if not started:
                return released + self._serve_far(bucket, budget - released)
        self.buckets.wake(bucket)
        return released

    def _serve_far(self, bucket: ServedBucket, budget: int) -> int:
        """Claims whose instant is far start, or get a nearer one, if their tokens can be there earlier.

        So does the oldest claim of the book, if it waits for this bucket longest. One whose instant has come near enters the book.
        """
        released = 0
        for oldest in self.claims.book_of(bucket)[:1]:
            need = oldest.at(bucket)
            if oldest.latest is need and bucket.when_us(need.cost, self.now_us, with_aside=False) + TOLERANCE_US < oldest.due_us:
                self.claims.set_date(oldest)
        any_token = bucket.wait_us(1, self.now_us) == 0
        for line in self.claims.far_from(bucket) if self.claims.has_far(bucket) else ():
            if line.at(bucket).entry != FAR + line.number or released >= budget:
                break
            if self.claims.can_be_earlier(bucket, line):
                any_token = True
                started = self._turns.advance(line, budget - released)
                released += started
                if not started and line.number:
                    self.claims.set_date(line)
            elif line.due_us < FAR_US and self.claims.is_near(bucket, line):
                self.claims.enter(line)
            elif not any_token:
                break  # as a rule none that is younger can be earlier
        return released

    def _serve_line(self, bucket: ServedBucket, line: Line) -> tuple[int, bool, int | None]:
        """The turn of a line of one need: how many jobs started, whether the next turn can follow, and if not, after which time."""
        needs = line.jobs[0].work.needs
        cost = needs[0].cost
        wait_us = bucket.wait_us(1, self.now_us)  # a job needs one token at least: until then its cost is not asked for
        if self.buckets.is_full(bucket):
            return 0, False, None if wait_us is None else max(wait_us, FULL_US)
        if wait_us == 0 or self.buckets.are_spent(needs):
            wait_us = bucket.wait_us(cost, self.now_us)
        if wait_us == 0:
            wait_us = self.claims.delay_us(bucket, cost) or 0
        if wait_us == 0:
            self._dispatch(line.jobs.popleft())
            bucket.order.count_turn()
        elif self.buckets.are_spent(needs):
            self.failed.append(line.jobs.popleft())
        else:
            return 0, False, wait_us
        is_alone = len(bucket.order) == 1
        if not is_alone:
            bucket.order.note_turn(line.name)
        if not line.jobs:
            bucket.order.remove(line.name)
        elif not is_alone:
            bucket.order.join(line.name)
        return int(wait_us == 0), True, None
