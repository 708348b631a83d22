"""JobFilter: which jobs are asked for, and JobPage, JobCounts and DeadLetterGroup: what is told of many. Values only."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, NamedTuple

from runner.clock import microseconds
from runner.errors import ConfigurationError
from runner.foreign import shown
from runner.jobs.instants import instant_s
from runner.jobs.job import JobStatus, State, is_job_id
from runner.jobs.tags import is_tag
from runner.limits import is_bucket_name
from runner.names import SHORT_NAME, fits, unknown_name, wrong_pool
from runner.plain_text import is_line

REASONS = ("delay", "retry", "bounced", "slots", "no worker", "paused", "jobs", "line")
"""Why a job that is scheduled or waits does so, as a filter takes it; `line`: for tokens of its limits."""

_BEGINNING = re.compile(r"[A-Za-z0-9_.:/-]{0,200}")
_LONGEST = 200


class Within(NamedTuple):
    """Whose jobs one caller sees. `prefix`: how the ids of their jobs begin in Redis. shared: jobs of tenants are among them.

    tasks: names, or beginnings of names with a `*`; none: every task.
    """

    prefix: str = ""
    shared: bool = True
    tasks: Sequence[str] = ()


_ALL = Within()


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs: those for which all that is given is true. Nothing given: every job.

    state: one, or several. reason: what keeps it from its start, as its status says: "delay", "retry", "bounced", "slots", "no worker", "paused", "jobs" (it comes after others), or "line" (for tokens). task: its
    name, or the beginning of names like "billing.*". schedule: which one has made it, by its instants or by hand. batch: the id of the one it belongs to. limit, bucket: one that it needs ("tenant", "tenant/t7"). tag: one of its tags. error: the type of
    its error. id_prefix: how its id begins. The times are seconds since 1970 or datetimes with a zone, both ends included. oldest_first: of those on
    a stream or ended the earliest first, in place of the latest.
    """

    state: str | Sequence[str] = ()
    reason: str | None = None
    task: str | None = None
    limit: str | None = None
    bucket: str | None = None
    pool: str | None = None
    tag: str | None = None
    error: str | None = None
    id_prefix: str = ""
    submitted_from: float | datetime | None = None
    submitted_to: float | datetime | None = None
    ended_from: float | datetime | None = None
    ended_to: float | datetime | None = None
    oldest_first: bool = False
    schedule: str | None = None
    batch: str | None = None
    _states: frozenset[State] = field(default=frozenset(), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises `ConfigurationError` for what no job can have."""
        given: object = self.state
        names = (given,) if isinstance(given, str) else tuple(self.state)
        wrong = next((name for name in names if name not in set(State)), None)
        if wrong is not None:
            raise ConfigurationError(unknown_name("a job", "state", wrong, State))
        object.__setattr__(self, "_states", frozenset(map(State, names)))
        if self.reason is not None and self.reason not in REASONS:
            raise ConfigurationError(unknown_name("a filter of jobs", "reason", self.reason, REASONS))
        for name, is_one in _FORMS.items():
            value = getattr(self, name)
            if value is not None and not is_one(value):
                raise ConfigurationError(f"{name} of a filter of jobs is {shown(value, 60)}, which no job has: correct it, or leave it out")
        for name in _TIMES:
            _us(name, getattr(self, name))

    @property
    def states(self) -> frozenset[State]:
        """The states that are asked for; none: every state."""
        return self._states

    def document(self) -> dict[str, Any]:
        """What was given, by name: for JSON."""
        given = {part.name: getattr(self, part.name) for part in fields(self) if part.init}
        told = {name: value for name, value in given.items() if value not in (None, "", (), False)}
        if "state" in told:
            told["state"] = sorted(self.states)
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in told.items()}


def _is_task(value: object) -> bool:
    """Whether it is a task's name, or the beginning of some. An empty one is none: it is what a variable holds that was not set."""
    return is_line(value, _LONGEST + 1, least=1) and "*" not in str(value)[:-1] and len(str(value).removesuffix("*")) <= _LONGEST


_FORMS: Mapping[str, Callable[[object], bool]] = {
    "task": _is_task,
    "limit": lambda value: fits(SHORT_NAME, value),
    "bucket": is_bucket_name,
    "pool": lambda value: wrong_pool(value, has_jobs=True) is None,
    "tag": is_tag,
    "schedule": lambda value: fits(SHORT_NAME, value),
    "batch": is_job_id,
    "error": lambda value: is_line(value, _LONGEST, least=1),
    "id_prefix": lambda value: fits(_BEGINNING, value),
}
_TIMES = ("submitted_from", "submitted_to", "ended_from", "ended_to")


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs, and where the next page begins: None if there are no more. A page may have none, and the walk go on.

    Jobs come without arguments and results. A walk meets once each job that stays where it is; one that moves meanwhile may be met where it was, where
    it is, or not at all. Jobs that succeeded are told as far back as the history of ends goes: see `JobCounts.succeeded_since`.
    """

    jobs: tuple[JobStatus, ...]
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class JobCounts:
    """How many jobs there are of each state; of those that wait, by where they are too: "line" (in one, takers without a job among them), "no worker", "paused", "jobs".

    is_complete: False if there was not time to look at all of them: then there are at least so many. succeeded: of all jobs
    together how many ended so in the last 24 hours, to the minute; of a filter, how many of them the history of ends has. succeeded_since: how far
    back that history goes, in seconds since 1970; None: no job has ended, or a filter was given.
    """

    queued: int = 0
    waiting: int = 0
    scheduled: int = 0
    running: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0
    succeeded: int | None = None
    waiting_for: Mapping[str, int] = field(default_factory=dict)
    succeeded_since: float | None = None
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class DeadLetterGroup:
    """Jobs of one task that failed with one type of error. first_at, last_at: when the first and the last ended, in seconds since 1970."""

    task: str
    error: str
    count: int
    first_at: float
    last_at: float
    last_id: str


def _us(name: str, given: float | datetime | None) -> int | None:
    return None if given is None else microseconds(instant_s(f"{name} of a filter of jobs", given))


def question_of(filter: JobFilter, within: Within = _ALL) -> str:
    """As the scripts take it, for one caller: JSON, the same text for the same question."""
    tasks = [list(names) for names in ([filter.task] if filter.task else [], within.tasks) if names]
    question: dict[str, Any] = {
        "states": {state.value: True for state in sorted(filter.states)},
        "tasks": tasks,
        "begins": filter.id_prefix,
        "oldest": filter.oldest_first,
        "limit": filter.limit,
        "bucket": filter.bucket,
        "pool": filter.pool,
        "tag": filter.tag,
        "reason": filter.reason,
        "error": filter.error,
        "schedule": filter.schedule,
        "batch": filter.batch and within.prefix + filter.batch,
        **{name: None if (us := _us(name, getattr(filter, name))) is None else str(us) for name in _TIMES},
    }
    told = {name: value for name, value in question.items() if value}
    return json.dumps({**told, "within": within.prefix, "shared": within.shared}, separators=(",", ":"))


EVERY_JOB = JobFilter()
