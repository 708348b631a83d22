"""foresee: plays a snapshot forward until a waiting job starts. Pure; what Redis does not know is taken at its mean.

It is right where each wait can be computed; where slots are held for very different times one hold's scatter is more than any bound.
"""

import heapq

from runner.limits import Need
from runner.simulation.lines import Lines
from runner.simulation.restore import restored
from runner.simulation.snapshot import Foreseen, Snapshot
from runner.simulation.work import Job, Work

MOST_STARTS = 1_000
_MOST_LOOKS = 2_000
"""In all, so that lines that only look end too."""


def foresee(snapshot: Snapshot, line: str, place: int, most_starts: int = MOST_STARTS) -> Foreseen | None:
    """When the job at this place of its line (0: the first) starts, if no others come; None if that cannot be said.

    Plays at most `most_starts`. Jobs that run end after the mean time held, one that runs longer already after half of it.
    """
    course = _Course(snapshot, line, most_starts)
    course.play(place + 1)
    own, now_us = course.starts_us, snapshot.now_us
    if len(own) > place:
        return Foreseen(own[place], reached=True, starts_played=course.played)
    if not own or course.is_at_rest:
        return None
    half = len(own) // 2
    pace_us = (course.lines.now_us - (own[half] if half else now_us)) / max(len(own) - half, 1)
    return Foreseen(round(own[-1] + pace_us * (place + 1 - len(own))), reached=False, starts_played=course.played)


class _Course:
    """A snapshot on its way."""

    def __init__(self, snapshot: Snapshot, line: str, most_starts: int) -> None:
        self.lines: Lines = restored(snapshot, most_starts + 1)
        self.starts_us: list[int] = []
        """Of the line that is asked about."""
        self.played = 0
        self.is_at_rest = False
        self._line = line
        self._most = most_starts
        self._ends: list[tuple[int, int, Job]] = []
        self._means_us: dict[str, int] = {}
        self._end_running(snapshot)

    def play(self, wanted: int) -> None:
        for _ in range(_MOST_LOOKS):
            while self.lines.release():
                self._start_ready()
                if len(self.starts_us) >= wanted or self.played >= self._most:
                    return
            due_us = [self._ends[0][0]] if self._ends else []
            wake_us = self.lines.next_wake_us()
            due_us += [wake_us] if wake_us is not None else []
            if not due_us:
                self.is_at_rest = True
                return
            self.lines.now_us = max(min(due_us), self.lines.now_us)
            while self._ends and self._ends[0][0] <= self.lines.now_us:
                self.lines.end(heapq.heappop(self._ends)[2])

    def _start_ready(self) -> None:
        while self.lines.ready:
            job, now_us = self.lines.ready.popleft(), self.lines.now_us
            self.lines.start(job)
            self.played += 1
            if job.work.line == self._line:
                self.starts_us.append(now_us)
            for need in job.work.needs:
                if need.given_back:
                    self._end_at(now_us + self._held_us(need.bucket), job.id, job.work._replace(needs=(need,)))

    def _held_us(self, name: str) -> int:
        """How long a job holds its slots here: the mean at the snapshot."""
        if name not in self._means_us:
            bucket = self.lines.buckets[name]
            self._means_us[name] = round(bucket.bucket.each_us(bucket.limit.capacity, self.lines.now_us))
        return self._means_us[name]

    def _end_at(self, at_us: int, holder: str, work: Work) -> None:
        heapq.heappush(self._ends, (at_us, len(self._ends) + self.played, Job(holder, work)))

    def _end_running(self, snapshot: Snapshot) -> None:
        """The jobs that hold slots already, and those that are about to start."""
        for row in snapshot.buckets:
            for holder, since_us in self.lines.buckets[row.name].bucket.holders():
                held_us = self._held_us(row.name)
                end_us = since_us + held_us
                need = Need(row.name, 1, given_back=True)
                self._end_at(end_us if end_us > snapshot.now_us else snapshot.now_us + held_us // 2, holder, Work("", 0, 0, (need,), ""))
