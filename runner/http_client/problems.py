"""From the problem documents of a service (RFC 9457) to the errors that `Client` raises."""

import json
import re
from collections.abc import Mapping
from typing import Any

from runner.clock import MICROSECONDS, wall_us
from runner.errors import (
    AlreadyFinished,
    ArgumentsTooLarge,
    BacklogFull,
    CannotRetry,
    ConfigurationError,
    DamagedQueue,
    DuplicateJob,
    ExceedsCapacity,
    Forbidden,
    IncompatibleVersion,
    IncompleteCatalog,
    InvalidArguments,
    InvalidJobId,
    InvalidOption,
    InvalidSchedule,
    JobIdConflict,
    MissingExtra,
    NoResult,
    NotEnded,
    RunnerError,
    ScheduleConflict,
    ServiceUnavailable,
    StartOutOfRange,
    StoreFull,
    StoreUnavailable,
    SubmissionRefused,
    TaskServed,
    TooManyRequests,
    Unauthenticated,
    UnknownJob,
    UnknownLimit,
    UnknownParent,
    UnknownSchedule,
    UnknownTask,
)
from runner.http_client.transport import Answer
from runner.jobs import BatchNotOpen, CountChanged, DeadlineOutOfReach, TooManyBulks
from runner.limits import read

MEDIA_TYPE = "application/problem+json"
ERRORS: Mapping[str, type[RunnerError]] = {
    "already-finished": AlreadyFinished,
    "arguments-too-large": ArgumentsTooLarge,
    "batch-not-open": BatchNotOpen,
    "body-too-large": ArgumentsTooLarge,
    "busy": ServiceUnavailable,
    "cannot-retry": CannotRetry,
    "count-changed": CountChanged,
    "damaged-queue": DamagedQueue,
    "deadline-out-of-reach": DeadlineOutOfReach,
    "duplicate-key": InvalidArguments,
    "duplicate-job": DuplicateJob,
    "exceeds-capacity": ExceedsCapacity,
    "forbidden": Forbidden,
    "id-conflict": JobIdConflict,
    "impossible-limit": ConfigurationError,
    "incomplete-catalog": IncompleteCatalog,
    "internal-error": RunnerError,
    "invalid-encoding": InvalidArguments,
    "invalid-id": InvalidJobId,
    "invalid-json": InvalidArguments,
    "invalid-number": InvalidArguments,
    "json-too-deep": InvalidArguments,
    "missing-extra": MissingExtra,
    "no-result": NoResult,
    "not-ended": NotEnded,
    "not-found": UnknownJob,
    "outdated-service": IncompatibleVersion,
    "overloaded": StoreFull,
    "run-at-out-of-range": StartOutOfRange,
    "bad-schedule": InvalidSchedule,
    "schedule-conflict": ScheduleConflict,
    "unknown-schedule": UnknownSchedule,
    "store-unavailable": StoreUnavailable,
    "task-served": TaskServed,
    "too-many-bulks": TooManyBulks,
    "too-many-requests": TooManyRequests,
    "too-many-streams": ServiceUnavailable,
    "too-many-values": InvalidArguments,
    "unauthenticated": Unauthenticated,
    "unknown-limit": UnknownLimit,
    "unknown-parent": UnknownParent,
    "unknown-task": UnknownTask,
    "validation": InvalidOption,
}
"""What each kind of problem is for a caller in Python. One without an entry says that the URL or this client is wrong."""
REFUSED_QUESTION: Mapping[str, type[RunnerError]] = {"validation": ConfigurationError}
"""Of what asks, and submits nothing: what it refuses is no job."""
_TEMPORARY = frozenset({"busy", "store-unavailable", "too-many-requests", "too-many-streams"})
"""Kinds that end by themselves: the same request may be answered a moment later."""
_OF_A_PROXY = frozenset({429, 502, 503, 504})
_PLACE = re.compile(r"#(?:/jobs/(\d+))?(?:/(\w+))?")


class Problem:
    """What an answer that is no success says."""

    def __init__(self, answer: Answer, url: str) -> None:
        self._answer = answer
        self._url = url
        self._document = _document(answer)
        self.kind = str(self._document.get("type", "")).rpartition("/")[2]
        after = answer.headers.get("retry-after")
        self.retry_after_s = None if after is None else read(after, wall_us() / MICROSECONDS).seconds

    @property
    def is_temporary(self) -> bool:
        """Whether the request should be sent again after a while."""
        return self.kind in _TEMPORARY if self.kind else self._answer.status in _OF_A_PROXY

    @property
    def is_before_all(self) -> bool:
        """Whether nothing at all was done of what was asked."""
        return self._answer.status == 429 or self.kind in ("busy", "too-many-streams")

    def error(self, instead: Mapping[str, type[RunnerError]] | None = None) -> RunnerError:
        """The error to raise; `instead` of its kind's, where a request gives a kind another meaning."""
        if not self.kind:
            return self._foreign()
        kind, detail = self.kind, str(self._document.get("detail", ""))
        faults = self._document.get("errors") or [{}]
        place = _PLACE.match(str(faults[0].get("pointer", "#")))
        if kind == "batch-invalid":
            kind = str(faults[0].get("type", "/validation")).rpartition("/")[2]
            detail = str(faults[0].get("detail", detail))
        cls = (instead or {}).get(kind) or self._class_of(kind, None if place is None else place[2])
        if kind == "overloaded" and "backlog" in self._document:
            return _backlog_full(detail, self._document)
        if issubclass(cls, Forbidden):
            return Forbidden(detail, _scope_of(self._answer.headers.get("www-authenticate", "")))
        error = cls(detail)
        if isinstance(error, DuplicateJob):
            error.job_id = str(self._document.get("job", ""))
        if isinstance(error, DeadlineOutOfReach):
            error.earliest_s = float(self._document.get("earliest_s", 0.0))
        if isinstance(error, ServiceUnavailable):
            error.retry_after_s = self.retry_after_s
        if isinstance(error, SubmissionRefused) and place is not None and place[1]:
            error.index = int(place[1])
        return error

    def _class_of(self, kind: str, field: str | None) -> type[RunnerError]:
        if kind == "validation" and field == "args":
            return InvalidArguments
        if kind == "validation" and field in ("delay", "run_at"):
            return StartOutOfRange
        return ERRORS.get(kind, ConfigurationError)

    def _foreign(self) -> RunnerError:
        """Of an answer that no service of this library gave."""
        status = self._answer.status
        if status in _OF_A_PROXY:
            cls = TooManyRequests if status == 429 else ServiceUnavailable
            error = cls(f"what is in front of the service at {self._url} answers {status}, and the service is not reached")
            error.retry_after_s = self.retry_after_s
            return error
        to = self._answer.headers.get("location", "")
        redirect = f" and leads to {to[:200]!r}" if 300 <= status < 400 and to else ""
        return ConfigurationError(
            f"{self._url} answers {status}{redirect}, which is no answer of a queue's service: give the URL under which it is served,"
            " with its prefix if it has one"
        )


def _document(answer: Answer) -> dict[str, Any]:
    if not answer.headers.get("content-type", "").startswith(MEDIA_TYPE):
        return {}
    try:
        document = json.loads(answer.body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _backlog_full(detail: str, document: Mapping[str, Any]) -> BacklogFull:
    error = BacklogFull("", document["backlog"], document["max_backlog"], document["refused"])
    error.args = (detail,)
    return error


def _scope_of(challenge: str) -> str:
    found = re.search(r'scope="([a-z:]+)"', challenge)
    return "" if found is None else found[1]
