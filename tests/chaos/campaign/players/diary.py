"""The diary of the players' jobs: what was accepted, started, begun and ended of the jobs that have names instead of numbers."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from redis.asyncio import Redis

from runner.store.keys import Keys
from tests.chaos.campaign.calls import QUEUE

_KEYS = Keys(QUEUE)
BEGAN, LEFT = "play", "over"
"""What a worker notes of a run of a player's job: `play JOB attempt at_us words...`, `over JOB attempt at_us how`."""

EXPECTED = frozenset({"", "RuntimeError", "poison", "parent_failed", "DeadlineExceeded"})
"""The errors that the players ask for, and what becomes of a job whose worker is lost again and again; nothing of a record that was gone."""


class Start(NamedTuple):
    """A claim, by Redis's clock."""

    attempt: int
    at_us: int


class Run(NamedTuple):
    """A handler that began, by the clock of its process, and what it noted."""

    attempt: int
    at_us: int
    words: tuple[str, ...]


class End(NamedTuple):
    """An outcome. `at_us` is the millisecond in which it was recorded; what its record did not say any more is None, or nothing."""

    task: str
    state: str
    attempt: int
    at_us: int
    submitted_us: int | None = None
    error: str = ""
    most_runs: int | None = None
    kept_ms: int | None = None
    progress: tuple[float, float] | None = None


class Diary:
    """All that is known of the players' jobs."""

    WORDS = frozenset({BEGAN, LEFT})

    def __init__(self) -> None:
        self.accepted: set[str] = set()
        self.again: Counter[str] = Counter()
        """How many outcomes more than one a job may have had: it was retried by hand so often."""
        self.starts: dict[str, list[Start]] = defaultdict(list)
        self.runs: dict[str, list[Run]] = defaultdict(list)
        self.left: dict[tuple[str, int], str] = {}
        """How each run came to its end."""
        self.ends: dict[str, list[End]] = defaultdict(list)

    @property
    def unfinished(self) -> list[str]:
        """Accepted jobs without an outcome."""
        return [job for job in self.accepted if job not in self.ends]

    def note(self, what: str, words: list[str]) -> None:
        """Take in a line of a worker's notes."""
        job, attempt, at_us, *more = words
        if what == BEGAN:
            self.runs[job].append(Run(int(attempt), int(at_us), tuple(more)))
        else:
            self.left[job, int(attempt)] = more[0]

    async def look_at(self, redis: Redis, ended: Sequence[tuple[str, End]]) -> None:
        """Take in outcomes, with what the records of their jobs say while they are there."""
        async with redis.pipeline(transaction=False) as pipeline:
            for job, _ in ended:
                pipeline.hmget(_KEYS.job(job), ["submitted", "error", "progress", "failures", "crashes", "throttled"])
                pipeline.pttl(_KEYS.job(job))
            replies = await pipeline.execute()
        for (job, end), fields, kept_ms in zip(ended, replies[::2], replies[1::2], strict=True):
            self.ends[job].append(end if fields[0] is None else _with_record(end, fields, kept_ms))

    def last(self, job: str) -> End | None:
        """The latest outcome of a job."""
        return self.ends[job][-1] if job in self.ends else None

    def state(self, job: str) -> str:
        """Its latest final state; nothing if it has not ended."""
        end = self.last(job)
        return "" if end is None else end.state

    def first_start_us(self, job: str) -> int | None:
        """When it was claimed first."""
        return min(start.at_us for start in self.starts[job]) if job in self.starts else None

    def ended_with(self, beginning: str) -> Iterator[str]:
        """The jobs that have ended and whose names begin so."""
        return (job for job in self.ends if job.startswith(beginning))

    def findings(self) -> dict[str, list[str]]:
        """What is wrong whatever they play: the accounts of jobs that have numbers, for those that have names."""
        return {
            "lost": [f"job {job} was accepted and has not ended" for job in self.unfinished],
            "accepted twice": [
                f"job {job} has {len(ends)} outcomes and was retried by hand {self.again[job]} times"
                for job, ends in self.ends.items()
                if len(ends) > 1 + self.again[job]
            ],
            "dead letters": [
                f"job {job} ({end.task}) failed for good: {end.error}"
                for job, ends in self.ends.items()
                for end in ends
                if end.state == "failed" and end.error not in EXPECTED
            ],
            "ran twice": [
                f"attempt {attempt} of job {job} was begun {times} times"
                for job, runs in self.runs.items()
                for attempt, times in Counter(run.attempt for run in runs).items()
                if times > 1
            ],
            "ran too often": [
                f"job {job} ran {len(runs)} times, {most} are accounted for"
                for job, runs in self.runs.items()
                if not self.again[job] and (most := self._most_runs(job)) is not None and len(runs) > most
            ],
        }

    def _most_runs(self, job: str) -> int | None:
        """How often it may have run: what its record said at its end, and once more for each run that was stopped from outside."""
        end = self.last(job)
        if end is None or end.most_runs is None:
            return None
        return end.most_runs + sum(self.left.get((job, run.attempt)) == "stopped" for run in self.runs[job])


def _with_record(end: End, fields: Sequence[bytes | None], kept_ms: int) -> End:
    submitted, error, progress, *counts = fields
    return end._replace(
        submitted_us=int(submitted or 0),
        error="" if error is None else str(json.loads(error)["type"]),
        most_runs=1 + sum(int(count or 0) for count in counts),
        kept_ms=kept_ms,
        progress=None if progress is None else tuple(json.loads(progress)[1:3]),
    )
