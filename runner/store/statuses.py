"""Jobs and limits as they stand in Redis, parsed into the values that readers get. Pure functions over bytes."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from runner.clock import MICROSECONDS, seconds_or_none
from runner.jobs import AttemptRecord, JobError, JobStatus, Pausable, Priority, Progress, State, metadata_in, progress_of
from runner.limits import BucketStatus, LimitStatus, Override, Pause, ProviderCount, Reset, decode_needs, limit_of, pool_of
from runner.outlook import Estimate, Wait
from runner.store.pauses import pause_of
from runner.store.text import decoded

_FIELDS = (
    *("state", "reason", "limits", "line", "task", "priority", "attempt", "failures", "crashes", "throttled", "cancel", "stopping"),
    *("submitted", "started", "finished", "deadline", "progress", "tags"),
    *("attempts", "metadata", "worker", "ready", "args", "error", "result"),
)
"""The order in which get.lua answers."""
_TIMED = 3
_WAITS = 4
"""The parts of an answer about a job that waits."""
_PAUSED = 4
"""What is told of one that is paused, after its fields."""
_ASIDE = 5
"""The same of one whose line waits for a free slot of its pool: its place there and why, and nothing else."""


class Depth(StrEnum):
    """How much of a job is read: where it stands; its error too; its arguments too; its result too."""

    state = "state"
    listed = "listed"
    status = "status"
    full = "full"


class Heavy(NamedTuple):
    """In the place of a job that has so many bytes that it is to be asked for by itself."""

    bytes: int


class StoredResult(NamedTuple):
    """The JSON of a result, and when its job ended: another end has another result."""

    ended: bytes
    data: bytes


def waits(answers: Sequence[list[Any] | int | None]) -> dict[int, Wait]:
    """The jobs among the answers of get.lua that wait in a line, by their place in the answer; without those whose needs are damaged."""
    found = {}
    for at, answer in enumerate(answers):
        if isinstance(answer, list) and len(answer) == _WAITS:
            with suppress(ValueError):
                found[at] = Wait(decoded(answer[3]), answer[1], decode_needs(decoded(answer[2])))
    return found


def is_timed(answer: list[Any] | int | None) -> bool:
    """Whether the job waits for an instant: of a delay, or of its next attempt."""
    return isinstance(answer, list) and len(answer) == _TIMED


def task_of(answer: list[Any]) -> str:
    """The task of a job, from one answer of get.lua."""
    return decoded(answer[0][_FIELDS.index("task")] or b"")


def job_status(job_id: str, answer: list[Any], outlook: Estimate | None = None, runs_us: int | None = None) -> JobStatus | None:
    """One answer of get.lua, and when the job starts if it waits, and for how long it runs; None if its record is damaged so much that it says nothing."""
    try:
        return _job_status(job_id, outlook, runs_us, *answer)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _job_status(job_id: str, outlook: Estimate | None, runs_us: int | None, values: list[Any], *place: Any) -> JobStatus:
    """The job's fields, then that it waits, until when it is scheduled, that no worker can run it, or what is paused."""
    fields = {name: value for name, value in zip(_FIELDS, values, strict=False) if value is not None}
    result = fields.get("result")
    is_left_out = isinstance(result, int)
    state = State(decoded(fields["state"]))
    reason = bucket = position = eta_us = pause = shared = None
    if len(place) == _PAUSED:
        state, reason, pause = State.waiting, decoded(place[0]), pause_of(list(place[1:]))
        bucket = pause.name if pause is not None and pause.what is Pausable.key else None
    elif len(place) == _ASIDE:
        state, position, reason = State.waiting, place[0] + 1, decoded(place[1])
    elif len(place) == _WAITS - 1:
        state = State.waiting
        if outlook is not None:
            reason, bucket, position, eta_us, shared = outlook
    elif len(place) == 1:
        reason = decoded(place[0])
        state = State.waiting if state is State.scheduled else state
    elif len(place) == _TIMED - 1:
        reason, eta_us = decoded(place[0]), place[1]
    elif state is State.running and ("cancel" in fields or fields.get("stopping", b"") == fields.get("attempt")):
        reason = "stopping"
    return JobStatus(
        id=job_id,
        task=decoded(fields.get("task", b"")),
        state=state,
        reason=reason,
        bucket=bucket,
        position=position,
        eta_s=seconds_or_none(eta_us),
        shared=shared,
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
        result=None if is_left_out else _json(result),
        result_bytes=result if is_left_out or result is None else len(result),
        attempts=_attempts(fields.get("attempts")),
        pool=pool_of(decoded(fields.get("line", b""))),
        deadline_at=_seconds(fields.get("deadline")),
        progress=_progress(fields.get("progress"), int(fields.get("attempt", 0))),
        pause=pause,
        tags=tuple(decoded(fields.get("tags", b"")).split()),
        worker=decoded(fields["worker"]) if "worker" in fields else None,
        ready_at=_seconds(fields.get("ready")),
        costs=_costs(fields.get("limits")),
        metadata=metadata_in(fields.get("metadata", b"")),
        end_eta_s=None if eta_us is None or runs_us is None else (eta_us + runs_us) / MICROSECONDS,
        error=None if state is State.succeeded or "error" not in fields else JobError.of(json.loads(fields["error"])),
    )


def state(answer: bytes) -> State | None:
    """A state, or None for a job that is unknown or whose record is damaged."""
    try:
        return State(decoded(answer))
    except ValueError:
        return None


def provider_count(told: Sequence[Any]) -> ProviderCount | None:
    """What a provider said, as observed.lua tells it; None if nobody tells."""
    return ProviderCount(int(told[0]), int(told[1]), _instant(told[2]), int(told[3])) if told else None


def limit_status(row: list[Any]) -> LimitStatus:
    """One row of limits.lua."""
    entry = json.loads(row[0])
    override, pause, reset = entry.get("override") if row[1] else None, entry.get("paused"), entry.get("reset")
    live = [
        BucketStatus(
            decoded(name),
            tokens,
            waiting,
            None if next_us < 0 else next_us / MICROSECONDS,
            frozen_us / MICROSECONDS,
            decoded(reason) or None,
            bool(is_estimate),
            provider_count(told),
            int(needed),
        )
        for name, tokens, waiting, is_estimate, next_us, frozen_us, reason, told, needed in row[8:]
    ]
    frozen = {"frozen_s": row[2] / MICROSECONDS, "frozen_reason": entry.get("frozen_by") or None} if row[2] else {}
    return LimitStatus(
        code=limit_of(entry["code"]),
        override=override and override_of(override),
        paused=pause and limit_pause_of(pause),
        buckets=live,
        waiting_buckets=row[3],
        waiting=row[4],
        waiting_is_estimate=bool(row[5]),
        started=int(row[6]),
        unserved=int(row[7]),
        reset=reset and Reset(_instant(reset["at_us"]), reset["bucket"], reset["reason"]),
        **frozen,
    )


def override_of(record: Mapping[str, Any]) -> Override:
    """Numbers that an operator put in force, as the catalog has them."""
    return Override(
        limit_of(record), _instant(record["at_us"]), _end(record.get("until_us")), record["reason"], str(record.get("by") or "")
    )


def limit_pause_of(record: Mapping[str, Any]) -> Pause:
    """The pause of a limit, as the catalog has it."""
    return Pause(_instant(record["at_us"]), record["reason"], str(record.get("by") or ""))


def _instant(microseconds: str) -> datetime:
    return datetime.fromtimestamp(int(microseconds) / MICROSECONDS, UTC)


def _end(microseconds: str | None) -> datetime | None:
    return None if microseconds is None else _instant(microseconds)


def _seconds(value: bytes | None) -> float | None:
    return None if value is None else int(value) / MICROSECONDS


def _attempts(value: bytes | None) -> tuple[AttemptRecord, ...]:
    """None, if they are damaged in Redis."""
    if value is None:
        return ()
    with suppress(TypeError, ValueError):
        return tuple(map(AttemptRecord.of, json.loads(value)))
    return ()


def _progress(value: bytes | None, attempt: int) -> Progress | None:
    """None, if it is damaged in Redis, or of an attempt before."""
    if value is None:
        return None
    with suppress(TypeError, ValueError):
        return progress_of(json.loads(value), attempt)
    return None


def _costs(value: bytes | None) -> dict[str, int]:
    """None, if its needs are damaged in Redis."""
    with suppress(ValueError):
        return {need.bucket: need.cost for need in decode_needs(decoded(value or b""))}
    return {}


def _arguments(value: bytes | None) -> Any:
    """The arguments of the submission. As text if they are damaged in Redis, so that the rest of the job can still be shown."""
    try:
        return _json(value)
    except ValueError:
        return decoded(value or b"")


def _json(value: bytes | None) -> Any:
    return None if value is None else json.loads(value)
