"""The life of a job as an answer tells it: as pieces of time, and as what happened. Made of what its status keeps, which is not everything. No I/O."""

from typing import Any

from runner import AttemptRecord, JobStatus, State
from runner.http.instants import utc

_SHORTEST_S = 0.001
"""What is kept of attempts is rounded to milliseconds: a shorter piece may be none."""


def story_document(status: JobStatus) -> dict[str, Any]:
    """As `Story` describes it: from the submission to the end, or to the piece that lasts still."""
    if status.submitted_at is None:
        return {"events": [], "spans": []}  # its record is damaged
    telling = _Telling(status, status.submitted_at)
    for record in status.attempts:
        telling.failed(record)
    if status.started_at is not None and status.attempt > telling.attempt:
        telling.latest(status.started_at)
    telling.end()
    return {"events": telling.events, "spans": telling.spans}


class _Telling:
    """A story as it is told, in the order of time."""

    def __init__(self, status: JobStatus, submitted_at: float) -> None:
        self._status = status
        self._told_s = submitted_at
        self._is_open = False
        self.attempt = 0
        """The last one that was told of."""
        self.events: list[dict[str, Any]] = []
        self.spans: list[dict[str, Any]] = []
        self._event(submitted_at, "submitted", "Submitted", status.task)

    def failed(self, one: AttemptRecord) -> None:
        """A failed attempt that is kept, and what was before it."""
        self._idle(one.started_at, one.attempt)
        self._event(one.started_at, "running", f"Attempt {one.attempt} on {one.worker}")
        ended_s = one.started_at + one.ran_s
        self._span("failed", ended_s, f"attempt {one.attempt}", attempt=one.attempt, worker=one.worker)
        self._event(ended_s, "failed", f"Attempt {one.attempt} failed", ": ".join(filter(None, (one.type, one.message))))
        self.attempt = one.attempt

    def latest(self, started_s: float) -> None:
        """The latest attempt, which runs, or has ended in another way than those that are kept."""
        status, number = self._status, self._status.attempt
        self._idle(started_s, number)
        self._event(started_s, "running", f"Attempt {number}" + (f" on {status.worker}" if status.worker else ""))
        self.attempt, more = number, {"attempt": number, "worker": status.worker}
        if status.ready_at is None or status.ready_at <= started_s:
            self._span("running", status.finished_at, f"attempt {number}", **more)
            return
        told, why = ("throttled", "Told to wait by its provider") if status.throttled else ("running", "To be run again")
        self._span(told, status.ready_at, f"attempt {number}", **more)
        self._event(status.ready_at, told, why)

    def end(self) -> None:
        """What it waits for now, or its end."""
        status = self._status
        if not self._is_open:
            self._idle(status.finished_at, self.attempt + 1)
        if status.finished_at is None:
            return
        is_told = bool(status.attempts) and status.attempts[-1].attempt == status.attempt
        error = None if status.error is None or is_told else f"{status.error.type}: {status.error.message}"
        self._event(status.finished_at, status.state, status.state.capitalize(), error)

    def _idle(self, until_s: float | None, attempt: int) -> None:
        """What was between an attempt and the next that is told of, or is still."""
        due_s, lost = self._status.ready_at, attempt - self.attempt - 1
        if lost > 0:
            which = f"attempt {attempt - 1}" if lost == 1 else f"attempts {self.attempt + 1} to {attempt - 1}"
            before, text = "unknown", f"{which}, of which nothing is kept"
        else:
            before, text = "scheduled", "before it is due"
        if due_s is not None and self._told_s < due_s and (until_s is None or due_s <= until_s):
            self._span(before, due_s, text)
        elif lost > 0 or (until_s is None and self._status.state is State.scheduled):
            self._span(before, until_s, text)
            return
        self._span("waiting", until_s, "in line", bucket=self._status.bucket if until_s is None else None)

    def _span(self, what: str, until_s: float | None, text: str, **more: Any) -> None:
        self._is_open = until_s is None
        if until_s is not None and until_s - self._told_s < _SHORTEST_S:
            return
        piece = {"what": what, "from": utc(self._told_s), "to": utc(until_s), "text": text, "attempt": None, "worker": None, "bucket": None}
        self.spans.append(piece | more)
        self._told_s = until_s or self._told_s

    def _event(self, at_s: float, what: str, text: str, detail: str | None = None) -> None:
        self.events.append({"at": utc(at_s), "what": what, "text": text, "detail": detail or None})
