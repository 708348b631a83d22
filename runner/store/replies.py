"""Replies of the scripts, parsed into values. Pure functions over bytes; the order of fields is that of each script's header."""

import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

from runner.clock import MICROSECONDS
from runner.errors import IncompatibleVersion, LeaseLost
from runner.jobs import Acceptance, JobError, JobStatus, Priority, StartedJob, State
from runner.limits import BucketStatus, LimitStatus, Override, Pause, limit_of
from runner.store.answers import FinishAnswer, TakeAnswer
from runner.store.data_format import refusal, too_soon

HeldEntry = tuple[int, bytes, bytes]
"""An entry a blocking read brought: priority, entry id, job id. Redis counts it as ours; it is not started."""

_FIELDS_A_JOB = 8
_ACCEPTANCES = {acceptance.value.encode(): acceptance for acceptance in Acceptance}
_FINISH_ANSWERS = {answer.value.encode(): answer for answer in FinishAnswer}
"""The members by their words: for each job, to look one up is faster than to decode its word."""


class Claimed(NamedTuple):
    """What a claim brought.

    `next_wake_us` is -1 when nobody waits, or when the claim did not look. A `suspect` has lost so many workers that the next loss
    condemns it: it is held, to be claimed again once this worker runs nothing; or `alone` is true, and it is what was started.
    """

    jobs: list[StartedJob]
    next_wake_us: int
    dropped: int
    suspect: HeldEntry | None = None
    alone: bool = False


class Accepted(NamedTuple):
    """What a submission came to, for each job. `backlog` is the number of jobs that have not ended, if there was no room for all; else None."""

    states: list[Acceptance]
    backlog: int | None


class Released(NamedTuple):
    """What a refill did.

    `next_wake_us` is -1 when nobody waits; `late_us` is how overdue the earliest wake was found, and `lost_in_us` the time after
    which tokens are lost if nobody looks (-1: none are).
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
    """Raises `LeaseLost` if claim.lua or heartbeat.lua says that the worker is not known any more."""
    if status == b"gone":
        message = f"the lease of worker {worker} has lapsed; its jobs were given to others"
        raise LeaseLost(message)


def claimed(worker: str, reply: list[Any]) -> Claimed:
    """The reply of claim.lua. Raises `LeaseLost` if the worker is not known any more."""
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
        raise IncompatibleVersion(refusal(queue, int(reply[1]), int(reply[2])))
    if first == b"early":
        raise IncompatibleVersion(too_soon(queue, reply[1].decode(), int(reply[2])))


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


def job_status(job_id: str, answer: list[Any]) -> JobStatus | None:
    """One answer of get.lua; None if somebody has damaged the job's record so that nothing can be said of it."""
    try:
        return _job_status(job_id, *answer)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _job_status(job_id: str, flat: list[bytes], *place: Any) -> JobStatus:
    """The job's fields, then where it waits."""
    fields = {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}
    state = State(fields["state"].decode())
    reason = bucket = position = eta_us = None
    if place and state is State.queued:
        state = State.waiting
        reason, bucket, position, eta_us = place[0].decode(), place[1].decode(), place[2], place[3]
    elif place:
        reason, eta_us = place[0].decode(), place[3]
    elif state is State.running and ("cancel" in fields or fields.get("stopping", b"") == fields.get("attempt")):
        reason = "stopping"
    return JobStatus(
        id=job_id,
        task=fields.get("task", b"").decode(errors="replace"),
        state=state,
        reason=reason,
        bucket=bucket,
        position=position,
        eta_s=None if eta_us is None or eta_us < 0 else eta_us / MICROSECONDS,
        priority=Priority(int(fields.get("priority", 1))).name,
        attempt=int(fields.get("attempt", 0)),
        failures=int(fields.get("failures", 0)),
        crashes=int(fields.get("crashes", 0)),
        throttled=int(fields.get("throttled", 0)),
        cancel_requested="cancel" in fields and not state.is_final,
        submitted_at=_seconds(fields.get("submitted")),
        started_at=_seconds(fields.get("started")),
        finished_at=_seconds(fields.get("finished")),
        args=_arguments(fields.get("args")),
        result=_json(fields.get("result")),
        error=None if state is State.succeeded or "error" not in fields else JobError.of(json.loads(fields["error"])),
    )


def state(answer: bytes) -> State | None:
    """A state, or None for a job that is unknown or whose record is damaged."""
    try:
        return State(answer.decode(errors="replace"))
    except ValueError:
        return None


def limit_status(row: list[Any]) -> LimitStatus:
    """One row of limits.lua."""
    entry = json.loads(row[0])
    override, pause = entry.get("override") if row[1] else None, entry.get("paused")
    live = [
        BucketStatus(
            name.decode(),
            tokens,
            waiting,
            None if next_us < 0 else next_us / MICROSECONDS,
            frozen_us / MICROSECONDS,
            reason.decode() or None,
        )
        for name, tokens, waiting, next_us, frozen_us, reason in row[3:]
    ]
    frozen = {"frozen_s": row[2] / MICROSECONDS, "frozen_reason": entry.get("frozen_by") or None} if row[2] else {}
    return LimitStatus(
        code=limit_of(entry["code"]),
        override=override and Override(limit_of(override), _instant(override["at_us"]), _end(override.get("until_us")), override["reason"]),
        paused=pause and Pause(_instant(pause["at_us"]), pause["reason"]),
        buckets=live,
        **frozen,
    )


class Decision(NamedTuple):
    """What take.lua answers. `left` is, for each bucket asked for, its tokens left and the seconds until its next one lands."""

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


def _instant(microseconds: str) -> datetime:
    return datetime.fromtimestamp(int(microseconds) / MICROSECONDS, UTC)


def _end(microseconds: str | None) -> datetime | None:
    return None if microseconds is None else _instant(microseconds)


def _seconds(value: bytes | None) -> float | None:
    return None if value is None else int(value) / MICROSECONDS


def _arguments(value: bytes | None) -> Any:
    """What was submitted; as text if somebody has damaged it in Redis: the job can still be looked at."""
    try:
        return _json(value)
    except ValueError:
        return (value or b"").decode(errors="replace")


def _json(value: bytes | None) -> Any:
    return None if value is None else json.loads(value)
