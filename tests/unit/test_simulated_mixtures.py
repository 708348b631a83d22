"""Random mixtures of limits and lines in the simulation: who gets which part of what is fair, and how much is used of each limit."""

import heapq
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pytest

from runner.clock import MICROSECONDS as S
from runner.limits import Concurrency, Limit, Need, TokenBucket
from runner.simulation.lines import Lines
from runner.simulation.work import Job, Work
from tests.store.virtual.mixtures import Line, Mixture, ShortQuota, mixture, tenants, wide

MOST_LOOKS = 3_000
"""At one instant, without a start: more is a livelock."""


@dataclass
class Parts:
    """What came of one mixture: the parts of the ideal that lines of several limits and of one got, and the use of each limit."""

    several: list[float]
    single: list[float]
    use: list[float]


class Endless:
    """Lines that always have jobs: each keeps its slots as long as its mixture says."""

    def __init__(self, played: Mixture, depth: int = 24) -> None:
        limits = {name: _playable(limit) for name, limit in played.limits.items()}
        self.mixture = replace(played, limits=limits)
        self.lines = Lines(limits.values(), 1_000_000, 0)
        self.starts: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()
        self.log: dict[str, list[int]] = {}
        """The instants at which jobs of each line started."""
        self._running: list[tuple[int, int, Job]] = []
        self._number = 0
        for line in played.lines:
            for _ in range(depth):
                self._submit(line)

    def run(self, until_us: int) -> Parts:
        while True:
            self._serve()
            ends = [self._running[0][0]] if self._running else []
            wake_us = self.lines.next_wake_us()
            now_us = min(ends + ([wake_us] if wake_us is not None else []))
            if now_us > until_us:
                return self._parts(until_us)
            self.lines.now_us = max(now_us, self.lines.now_us)
            while self._running and self._running[0][0] <= self.lines.now_us:
                self.lines.end(heapq.heappop(self._running)[2])

    def _serve(self) -> None:
        looks = 0
        while self.lines.release() or self.lines.ready:
            looks = 0 if self.lines.ready else looks + 1
            assert looks < MOST_LOOKS, f"livelock at {self.lines.now_us} µs"
            while self.lines.ready:
                self._start(self.lines.ready.popleft())

    def _start(self, job: Job) -> None:
        line, now_us = next(line for line in self.mixture.lines if line.name == job.work.tenant), self.lines.now_us
        for need in job.work.needs:
            bucket = self.lines.buckets[need.bucket].bucket
            assert bucket.wait_us(need.cost, now_us) == 0, f"{need.bucket} is exceeded"
        self.lines.start(job)
        self.starts[line.name] += 1
        self.log.setdefault(job.work.line, []).append(now_us)
        hold_us = self.mixture.hold_us(line)
        for need in job.work.needs:
            self.taken[need.bucket] += need.cost * (hold_us if need.given_back else 1)
        heapq.heappush(self._running, (now_us + hold_us, self._number, job))
        self._submit(line)

    def _submit(self, line: Line) -> None:
        self._number += 1
        needs = tuple(sorted(Need(name, cost, self.mixture.limits[name].gives_back) for name, cost in line.needs))
        weight = f"*{line.weight}" if line.weight != 1 else ""
        name = f"{int(line.priority)}|{';'.join(need.bucket for need in needs)}@{line.name}{weight}"
        self.lines.submit(Job(f"{line.name}-{self._number}", Work(line.name, 0, 0, needs, name)))

    def _parts(self, until_us: int) -> Parts:
        shares = [
            (len(line.needs), self.starts[line.name] / (ideal * until_us / S))
            for line, ideal in zip(self.mixture.lines, self.mixture.ideal(), strict=True)
        ]
        alone = {line.needs[0][0] for line in self.mixture.lines if len(line.needs) == 1}
        return Parts(
            several=[share for needs, share in shares if needs > 1],
            single=[share for needs, share in shares if needs == 1],
            use=[self.taken[name] / self._most(name, until_us) for name in sorted(alone)],
        )

    def _most(self, name: str, until_us: int) -> float:
        limit = self.mixture.limits[name]
        return self.mixture.most(name, until_us) + (0 if isinstance(limit, Concurrency) else limit.capacity)


def _playable(limit: Limit) -> Limit:
    """A quota of short periods gives what an interval bucket of its size does."""
    if isinstance(limit, ShortQuota):
        return TokenBucket(limit.name, capacity=limit.capacity, refill=limit.capacity, every=limit.length_us / S)
    return limit


def played(mixtures: Sequence[Mixture], minutes: int) -> Iterator[Parts]:
    for one in mixtures:
        yield Endless(one).run(minutes * 60 * S)


@pytest.mark.parametrize(
    ("count", "minutes", "least"), [(12, 15, 0.7), pytest.param(100, 15, 0.72, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_every_line_of_a_random_mixture_gets_its_part_and_no_limit_lies_idle(count: int, minutes: int, least: float) -> None:
    parts = list(played([mixture(seed) for seed in range(2001, 2001 + count)], minutes))

    several = [share for one in parts for share in one.several]
    single = [share for one in parts for share in one.single]
    assert min(several) > 0.1
    assert statistics.median(min(one.several) for one in parts) >= least
    assert min(single) >= 0.65
    assert statistics.mean(use for one in parts for use in one.use) >= 0.91


@pytest.mark.slow
@pytest.mark.parametrize("form", [wide, tenants], ids=["wide", "tenants"])
def test_many_lines_at_many_limits_all_start(form: type) -> None:
    for one in played([form(seed) for seed in range(1, 6)], 15):
        assert min(one.several) > 0.05
        assert min(one.single) >= 0.6
