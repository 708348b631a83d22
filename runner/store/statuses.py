"""Jobs and limits as they stand in Redis, parsed into the values that readers get. Pure functions over bytes."""

import json
from datetime import UTC, datetime
from typing import Any

from runner.clock import MICROSECONDS
from runner.jobs import JobError, JobStatus, Priority, State
from runner.limits import BucketStatus, LimitStatus, Override, Pause, limit_of


def job_status(job_id: str, answer: list[Any]) -> JobStatus | None:
    """One answer of get.lua; None if the job's record is damaged so much that it says nothing."""
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


def _instant(microseconds: str) -> datetime:
    return datetime.fromtimestamp(int(microseconds) / MICROSECONDS, UTC)


def _end(microseconds: str | None) -> datetime | None:
    return None if microseconds is None else _instant(microseconds)


def _seconds(value: bytes | None) -> float | None:
    return None if value is None else int(value) / MICROSECONDS


def _arguments(value: bytes | None) -> Any:
    """The arguments of the submission. As text if they are damaged in Redis, so that the rest of the job can still be shown."""
    try:
        return _json(value)
    except ValueError:
        return (value or b"").decode(errors="replace")


def _json(value: bytes | None) -> Any:
    return None if value is None else json.loads(value)
