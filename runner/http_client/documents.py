"""From the JSON of the service's answers to the values that `Client` returns."""

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from runner.access import AuditLine
from runner.clock import milliseconds
from runner.errors import ConfigurationError
from runner.http_client.transport import Answer
from runner.jobs import (
    Acceptance,
    AttemptRecord,
    BatchProgress,
    DeadLetterGroup,
    Foresight,
    HistoryRow,
    HistoryStep,
    JobCounts,
    JobError,
    JobEvent,
    JobStatus,
    Pausable,
    PauseStatus,
    Progress,
    ScheduleStatus,
    Series,
    Spans,
    Spending,
    SpentBy,
    SpentRow,
    State,
    TaskSpec,
    TaskStatus,
)
from runner.limits import (
    BucketStatus,
    LimitStatus,
    Override,
    Pause,
    ProviderCount,
    QueuePace,
    Reset,
    Unit,
    limit_of_document,
    shared_status_of,
)
from runner.names import DEFAULT_POOL
from runner.store import PoolStatus, ServerFacts, WorkerStatus

Document = Mapping[str, Any]


def told(kind: type[Any], document: Document) -> dict[str, Any]:
    """Of a document, the fields that this version has in that class: a newer service may tell more."""
    names = getattr(kind, "_fields", None) or kind.__dataclass_fields__
    return {name: document[name] for name in names if name in document}


def json_of(answer: Answer) -> Any:
    """The JSON of a success. Raises `ConfigurationError` for an answer that has none."""
    try:
        return json.loads(answer.body)
    except ValueError:
        said = answer.body[:80].decode(errors="replace")
        raise ConfigurationError(f"what answers {answer.status} is no queue's service: it says {said!r}, which is no JSON") from None


def job_of(document: Document) -> JobStatus:
    """A job, from `Job`."""
    error, progress, same = (
        document.get("error"),
        document.get("progress"),
        dict[str, Any]({name: document[name] for name in _SAME if name in document}),
    )
    return JobStatus(
        **same,
        state=State(document["state"]),
        submitted_at=_seconds(document.get("submitted_at")),
        ready_at=_seconds(document.get("ready_at")),
        started_at=_seconds(document.get("started_at")),
        finished_at=_seconds(document.get("finished_at")),
        error=None if error is None else JobError.of(error),
        attempts=tuple(
            AttemptRecord(**{**told(AttemptRecord, one), "started_at": _seconds(one["started_at"])}) for one in document.get("attempts", ())
        ),
        deadline_at=_seconds(document.get("deadline_at")),
        progress=None if progress is None else Progress(**{**told(Progress, progress), "at": _seconds(progress["at"])}),
        pause=None if document.get("pause") is None else pause_of(document["pause"]),
        shared=_pace_of(document),
        tags=tuple(document.get("tags", ())),
        metadata=document.get("metadata", {}),
    )


def foresight_of(document: Document) -> Foresight:
    """What would become of a job, from `ForeseenJob`."""
    known = {name: document[name] for name in _FORESEEN if name in document}
    pause = None if document.get("pause") is None else pause_of(document["pause"])
    return Foresight(
        **{**known, "id": document["id"] or None, "state": Acceptance(document["state"]), "pause": pause, "shared": _pace_of(document)}
    )


def _pace_of(document: Document) -> QueuePace | None:
    shared = document.get("shared")
    return None if shared is None else QueuePace(**told(QueuePace, shared))


_FORESEEN = ("task", "reason", "bucket", "position", "eta_s", "end_eta_s", "earliest_s", "run_s")


def pause_of(document: Document) -> PauseStatus:
    """A pause, from `Pause`."""
    since_at, until_at = _seconds(document["since_at"]), _seconds(document.get("until_at"))
    by, reason, unaware = document["by"], document["reason"], document.get("unaware_workers", 0)
    return PauseStatus(Pausable(document["what"]), document["name"], by, reason, since_at or 0.0, until_at, unaware)


_SAME = (
    *("id", "task", "reason", "bucket", "position", "eta_s", "end_eta_s", "priority", "attempt", "failures", "crashes", "throttled"),
    *("cancel_requested", "args", "result", "result_bytes", "pool", "worker", "costs"),
)


def jobs_found(answer: Answer) -> list[JobStatus | None]:
    """Jobs that were asked for by their ids."""
    return [None if document is None else job_of(document) for document in json_of(answer)["jobs"]]


def batch_of(document: Document) -> BatchProgress:
    """How far a batch is."""
    fields: dict[str, Any] = {name: _seconds(value) if name.endswith("_at") else value for name, value in document.items()}
    return BatchProgress(**fields)


def event_of(event_id: str, document: Document) -> JobEvent:
    """The end of a job."""
    at = _seconds(document["at"])
    assert at is not None, "every end has its time"
    return JobEvent(
        event_id, document["id"], document["task"], State(document["state"]), document["attempt"], at, missed=document.get("missed", False)
    )


def task_of(document: Document) -> TaskStatus:
    """A task, whose spec has what the service tells of it: the form of its arguments and the weights of others are not told."""
    fault = document.get("fault")
    spec = TaskSpec(
        document["name"],
        document["parameters"],
        tuple(document["limits"]),
        document["cost"],
        document["priority"],
        document["description"],
        fair_by=document.get("fair_by"),
        max_wait=document.get("max_wait"),
        deadline=document.get("deadline"),
        on_expiry=document.get("on_expiry", "expire"),
        keep={state: milliseconds(seconds) for state, seconds in document.get("keep", {}).items()},
        by_code_only=tuple(document.get("by_code_only", ())),
        unique=document.get("unique"),
        pool=document.get("pool", DEFAULT_POOL),
    )
    return TaskStatus(
        document["name"],
        None if fault is not None else spec,
        document["served"],
        _seconds(document.get("served_until")),
        document.get("held", 0),
        fault,
    )


def worker_of(document: Document) -> WorkerStatus:
    """A worker."""
    lists = {"tasks": tuple(document.get("tasks", ())), "pools": tuple(document.get("pools", (DEFAULT_POOL,)))}
    return WorkerStatus(
        **{**told(WorkerStatus, document), **lists, **{name: _seconds(document.get(name)) for name in ("enlisted_at", "renewed_at")}}
    )


def server_of(document: Document) -> ServerFacts:
    """The server of a queue."""
    return ServerFacts(**told(ServerFacts, document))


def pool_of(document: Document) -> PoolStatus:
    """A pool."""
    return PoolStatus(**{**told(PoolStatus, document), "used_at": _seconds(document.get("used_at"))})


def limit_status_of(document: Document) -> LimitStatus:
    """A limit as it stands."""
    name, override, paused, reset = (document[field] for field in ("name", "override", "paused", "reset"))
    return LimitStatus(
        limit_of_document(name, document["code"]),
        override and override_of(name, override),
        paused and limit_pause_of(paused),
        [_bucket_of(bucket) for bucket in document["buckets"]],
        document["frozen_s"],
        document["frozen_reason"],
        reset and Reset(_instant(reset["at"]), reset["bucket"], reset["reason"]),
        document["waiting_buckets"],
        document["waiting"],
        document["waiting_is_estimate"],
        document.get("started", 0),
        document.get("unserved", 0),
        shared=shared_status_of(document["shared"]) if document.get("shared") else None,
    )


def _bucket_of(document: Document) -> BucketStatus:
    return BucketStatus(**{**told(BucketStatus, document), "provider": provider_of(document)})


def provider_of(document: Document) -> ProviderCount | None:
    """What its provider has said of a bucket."""
    told = document.get("provider")
    return None if told is None else ProviderCount(told["left"], told["had"], instant_of(told["at"]), told.get("lowered", 0))


def override_of(name: str, document: Document) -> Override:
    """Numbers that an operator put in force."""
    since, until = instant_of(document["since"]), _instant(document["until"])
    return Override(limit_of_document(name, document["policy"]), since, until, document["reason"], document.get("by", ""))


def limit_pause_of(document: Document) -> Pause:
    """The pause of a limit."""
    return Pause(instant_of(document["since"]), document["reason"], document.get("by", ""))


def job_counts_of(document: Document) -> JobCounts:
    """How many jobs there are."""
    return JobCounts(**{**told(JobCounts, document), "succeeded_since": _seconds(document["succeeded_since"])})


def group_of(document: Document) -> DeadLetterGroup:
    """Dead letters of one task and error."""
    return DeadLetterGroup(
        **{**told(DeadLetterGroup, document), "first_at": _seconds(document["first_at"]), "last_at": _seconds(document["last_at"])}
    )


def audit_line_of(document: Document) -> AuditLine:
    """A line of the audit."""
    return AuditLine(**told(AuditLine, document) | {"at": _seconds(document["at"])})


def schedule_of(document: Document) -> ScheduleStatus:
    """A schedule as it stands."""
    paused = document["paused"] and document["paused"] | {"at": _seconds(document["paused"]["at"])}
    instants = {name: _seconds(document[name]) for name in ("next_at", "last_at", "last_ended_at", "queued_at")}
    return ScheduleStatus.from_document({**document, **instants, "paused": paused})


def series_of(document: Document) -> Series:
    """A series of the history."""
    rows = [
        HistoryRow(**{**told(HistoryRow, row), "at": _seconds(row["at"]), "waited": _spans(row["waited"]), "ran": _spans(row["ran"])})
        for row in document["rows"]
    ]
    return Series(document["series"], HistoryStep(document["step"]), tuple(rows), document["missing_minutes"])


def spending_in(document: Document) -> Spending:
    """What was spent of a budget."""
    rows = tuple(
        SpentRow(row["name"], row["tokens"], {date.fromisoformat(day): tokens for day, tokens in row["days"].items()})
        for row in document["rows"]
    )
    first, last = date.fromisoformat(document["first"]), date.fromisoformat(document["last"])
    return Spending(document["limit"], Unit(document["unit"], document["scale"]), SpentBy(document["by"]), first, last, rows)


def _spans(document: Document) -> Spans:
    return Spans({int(octave): number for octave, number in document["octaves"].items()})


def instant_of(text: str) -> datetime:
    """An instant, as JSON has it."""
    return datetime.fromisoformat(text)


def _instant(text: Any) -> Any:
    return text and datetime.fromisoformat(text)


def _seconds(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()
