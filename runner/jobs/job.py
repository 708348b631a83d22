"""Jobs as values: what a worker starts, how an attempt ended, and the status that a caller sees. No I/O."""

import os
import re
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

from runner.errors import ConfigurationError, InvalidJobId
from runner.jobs.attempt_record import AttemptRecord
from runner.jobs.job_error import JobError
from runner.jobs.metadata import trace_id_in
from runner.jobs.pause_status import PauseStatus
from runner.jobs.progress import Progress
from runner.limits import QueuePace, limit_name
from runner.names import DEFAULT_POOL, SHORT_NAME, fits

_JOB_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


class Priority(IntEnum):
    """Which stream a ready job is on. Smaller is served first."""

    high = 0
    normal = 1
    low = 2


_PRIORITIES = len(Priority)  # asked of each job that starts: to count an enum takes longer than to divide

PriorityName = Literal["high", "normal", "low"]


def check_queue_name(queue: str) -> str:
    """The queue's name. Raises `ConfigurationError` for one that cannot be part of a key's hash tag."""
    if not fits(SHORT_NAME, queue):
        raise ConfigurationError(f"queue name {queue!r} cannot be used: give 1 to 64 letters, digits, '.', '_' or '-'")
    return queue


class State(StrEnum):
    """Where a job is. docs/reference/state-machine.md names the script that makes each change."""

    queued = "queued"
    waiting = "waiting"
    scheduled = "scheduled"
    running = "running"
    succeeded = "succeeded"
    failed = "failed"
    cancelled = "cancelled"
    expired = "expired"

    @property
    def is_final(self) -> bool:
        return self in FINAL


FINAL = frozenset({State.succeeded, State.failed, State.cancelled, State.expired})


TICKET = "take:"
"""Ids of tickets begin with this. A ticket waits in line like a job, for code that asks for tokens without a job."""


def new_job_id() -> str:
    """A random id of 80 bits, as 20 hexadecimal digits."""
    return os.urandom(10).hex()


def is_job_id(job_id: object) -> bool:
    """Whether a job, or a batch, can have this id."""
    return fits(_JOB_ID, job_id) and not str(job_id).startswith(TICKET)


def check_job_id(job_id: str) -> str:
    """The id. Raises `InvalidJobId` for one that cannot be part of a key."""
    if not is_job_id(job_id):
        raise InvalidJobId(f"job id {job_id!r:.42} cannot be used: give 1 to 128 letters, digits, '.', '_', ':' or '-'")
    return job_id


class Acceptance(StrEnum):
    """The answer to the submission of a job: the first state of a new job, or why there is no new one."""

    queued = "queued"
    waiting = "waiting"
    scheduled = "scheduled"
    failed = "failed"
    """A quota that it needs is spent, and was declared with `on_exhausted="fail"`."""
    existing = "existing"
    """The same job was submitted before, with the same id, task and arguments."""
    conflict = "conflict"
    """Another job has this id."""
    full = "full"
    """The queue has no room for it."""
    replaced = "replaced"
    """The unique job that waits does what this submission asked, see `Unique`."""
    duplicate = "duplicate"
    """It is refused, as another job is there that is unique."""
    pools = "pools"
    """Its pool is a new one, and the queue has as many as it can have."""
    no_parent = "no parent"
    """There is no job that it is to come after."""
    no_batch = "no batch"
    """There is no batch of which it is to be."""
    sealed = "sealed"
    """Its batch takes no more jobs."""

    @property
    def is_new(self) -> bool:
        """Whether this submission stored the job."""
        return self not in _NOT_NEW


_NOT_NEW = frozenset(set(Acceptance) - {Acceptance.queued, Acceptance.waiting, Acceptance.scheduled, Acceptance.failed})


class OtherJob(NamedTuple):
    """The answer to the submission of a unique job while another one is there: what became of the submission, and the id of that job."""

    state: Acceptance
    id: str


# StartedJob and Outcome are made at least once for every job, as is Submission: a named tuple costs a third of a frozen dataclass to make.


class StartedJob(NamedTuple):
    """One attempt that a claim gave to this worker; its tokens are taken. `entry` is its id on the stream.

    `stream` is the number of that among those the worker reads: the place of the pool in its list, times three, and the priority.
    """

    stream: int
    entry: bytes
    id: str
    task: str
    args: bytes
    attempt: int
    failures: int
    limits: str = ""
    spec: str = ""
    """What the limits came from, as a digest; after it the digests of the versions that have amended them."""
    deadline_us: int = 0
    """µs that are left until the job's deadline; 0 if it has none."""
    metadata: bytes = b""
    """What hooks gave it at its submission, as JSON; empty if they gave nothing."""

    @property
    def priority(self) -> int:
        """0 is the highest."""
        return self.stream % _PRIORITIES


class Ending(StrEnum):
    """How an attempt ended."""

    succeeded = "succeeded"
    failed = "failed"
    retry = "retry"
    throttled = "throttled"
    cancelled = "cancelled"
    returned = "returned"
    amended = "amended"
    """It did not begin, as it needs other buckets than it was submitted with; the payload says which."""
    unknown = "unknown"
    """This worker cannot run it: its version does not know the task, or not these arguments."""
    busy = "busy"
    """It did not begin: all child processes of this worker are taken. Only of an entry that is held."""
    refused = "refused"
    """Redis refused how it ended before: a dead letter, whatever its record and its buckets are like."""


class Outcome(NamedTuple):
    """The end of an attempt, as its worker reports it.

    `payload` is the result or the error as JSON; `delay_us` the wait before a retry, or the one a provider asked for (negative: it
    named none, and a first freeze is so long); `ttl_ms` how long to keep the job; `settled` the tokens really used
    ("bucket=tokens;..."); `freeze` the bucket to freeze. `most_throttled` is how often the job may be throttled before it is a dead
    letter with this payload; 0: as often as its provider likes.
    """

    job: StartedJob
    ending: Ending
    payload: bytes = b""
    delay_us: int = 0
    ttl_ms: int = 0
    settled: str = ""
    freeze: str = ""
    most_throttled: int = 0
    progress: bytes = b""
    """What the handler has said last of its progress, as JSON; empty if it said nothing."""

    def own(self) -> tuple[bytes | str | int, ...]:
        """What differs from attempt to attempt, in the order of finish.lua."""
        job = self.job
        own = job.entry, job.id, job.attempt, self.payload
        return (*own, self.progress) if self.progress else own

    def shared(self) -> tuple[str | int, ...]:
        """What many outcomes have in common, in the order of finish.lua."""
        job, ending, _, delay_us, ttl_ms, settled, freeze, most_throttled, progress = self
        return job.stream, ending, delay_us, ttl_ms, settled, freeze, most_throttled, 1 if progress else 0


@dataclass(slots=True, frozen=True)
class JobStatus:
    """A job as a caller sees it. Times are seconds since 1970 by Redis's clock.

    `reason` is "no worker" as long as no live worker serves the task: such a job is `queued`, or `waiting` once a worker has met it that could not run it. "jobs": it comes after
    others that have not ended. For another job in `waiting`: `reason` says for what, `bucket` names the bucket ("tenant/t7") and `limit` its limit ("tenant"), `position` is its
    place in line (1 is next) and `eta_s` the seconds until its tokens have landed, if everything ahead of it starts on time, `end_eta_s` those until it ends, by half of the runs
    of its task in the last 24 hours. `shared`: several queues share that limit, and `eta_s` is an estimate by what this one gets. `pause`: the queue, its task, its pool or a
    bucket that it needs is paused, and it starts once that is over (`reason` is "paused", and `position` and `eta_s` are unknown). `attempts` are those that failed: the first
    and the last nine. `progress` is what the handler of its latest attempt has said last. `pool`: whose workers run it. `worker`: the id of the one that runs it, or ran its
    latest attempt. `costs`: the tokens that it takes of each bucket at its start. `ready_at`: since when it waits, or waited before its latest attempt, if that is not its
    submission: its delay, the pause before a retry, or what it came after was over then. `worker` and `ready_at` are told where its error is. `tags` and `metadata`: what its
    submission, and for metadata the hooks of its producer, gave it. `result_bytes` is the size of its result as JSON, also of one that was left out because the caller takes
    less.
    """

    id: str
    task: str
    state: State
    reason: str | None = None
    bucket: str | None = None
    position: int | None = None
    eta_s: float | None = None
    priority: str = "normal"
    attempt: int = 0
    failures: int = 0
    crashes: int = 0
    throttled: int = 0
    cancel_requested: bool = False
    submitted_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    args: Any = None
    result: Any = None
    error: JobError | None = None
    result_bytes: int | None = None
    attempts: tuple[AttemptRecord, ...] = ()
    deadline_at: float | None = None
    progress: Progress | None = None
    pause: PauseStatus | None = None
    pool: str = DEFAULT_POOL
    worker: str | None = None
    costs: dict[str, int] = field(default_factory=dict)
    ready_at: float | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    end_eta_s: float | None = None
    shared: QueuePace | None = None

    @property
    def version(self) -> str:
        """A text that is another one whenever the job has changed; `eta_s`, `end_eta_s` and `shared`, which change by themselves, are no part of it.

        Arguments, result and error are none either: they do not change without the attempt or the end, and may be megabytes long.
        """
        changing = (
            *(self.task, str(self.state), self.reason, self.bucket, self.position, self.priority),
            *(self.attempt, self.failures, self.crashes, self.throttled, self.cancel_requested),
            *(self.submitted_at, self.started_at, self.finished_at, self.deadline_at),
            self.pause and (self.pause.what, self.pause.name, self.pause.until_at),
            self.progress and (self.progress.done, self.progress.total, self.progress.note),
        )
        return blake2b(repr(changing).encode(), digest_size=9).hexdigest()

    @property
    def trace_id(self) -> str | None:
        """The trace in which it was submitted, 32 hexadecimal digits; None if no span was recorded then."""
        return trace_id_in(self.metadata)

    @property
    def limit(self) -> str | None:
        """The name of the limit that a waiting job waits for."""
        return None if self.bucket is None else limit_name(self.bucket)
