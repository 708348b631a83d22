"""Plays a mixture with the scripts: producers that keep lines filled, a leader that is on time, a worker with slots for everybody."""

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from runner.jobs.job import Acceptance, Ending, Outcome, StartedJob
from runner.jobs.submission import Submission
from runner.limits import Concurrency, Limit, Need, TokenBucket
from runner.store.claims import ClaimRequest, Look
from runner.store.job_store import JobStore
from runner.store.portions import MOST_PER_CALL
from tests.starts import Starts
from tests.store.builders import START_US, Clock, job, make_store
from tests.store.virtual.direct import DirectRedis, done
from tests.store.virtual.mixtures import Line, Mixture, ShortQuota
from tests.topologies import queue_name

S = 1_000_000
WORKER = "w"
SLOTS = 1000
NEVER_US = 2**62
MOST_ROUNDS = 60
"""Looks at one instant beside those that started something."""
MOST_IDLE = 3_000
"""Wakes one after the other at which nothing starts, ends or comes."""
MOST_ASIDE = 100
"""Jobs that hold nothing: what their end does concerns nobody who waits, so many are reported together."""
SLICE = 300


class LivelockError(AssertionError):
    """The queue looks and looks, and nothing moves."""


class StalledError(AssertionError):
    """Jobs wait, and nothing will ever wake them."""


class Service(NamedTuple):
    """One start. `since` is the place in the order of starts from which on its line waited for it; `lines` counts for each priority
    those that waited then, itself included."""

    at_us: int
    line: int
    since: int
    lines: tuple[int, int, int]


@dataclass
class Standing:
    """One line as it stands: how many of its jobs wait, how many have started, and its longest wait for a start while it had one."""

    line: Line
    template: Submission
    hold_us: int
    waiting: int = 0
    submitted: int = 0
    started: int = 0
    last_us: int = 0
    worst_us: int = 0
    since: int = 0


@dataclass
class Play:
    """A queue of its own on the server at `url`. Times are µs from the beginning; `late_us`: wakes are looked at up to so much late.
    `depth`: jobs of a line that always has some; with fewer than a burst it could not use its part of one.

    `hold` makes of the time that a job holds its slots on the average the time that this one does.
    """

    url: str
    mixture: Mixture
    seed: int = 0
    depth: int = 24
    late_us: int = 0
    hold: Any = None
    settings: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clock, self.random = Clock(), random.Random(self.seed)
        self.redis = DirectRedis(self.url)
        self.store: JobStore = make_store(self.url, queue_name(), self.clock, **{"history_length": 0, "lease_s": 3_600.0, **self.settings})
        self.store.redis = self.redis  # type: ignore[assignment] # as much of a client as the scripts need
        self.taken = {limit: Starts() for limit in self.mixture.limits}
        self.order: list[Service] = []
        self.lines_waiting = [0, 0, 0]
        self.calls = Counter[str]()
        self.lines = [self._standing(line) for line in self.mixture.lines]
        self._events: list[tuple[int, int, str, Any]] = []
        self._tick = itertools.count()
        self._ended: list[StartedJob] = []
        self._aside: list[StartedJob] = []
        self._wanted: list[Submission] = []
        self._submitted_us: dict[str, int] = {}
        self.waits_us: list[tuple[int, int]] = []
        self._published_until_us = 0
        self._wake_us, self._nudged = NEVER_US, False
        done(self.store.publish({}, list(self.mixture.limits.values())))
        done(self.store.enlist(WORKER, "{}"))
        for at, standing in enumerate(self.lines):
            self._push(standing.line.joins_us, "join", at)

    def _standing(self, line: Line) -> Standing:
        needs = [Need(name, cost, self.mixture.limits[name].gives_back) for name, cost in line.needs]
        template = job("-", needs=needs, share=line.name, weight=line.weight, priority=line.priority)
        return Standing(line, template, self.mixture.hold_us(line))

    @property
    def now_us(self) -> int:
        return self.clock.now_us - START_US

    # Time

    def run(self, until_us: int) -> None:
        """Go on until this instant. Raises `LivelockError`, and `StalledError`."""
        self._publish_calendars(until_us)
        idle = 0
        while True:
            before = len(self.order)
            self._serve()
            if self._wake_us == NEVER_US and not self._events and self._waiting():
                raise StalledError(f"at {self.now_us / S} s no wake is set, and {self._waiting()} wait")
            late_us = int(self.random.uniform(0, self.late_us)) if self.late_us else 0
            next_us = self._wake_us + late_us
            event = bool(self._events) and self._events[0][0] <= next_us
            if event:
                next_us = self._events[0][0]
            if next_us > until_us:
                break
            idle = 0 if event or len(self.order) > before else idle + 1
            if idle > MOST_IDLE:
                raise LivelockError(f"{idle} wakes up to {self.now_us / S} s started nothing")
            self.clock.now_us = START_US + next_us
            while self._events and self._events[0][0] <= next_us:
                _, _, what, value = heapq.heappop(self._events)
                self._happen(what, value)
        self.clock.now_us = START_US + until_us
        for standing in self.lines:
            if standing.waiting:
                standing.worst_us = max(standing.worst_us, until_us - standing.last_us)

    def drain(self, within_us: int) -> None:
        """No more jobs come; go on until all that wait have started and ended."""
        self._events = [event for event in self._events if event[2] == "end"]
        heapq.heapify(self._events)
        self.depth = 0
        self.run(self.now_us + within_us)
        self._ended, self._aside = self._ended + self._aside, []
        self._finish()
        assert not self._waiting(), f"{self._waiting()} still wait after {within_us / S} s"

    def _waiting(self) -> dict[str, int]:
        return {standing.line.name: standing.waiting for standing in self.lines if standing.waiting}

    def _push(self, at_us: int, what: str, value: Any) -> None:
        heapq.heappush(self._events, (at_us, next(self._tick), what, value))

    def _happen(self, what: str, value: Any) -> None:
        if what == "end":
            self._ended.append(value)
            return
        standing = self.lines[value]
        gap = standing.line.gap
        if what == "join":
            standing.last_us = self.now_us
        if gap is None:
            self._fill(value)
        else:
            self._want(value, 1)
            self._push(self.now_us + max(int(gap(self.random)), 1), "arrival", value)

    def _publish_calendars(self, until_us: int) -> None:
        if until_us <= self._published_until_us:
            return
        self._published_until_us = until_us
        for policy in self.mixture.limits.values():
            if isinstance(policy, ShortQuota):
                done(self.store._run("calendar", [*policy.periods(START_US + until_us)], calendar=policy.own_calendar))

    # Producers

    def _fill(self, at: int) -> None:
        """A line that always has jobs gets more before it is empty."""
        if self.lines[at].waiting < (self.depth + 1) // 2:
            self._want(at, self.depth - self.lines[at].waiting)

    def _want(self, at: int, count: int) -> None:
        standing = self.lines[at]
        if standing.line.jobs is not None:
            count = min(count, standing.line.jobs - standing.submitted)
        for _ in range(count):
            name = f"{at}-{standing.submitted}"
            standing.submitted += 1
            self._wanted.append(standing.template._replace(id=name))
            self._submitted_us[name] = self.now_us
        if standing.waiting == 0 and count > 0:
            standing.last_us, standing.since = self.now_us, len(self.order)
            self.lines_waiting[standing.line.priority] += 1
        standing.waiting += max(count, 0)

    # The queue

    def _serve(self) -> None:
        """All that can be done at this instant. The leader looks as it does at work: when a wake is due, and when a script has nudged it."""
        for rounds in itertools.count():
            moved = self._finish()
            ready = self._submit()
            released = 0
            if self._nudged or self._wake_us <= self.now_us:
                released = self._refill()
            if ready or released:
                moved += self._claim()
            self._nudged = self.redis.ask("LPOP", self.store.keys.nudge) is not None
            if not (self._wanted or self._ended or self._nudged or self._wake_us <= self.now_us):
                return
            if rounds > MOST_ROUNDS + len(self.order) and not moved:
                raise LivelockError(f"at {self.now_us / S} s {rounds} looks start nothing")

    def _refill(self) -> int:
        self.calls["refill"] += 1
        released, wake_us = done(self.store.refill(check_clock=False))
        self._wake_us = NEVER_US if wake_us < 0 else self.now_us + wake_us
        return released

    def _submit(self) -> int:
        """How many were ready at once."""
        wanted, self._wanted = self._wanted, []
        ready = 0
        for at in range(0, len(wanted), MOST_PER_CALL):
            self.calls["submit"] += 1
            answers = done(self.store.submit(wanted[at : at + MOST_PER_CALL]))
            assert {*answers} <= {"queued", "waiting"}, answers
            ready += answers.count(Acceptance.queued)
        return ready

    def _claim(self) -> int:
        """Until nothing is left, as a worker does with free slots: one call starts a part of what a burst releases."""
        started = 0
        while True:
            self.calls["claim"] += 1
            jobs = done(self.store.claim(WORKER, ClaimRequest(SLOTS, look=Look.no, read_more=True, alone=True))).jobs
            for one in jobs:
                self._note(one)
            if not jobs:
                return started
            started += len(jobs)

    def _note(self, one: StartedJob) -> None:
        at = int(one.id.partition("-")[0])
        standing, now_us = self.lines[at], self.now_us
        high, normal, low = self.lines_waiting
        self.order.append(Service(now_us, at, standing.since, (high, normal, low)))
        standing.since = len(self.order)
        standing.waiting -= 1
        self.lines_waiting[standing.line.priority] -= standing.waiting == 0
        standing.started += 1
        standing.worst_us = max(standing.worst_us, now_us - standing.last_us)
        standing.last_us = now_us
        self.waits_us.append((at, now_us - self._submitted_us.pop(one.id)))
        hold_us = standing.hold_us if self.hold is None else max(int(self.hold(self.random) * standing.hold_us), 1)
        if not standing.hold_us:
            hold_us = 0
            self._aside.append(one)
        else:
            self._push(now_us + hold_us, "end", one)
        for limit, cost in standing.line.needs:
            self.taken[limit].add(self.clock.now_us, cost, self.clock.now_us + hold_us)
        if standing.line.gap is None:
            self._fill(at)

    def _finish(self) -> int:
        if not self._ended and len(self._aside) < MOST_ASIDE:
            return 0
        ended, self._ended, self._aside = self._aside + self._ended, [], []
        for at in range(0, len(ended), MOST_PER_CALL):
            self.calls["finish"] += 1
            outcomes = [Outcome(one, Ending.succeeded, b"1", 0, 1_000) for one in ended[at : at + MOST_PER_CALL]]
            answers = done(self.store.finish(WORKER, outcomes))
            assert {*answers} == {"accepted"}, answers
        return len(ended)

    # What must be true

    def excess(self) -> list[str]:
        """The limits that were exceeded."""
        return [f"{name} by {over}" for name, policy in self.mixture.limits.items() if (over := excess_of(policy, self.taken[name])) > 0]

    def close(self) -> None:
        """Delete the keys of the queue."""
        if keys := self.keys():
            self.redis.ask("DEL", *keys)
        self.redis.close()

    def keys(self) -> list[str]:
        cursor, found = b"0", set[str]()
        while True:
            cursor, page = self.redis.ask("SCAN", cursor, "MATCH", f"{self.store.keys.prefix}*", "COUNT", 1000)
            found.update(key.decode() for key in page)
            if cursor == b"0":
                return sorted(found)


def excess_of(policy: Limit, taken: Starts) -> int:
    if isinstance(policy, ShortQuota):
        used = Counter[int]()
        for at_us, cost in zip(taken.at_us, taken.costs, strict=True):
            used[(at_us - START_US) // policy.length_us] += cost
        return max(used.values(), default=0) - policy.capacity
    if isinstance(policy, Concurrency) or not isinstance(policy, TokenBucket) or policy.smooth:
        return taken.excess(policy)
    # To look at all windows is quadratic: at those of up to so many starts.
    return max((part.excess(policy) for part in _slices(taken)), default=0)


def _slices(taken: Starts) -> Iterable[Starts]:
    for at in range(0, max(len(taken.at_us) - SLICE // 2, 1), SLICE // 2):
        yield Starts(taken.at_us[at : at + SLICE], taken.costs[at : at + SLICE], taken.ends_us[at : at + SLICE])
