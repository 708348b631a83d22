"""WorkerCounts: what one worker counts, if somebody wants to read it. Plain numbers: what they look like is decided when they are read."""

import json
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, ParamSpec

from runner.clock import MICROSECONDS, monotonic_s
from runner.jobs import Ending, Outcome, StartedJob
from runner.limits import limit_name
from runner.telemetry.labels import OTHER, Labels
from runner.telemetry.shared_counts import SharedCounts
from runner.telemetry.spans_of_time import RUNS_S, STARTS_S, WAITS_S, Histogram

P = ParamSpec("P")

NO_LIMIT = "none"
_ERRORS = frozenset({Ending.retry, Ending.failed, Ending.refused})
_MAIN_ENDINGS = (Ending.succeeded, Ending.failed)
_MOST_KINDS = 50
_EXPECTED = frozenset({"NoScriptError", "CancelledError"})
"""A script is sent when the server does not have it; a wait ends with its worker."""


class WorkerGauges(NamedTuple):
    """How a worker is at one instant."""

    is_ready: bool
    leads: bool
    slots: int
    in_use: int
    stuck: int
    undelivered: int
    stalls: int
    defects: int


@dataclass(slots=True)
class Calls:
    """Calls of Redis of one name."""

    number: int = 0
    seconds: float = 0.0


class WorkerCounts:
    """The counts of one process, through all lives of its worker. tasks, limits: those of its app; others are counted together.

    All of it is written by the thread of the event loop, but for `beside`, which is the heartbeat's.
    """

    def __init__(self, tasks: Iterable[str] = (), limits: Iterable[str] = ()) -> None:
        self._tasks, self._limits = Labels(tasks), Labels([*limits, NO_LIMIT])
        self._kinds = Labels(learns=True, most=_MOST_KINDS)
        # What begins at 0 is seen to rise at its first case, for which there would be no earlier value else.
        self.attempts: Counter[tuple[str, str]] = Counter({(task, ending): 0 for task in self._tasks.known for ending in _MAIN_ENDINGS})
        self.errors: Counter[str] = Counter()
        self.starts: Counter[str] = Counter(dict.fromkeys(self._limits.known - {NO_LIMIT}, 0))
        self.throttled: Counter[str] = Counter(dict.fromkeys(self._limits.known - {NO_LIMIT}, 0))
        self.warnings: Counter[str] = Counter(dict.fromkeys(self._limits.known - {NO_LIMIT}, 0))
        self.waits: dict[str, Histogram] = defaultdict(partial(Histogram, WAITS_S))
        self.runs: dict[str, Histogram] = defaultdict(partial(Histogram, RUNS_S))
        self.token_to_start: dict[str, Histogram] = defaultdict(partial(Histogram, STARTS_S))
        self.release_delay = Histogram(STARTS_S)
        self.renewals: Counter[str] = Counter({"renewed": 0, "unavailable": 0, "lost": 0})
        self.on_loop, self.beside = CallCounts(), CallCounts()
        self.shared = SharedCounts()

    def around_attempt(self, execute: Callable[P, Awaitable[None]]) -> Callable[P, Awaitable[None]]:
        """The call that runs an attempt, whose first argument is its job; counted and timed."""

        async def counted(*args: P.args, **kwargs: P.kwargs) -> None:
            job = args[0]
            assert isinstance(job, StartedJob), "an attempt is of a job"
            for limit in self._limits_of(job):
                self.starts[limit] += 1
            began_s = monotonic_s()
            try:
                await execute(*args, **kwargs)
            finally:
                self.runs[self._tasks.of(job.task)].note(monotonic_s() - began_s)

        return counted

    def note_accepted(self, outcome: Outcome) -> None:
        """Redis has accepted an outcome."""
        self.attempts[self._tasks.of(outcome.job.task), outcome.ending] += 1
        if outcome.ending in _ERRORS:
            self.errors[self._kinds.of(_kind_in(outcome.payload))] += 1
        elif outcome.ending is Ending.throttled:
            self.throttled[self._limits.of(limit_name(outcome.freeze))] += 1

    def note_times(self, job: StartedJob, started_us: int, due_us: int) -> None:
        """When an attempt started, and from when on it waited, by Redis's clock."""
        self.waits[self._tasks.of(job.task)].note(max(started_us - due_us, 0) / MICROSECONDS)
        # An entry is put on the stream when the job's tokens are there for it; its id is the time, in milliseconds.
        there_us = int(job.entry.partition(b"-")[0]) * 1_000
        for limit in self._limits_of(job) or (NO_LIMIT,):
            self.token_to_start[limit].note(max(started_us - there_us, 0) / MICROSECONDS)

    def note_release_delay(self, seconds: float) -> None:
        """The leader looked so late at tokens that had landed."""
        self.release_delay.note(seconds)

    def note_warning(self, limit: str) -> None:
        """Somebody was told that much of a budget is spent."""
        self.warnings[self._limits.of(limit)] += 1

    def note_renewal(self, result: str) -> None:
        """What a renewal of the lease came to."""
        self.renewals[result] += 1

    def _limits_of(self, job: StartedJob) -> list[str]:
        """The limits whose tokens it has, under the names by which they are told."""
        if not job.limits:
            return []
        return [self._limits.of(limit_name(need.partition("=")[0])) for need in job.limits.split(";")]


class CallCounts:
    """Calls of Redis that one thread makes."""

    def __init__(self) -> None:
        self.calls: dict[str, Calls] = {}
        self.errors: Counter[str] = Counter()

    def note(self, name: str, seconds: float, error: BaseException | None) -> None:
        """Count one: a script or a command by its name."""
        calls = self.calls.get(name or OTHER)
        if calls is None:
            calls = self.calls[name or OTHER] = Calls()
        calls.number += 1
        calls.seconds += seconds
        if error is not None and type(error).__name__ not in _EXPECTED:
            self.errors[type(error).__name__] += 1


def _kind_in(payload: bytes) -> str:
    """The type of an outcome's error."""
    try:
        return str(json.loads(payload)["type"])
    except (ValueError, KeyError, TypeError):
        return "unknown"
