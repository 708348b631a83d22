"""simulate: plays the events of a plan one after the other: jobs are submitted, tokens land, slots become free. Pure; time is a number."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from runner.errors import ConfigurationError
from runner.jobs import JobOptions, TaskSpec, prepare
from runner.limits import Limit, Need, decode_needs, template_fields
from runner.simulation.lines import Lines
from runner.simulation.report import Drain, Start, drain_of
from runner.simulation.restore import resumed
from runner.simulation.snapshot import Snapshot
from runner.simulation.work import Job, Work

MOST_JOBS = 1_000_000


@dataclass(frozen=True, slots=True)
class JobGroup:
    """`count` equal jobs of one tenant, submitted together. `at_us` counts from the beginning; `cost` is tokens by limit name.

    `args` are arguments of the task; an argument that a key or `fair_by` names has the tenant as its default.
    """

    tenant: str
    count: int = 1
    at_us: int = 0
    duration_us: int = 0
    cost: Mapping[str, int] = field(default_factory=dict)
    args: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Live:
    """A queue as it is, for a plan that comes on top of what waits there. run_us: how long each of those jobs runs."""

    snapshot: Snapshot
    run_us: int = 0


def simulate(
    spec: TaskSpec,
    limits: Sequence[Limit],
    groups: Iterable[JobGroup],
    *,
    slots: int,
    window: int = 64,
    start_us: int = 0,
    live: Live | None = None,
) -> Drain:
    """When these jobs of one task would start and end on otherwise idle workers with `slots` slots together.

    `spec` says how the task uses its limits (cost, fair shares, weights), `window` is the setting of that name, `start_us` the
    instant of the beginning, which the calendar of a quota needs. Retries, priorities and `max_wait` are left out. live: what waits already, with the
    limits that are in force there and the instant at which it was looked at.
    Raises `SubmissionRefused` for jobs that the engine would refuse, `ConfigurationError` for impossible numbers.
    """
    if slots < 1:
        raise ConfigurationError(f"{slots} slots run nothing: give 1 or more")
    if len({limit.name for limit in limits}) < len(limits):
        raise ConfigurationError(f"two limits have one name ({', '.join(limit.name for limit in limits)}): rename one")
    if live is None:
        run = _Run(Lines(limits, max(window, slots), start_us), slots)
    else:
        start_us = live.snapshot.now_us
        run = _Run(resumed(live.snapshot, live.run_us, MOST_JOBS), slots)
        run.hold(live)
    run.play(_jobs(spec, limits, groups, start_us))
    return drain_of(_in_force(limits, live), run.starts, [job.work for job in run.lines.failed], slots=slots, start_us=start_us)


def _in_force(limits: Sequence[Limit], live: Live | None) -> list[Limit]:
    """What the starts are held against: of limits that several queues share what this queue gets."""
    present = {row.limit.name: row.limit for row in live.snapshot.buckets if row.pace is not None} if live else {}
    return [present.get(limit.name, limit) for limit in limits]


def buckets_of_plan(spec: TaskSpec, limits: Sequence[Limit], groups: Iterable[JobGroup]) -> list[str]:
    """The buckets that these jobs need. Raises as `simulate`."""
    return list(dict.fromkeys(need.bucket for _, work in _jobs(spec, limits, groups, 0) for need in work.needs))


def _jobs(spec: TaskSpec, limits: Sequence[Limit], groups: Iterable[JobGroup], start_us: int) -> list[tuple[int, Work]]:
    """Every group as (count, what its jobs have in common), in the order of submission."""
    named = {name for template in (spec.fair_by, *(limit.key for limit in limits)) if template for name in template_fields(template)}
    planned = []
    for group in groups:
        if group.count < 1 or group.at_us < 0 or group.duration_us < 0:
            raise ConfigurationError(
                f"{group.count} jobs at {group.at_us} µs for {group.duration_us} µs cannot be: give a count from 1 and times from 0"
            )
        args = {**dict.fromkeys(named, group.tenant), **group.args}
        submission = prepare(spec, limits, b"{}", args, JobOptions(id="simulated", cost=group.cost))
        needs = tuple(decode_needs(submission.limits))
        work = Work(group.tenant, start_us + group.at_us, group.duration_us, needs, submission.line)
        planned.append((group.count, work))
    total = sum(count for count, _ in planned)
    if total > MOST_JOBS:
        raise ConfigurationError(f"{total} jobs are more than the {MOST_JOBS} that can be simulated: give fewer, the pattern repeats")
    return sorted(planned, key=lambda row: row[1].submitted_us)


class _Run:
    """The workers: their free slots, and the jobs they run."""

    def __init__(self, lines: Lines, slots: int) -> None:
        self.lines = lines
        self.starts: list[Start] = []
        self._free = slots
        self._running: list[tuple[int, int, Job]] = []
        """(end, number, job); the number keeps jobs that end at the same instant in the order of their starts."""

    def hold(self, live: Live) -> None:
        """The jobs that hold slots of a limit already: one that runs longer than most ends after half of that again."""
        now_us = live.snapshot.now_us
        for row in live.snapshot.buckets:
            for holder, since_us in self.lines.buckets[row.name].bucket.holders():
                end_us = since_us + live.run_us
                job = Job(holder, Work("", now_us, 0, (Need(row.name, 1, given_back=True),), ""))
                heapq.heappush(self._running, (end_us if end_us > now_us else now_us + live.run_us // 2, -len(self._running), job))
                self._free -= 1

    def play(self, planned: list[tuple[int, Work]]) -> None:
        upcoming, submitted = planned[::-1], 0
        while True:
            events = [upcoming[-1][1].submitted_us] if upcoming else []
            events += [self._running[0][0]] if self._running else []
            wake_us = self.lines.next_wake_us()
            events += [wake_us] if wake_us is not None else []
            if not events:
                return
            self.lines.now_us = max(min(events), self.lines.now_us)
            self._end_due()
            while upcoming and upcoming[-1][1].submitted_us <= self.lines.now_us:
                count, work = upcoming.pop()
                for number in range(submitted, submitted + count):
                    self.lines.submit(Job(str(number), work))
                submitted += count
            moves = True
            while moves:
                while self.lines.release():
                    pass
                moves = self._start_ready()

    def _end_due(self) -> None:
        while self._running and self._running[0][0] <= self.lines.now_us:
            self.lines.end(heapq.heappop(self._running)[2])
            self._free += 1

    def _start_ready(self) -> bool:
        """Fill the free slots in the order of the stream. Returns whether any job started."""
        before = len(self.starts)
        while self._free > 0 and self.lines.ready:
            job = self.lines.ready.popleft()
            self.lines.start(job)
            self.starts.append(Start(self.lines.now_us, job.work))
            heapq.heappush(self._running, (self.lines.now_us + job.work.duration_us, len(self.starts), job))
            self._free -= 1
        return len(self.starts) > before
