"""Outcomes: decides what an attempt came to, by what its handler returned or raised and by the policy of its task. Logs failures."""

import json
import logging
import traceback
from typing import Any

from runner.clock import MICROSECONDS, milliseconds, wall_us
from runner.errors import ConfigurationError, RateLimited
from runner.jobs import Attempt, Ending, Outcome, TaskDefinition
from runner.limits import retry_after_s
from runner.settings import Settings

log = logging.getLogger("runner")

_LARGEST_RESULT = 64_000_000
"""Bytes. Redis closes the connection at a few hundred million, and then the outcome could never be delivered."""
_LONGEST_MESSAGE = 2_000
_DEEPEST_TRACEBACK = 20


class Outcomes:
    """One method for each way in which an attempt can end. What the handler settled goes along with every outcome."""

    def __init__(self, settings: Settings) -> None:
        self._freeze_s = settings.freeze_s
        self._longest_freeze_s = settings.longest_freeze_s
        self._result_ttl_ms = settings.result_ttl_ms
        self._failed_ttl_ms = settings.failed_ttl_ms

    def succeeded(self, attempt: Attempt, task: TaskDefinition, value: Any) -> Outcome:
        """The handler returned. Raises `InvalidArguments` if the value does not fit the task's annotation."""
        payload = task.arguments.encode_result(value)
        if len(payload) > _LARGEST_RESULT:
            text = f"the result has {len(payload)} bytes of JSON, {_LARGEST_RESULT} at most are kept: store it elsewhere and return where"
            return self.failed(attempt, "ResultTooLarge", text)
        ttl_s = task.policy.result_ttl_s
        ttl_ms = self._result_ttl_ms if ttl_s is None else milliseconds(ttl_s)
        return Outcome(attempt.job, Ending.succeeded, payload, 0, ttl_ms, attempt.settled_text)

    def throttled(self, attempt: Attempt, task: TaskDefinition, error: RateLimited) -> Outcome:
        """The provider said wait, which is no failure: the bucket is frozen for all jobs, and this one returns to its place in line."""
        job = attempt.job
        try:
            bucket = attempt.bucket(error.limit)
        except ConfigurationError as unknown:
            return self.raised(attempt, task, unknown, str(unknown))
        said_s = retry_after_s(error.retry_after, wall_us() / MICROSECONDS)
        wait_s = min(self._freeze_s if said_s is None else said_s, self._longest_freeze_s)
        log.warning("job %s (%s): the provider behind %s said wait, for %.3g s", job.id, job.task, bucket, wait_s)
        return Outcome(job, Ending.throttled, b"", round(wait_s * MICROSECONDS), self._result_ttl_ms, attempt.settled_text, bucket)

    def raised(self, attempt: Attempt, task: TaskDefinition, error: BaseException, message: str) -> Outcome:
        """The handler raised: a retry after the back-off, or a dead letter if no retry is left."""
        job, kind, trace = attempt.job, type(error).__name__, _trace_of(error)
        retry = job.failures + 1
        if retry > task.policy.retries:
            return self.failed(attempt, kind, message, trace)
        delay_s = task.policy.backoff.delay_s(retry)
        log.warning(
            "job %s (%s) failed in attempt %d, retry %d of %d in %.1f s: %s: %s",
            job.id,
            job.task,
            job.attempt,
            retry,
            task.policy.retries,
            delay_s,
            kind,
            message,
        )
        # If the job was asked to stop, this attempt was its last: the error is then kept as long as a result.
        ttl_ms, payload = self._result_ttl_ms, _error(kind, message, trace)
        return Outcome(job, Ending.retry, payload, round(delay_s * MICROSECONDS), ttl_ms, attempt.settled_text)

    def failed(self, attempt: Attempt, kind: str, message: str, trace: str = "") -> Outcome:
        """A dead letter: no retry can help, or none is left."""
        job = attempt.job
        log.error("job %s (%s) failed for good in attempt %d: %s: %s", job.id, job.task, job.attempt, kind, message)
        return Outcome(job, Ending.failed, _error(kind, message, trace), 0, self._failed_ttl_ms, attempt.settled_text)


def text_of(error: BaseException) -> str:
    """The error's message, also if making it fails."""
    try:
        return str(error)
    except Exception as unprintable:  # noqa: BLE001 - `__str__` is the handler's code too
        return f"(no text: {type(unprintable).__name__})"


def _error(kind: str, message: str, trace: str) -> bytes:
    fields = {"type": kind, "message": _sendable(message)[:_LONGEST_MESSAGE]}
    if trace:
        fields["traceback"] = _sendable(trace)[-4 * _LONGEST_MESSAGE :]
    return json.dumps(fields).encode()


def _sendable(text: str) -> str:
    """The text without lone surrogates, which UTF-8 cannot encode."""
    return text.encode(errors="backslashreplace").decode()


def _trace_of(error: BaseException) -> str:
    """The handler's part of the traceback."""
    return "".join(traceback.format_exception(error, limit=-_DEEPEST_TRACEBACK))
