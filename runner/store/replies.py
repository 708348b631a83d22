"""Replies of the scripts, parsed into values. Pure functions over bytes; each script's header gives the order of the fields."""

from typing import Any, NamedTuple

from runner.clock import MICROSECONDS
from runner.errors import IncompatibleVersion, LeaseLost
from runner.jobs import Acceptance, StartedJob
from runner.store.answers import FinishAnswer, TakeAnswer
from runner.store.data_format import too_new, too_old

HeldEntry = tuple[int, bytes, bytes]
"""An entry that a blocking read returned: priority, entry id, job id. For Redis it is pending with this worker; the job is not started."""

_FIELDS_A_JOB = 8
_ACCEPTANCES = {acceptance.value.encode(): acceptance for acceptance in Acceptance}
_FINISH_ANSWERS = {answer.value.encode(): answer for answer in FinishAnswer}
"""The members by their words: for each job, to look one up is faster than to decode its word."""


class Claimed(NamedTuple):
    """What a claim started.

    `next_wake_us` is -1 when no job waits, or when the claim did not look. A `suspect` is a job that fails for good if it loses one
    more worker: the worker holds its entry, and claims it once it runs nothing else. With `alone` the claim has started a suspect.
    """

    jobs: list[StartedJob]
    next_wake_us: int
    dropped: int
    suspect: HeldEntry | None = None
    alone: bool = False


class Accepted(NamedTuple):
    """What a submission came to, for each job. If there was no room for all, `backlog` is the number of jobs that have not ended; else None."""

    states: list[Acceptance]
    backlog: int | None


class Released(NamedTuple):
    """What a refill did.

    `next_wake_us` is -1 when no job waits; `late_us` is how overdue the earliest wake was, and `lost_in_us` the time after which
    buckets lose tokens, being full, if no worker looks (-1: none does).
    """

    jobs: int
    next_wake_us: int
    late_us: int
    lost_in_us: int


class RecordedStart(NamedTuple):
    """One start as `record_starts` logs it: `at_us` is the instant, by Redis's clock, at which the attempt's tokens were taken."""

    job: str
    attempt: int
    at_us: int


def held_entries(reply: Any, priority_of: dict[bytes, int]) -> list[HeldEntry]:
    """The entries of an XREADGROUP reply; one without a job id keeps an empty one, and the claim drops it."""
    return [
        (priority_of[stream], entry, fields[1] if fields and fields[0] == b"id" else b"")
        for stream, rows in reply or ()
        for entry, fields in rows
    ]


def check_lease(worker: str, status: bytes) -> None:
    """Raises `LeaseLost` if claim.lua or heartbeat.lua says that the worker is unknown: its lease has lapsed."""
    if status == b"gone":
        raise LeaseLost(f"the lease of worker {worker} has lapsed; its jobs were given to others")


def claimed(worker: str, reply: list[Any]) -> Claimed:
    """The reply of claim.lua. Raises `LeaseLost`."""
    check_lease(worker, reply[0])
    fields = iter(reply[4:])
    jobs = [
        StartedJob(priority, entry, job_id.decode(), task.decode(errors="replace"), args, attempt, failures, limits.decode())
        for priority, entry, job_id, task, args, attempt, failures, limits in zip(*[fields] * _FIELDS_A_JOB, strict=True)
    ]
    if not reply[3]:
        return Claimed(jobs, reply[1], reply[2])
    priority, entry, job_id = reply[3]
    return Claimed(jobs, reply[1], reply[2], None if not entry else (priority, entry, job_id), not entry)


def check_versions(queue: str, reply: list[Any]) -> None:
    """Raises `IncompatibleVersion` if submit.lua or publish.lua refused the version of this library."""
    first = reply[0] if reply else None
    if first == b"outdated":
        raise IncompatibleVersion(too_old(queue, int(reply[1]), int(reply[2])))
    if first == b"early":
        raise IncompatibleVersion(too_new(queue, reply[1].decode(), int(reply[2])))


def accepted(queue: str, reply: list[Any], count: int) -> Accepted:
    """The reply of submit.lua for so many jobs. Raises `IncompatibleVersion`."""
    check_versions(queue, reply)
    backlog = reply.pop() if len(reply) > count else None
    return Accepted([_ACCEPTANCES[answer] for answer in reply], backlog)


def finish_answers(reply: list[bytes]) -> list[FinishAnswer]:
    """The reply of finish.lua."""
    return [_FINISH_ANSWERS[answer] for answer in reply]


def recorded_starts(rows: list[Any]) -> list[RecordedStart]:
    """The log of starts, as claim.lua writes it."""
    entries = [dict(zip(flat[::2], flat[1::2], strict=True)) for _, flat in rows]
    return [RecordedStart(fields[b"job"].decode(), int(fields[b"attempt"]), int(fields[b"now"])) for fields in entries]


class Decision(NamedTuple):
    """The answer to a request for tokens. `left` has for each bucket its tokens left and the seconds until its next one lands."""

    state: TakeAnswer
    wait_s: float | None
    bucket: str
    reason: str
    left: list[tuple[int, float]]


def decision(reply: list[Any]) -> Decision:
    """The reply of take.lua."""
    state, wait_us, bucket, reason, *left = reply
    pairs = [(tokens, max(next_us, 0) / MICROSECONDS) for tokens, next_us in zip(left[::2], left[1::2], strict=True)]
    return Decision(TakeAnswer(state.decode()), None if wait_us < 0 else wait_us / MICROSECONDS, bucket.decode(), reason.decode(), pairs)
