"""Outcomes: decides what an attempt came to, by what its handler returned or raised and by the policy of its task. Logs failures.

Nothing that is asked of a handler's objects here can raise: whatever happens, an attempt has one outcome.
"""

import json
import logging
from collections.abc import Callable, Iterable

from runner.clock import MICROSECONDS, microseconds, milliseconds, wall_us
from runner.errors import AttemptDefeated, ConfigurationError, DeadlineExceeded, InternalError, InvalidResult, OutcomeError, ResultTooLarge
from runner.foreign import MOST_TEXT, Indented, indented, kind_of, on_one_line, text_of
from runner.jobs import Amendment, Attempt, Ending, Outcome, StartedJob, TaskDefinition, Throttle, Verdict, verdict
from runner.limits import Word
from runner.ranges import YEAR_S
from runner.settings import Settings
from runner.traces import trace_of
from runner.worker.child_errors import RaisedInChild
from runner.worker.ran import Amended, PastDeadline, Raised, Ran, Refused, Returned, TimedOut, Unreadable

log = logging.getLogger("runner")

_LONGEST_MS = milliseconds(YEAR_S)
_LONGEST_US = microseconds(YEAR_S)
"""Longer times come from a mistake, and Redis refuses the longest ones."""


_FAILED = frozenset({Ending.failed, Ending.retry})

AttemptFailed = Callable[[Attempt, BaseException, float | None], None]
"""Told of an attempt that has failed: its error, and the seconds until the next one; None: there is none."""


class Outcomes:
    """One method for each way in which an attempt can end. What the handler settled goes along with every outcome."""

    def __init__(self, settings: Settings, attempt_failed: AttemptFailed | None = None) -> None:
        self._attempt_failed = attempt_failed
        self._freeze_s = settings.freeze_s
        self._longest_freeze_s = settings.longest_freeze_s
        self._result_ttl_ms = settings.result_ttl_ms
        self._failed_ttl_ms = settings.failed_ttl_ms
        self._max_result_bytes = settings.max_result_bytes
        self._unknown: set[str] = set()

    def of(self, attempt: Attempt, task: TaskDefinition, ran: Ran) -> Outcome:
        """What a run comes to; hooks are told if it has failed. Raises nothing."""
        try:
            outcome = self._checked(attempt, self._decided(attempt, task, ran))
            if attempt.progress is not None:
                outcome = outcome._replace(progress=attempt.take_progress())
        except BaseException as error:  # noqa: BLE001 - an attempt without an outcome would stay `running` for ever
            outcome = self.defeated(attempt, OutcomeError(f"its outcome could not be worked out: {kind_of(error)}"))
        if outcome.ending is not Ending.succeeded and self._attempt_failed is not None and outcome.ending in _FAILED:
            retry_in_s = outcome.delay_us / MICROSECONDS if outcome.ending is Ending.retry else None
            self._attempt_failed(attempt, error_of(ran, outcome), retry_in_s)
        return outcome

    def unknown(self, attempt: Attempt) -> Outcome:
        """This worker's version has no such task: the attempt never began, and the job waits for a worker that has it."""
        job = attempt.job
        if job.task not in self._unknown:
            self._unknown.add(job.task)
            log.warning(
                "job %s is for task %s, which this worker does not have: it goes to one that has, or waits for one; this is said once a task",
                *(job.id, on_one_line(job.task)),
            )
        return Outcome(job, Ending.unknown, ttl_ms=self._failed_ttl_ms)

    def internal(self, job: StartedJob, error: BaseException) -> Outcome:
        """A dead letter by a defect of the worker itself, which is logged with its traceback."""
        log.critical(
            "a defect of the worker ended an attempt at job %s (%s), which is a dead letter now; please report it:\n%s",
            *(job.id, on_one_line(job.task), indented(trace_of(error))),
        )
        return self.defeated(Attempt(job), InternalError(f"a defect of the worker ended the attempt: {kind_of(error)}"))

    def defeated(self, attempt: Attempt, error: AttemptDefeated) -> Outcome:
        """A dead letter for a reason of the runner's own, made of nothing but what is certain to be there."""
        return self._failed(attempt, type(error).__name__, str(error))

    def _decided(self, attempt: Attempt, task: TaskDefinition, ran: Ran) -> Outcome:
        match ran:
            case Returned(value):
                return self._succeeded(attempt, task, value)
            case Refused(kind, text):
                return self._failed(attempt, kind, text)
            case Unreadable(refused):
                return self._unreadable(attempt, refused)
            case Amended(amendment):
                return self._amended(attempt, amendment)
            case TimedOut(timeout_s, error):
                return self._raised(attempt, task, error, f"took longer than its time-out of {timeout_s:g} s")
            case PastDeadline(error):
                text = f"its deadline passed while attempt {attempt.job.attempt} ran"
                return self._failed(attempt, DeadlineExceeded.__name__, text, trace_of(error))
            case Raised(error):
                return self._raised(attempt, task, error)

    def _succeeded(self, attempt: Attempt, task: TaskDefinition, value: object) -> Outcome:
        try:
            payload = task.arguments.encode_result(value)
        except InvalidResult as error:
            return self._failed(attempt, kind_of(error), text_of(error))
        except BaseException as error:  # noqa: BLE001 - serializers of models are the handler's code
            text = f"task {task.spec.name!r}: its result could not be made JSON: {kind_of(error)}: {text_of(error)}"
            return self._failed(attempt, InvalidResult.__name__, text)
        ttl_s = task.policy.result_ttl_s
        ttl_ms = self._result_ttl_ms if ttl_s is None else milliseconds(ttl_s)
        return Outcome(attempt.job, Ending.succeeded, payload, 0, ttl_ms, attempt.settled_text)

    def _amended(self, attempt: Attempt, amendment: Amendment) -> Outcome:
        job = attempt.job
        log.info(
            "job %s (%s) was submitted by another version of its task, and waits for what this one needs: %s, not %s",
            *(job.id, on_one_line(job.task), amendment.limits, job.limits or "nothing"),
        )
        return Outcome(job, Ending.amended, amendment.payload(), 0, self._result_ttl_ms)

    def _raised(self, attempt: Attempt, task: TaskDefinition, error: BaseException, message: str | None = None) -> Outcome:
        """What an error makes of the attempt; `message` in the place of the error's own text."""
        policy = task.policy.retry.within(attempt.job.deadline_us > 0)
        decided = error.verdict if isinstance(error, RaisedInChild) else verdict(error, policy, attempt.job.failures, _now_s())
        if decided.ending is Ending.throttled:
            found = _bucket_of(attempt, decided.throttles)
            if not isinstance(found, ConfigurationError):
                return self._throttled(attempt, task, *found)
            error = found
            decided = verdict(error, policy, attempt.job.failures, _now_s())
        kind, text, trace = _shown(decided.error, error)
        if message is not None and decided.error is error:
            text = message
        if decided.ending is Ending.failed:
            return self._failed(attempt, kind, text, trace)
        return self._retried(attempt, decided, kind, text, trace, policy.retries)

    def _throttled(self, attempt: Attempt, task: TaskDefinition, bucket: str, word: Word) -> Outcome:
        """The provider said wait, which is no failure: the bucket is frozen for all jobs, and this one returns to its place in line."""
        wait_s = -self._freeze_s if word.seconds is None else min(word.seconds, self._longest_freeze_s)  # see finish.lua
        most = task.policy.max_throttled or 0
        payload = _error("Throttled", f"the provider behind {bucket} said wait, {_for_how_long(word)}", "")
        return Outcome(
            attempt.job, Ending.throttled, payload, round(wait_s * MICROSECONDS), self._result_ttl_ms, attempt.settled_text, bucket, most
        )

    def _retried(self, attempt: Attempt, decided: Verdict, kind: str, message: str, trace: str, retries: int | None) -> Outcome:
        job = attempt.job
        log.warning(
            "job %s (%s) failed in attempt %d, retry %d of %s in %.1f s: %s: %s\n%s",
            *(job.id, on_one_line(job.task), job.attempt, job.failures + 1, "unlimited" if retries is None else retries, decided.delay_s),
            *(on_one_line(kind), on_one_line(message), indented(trace)),
        )
        # If the job was asked to stop, this attempt was its last: the error is then kept as long as a result.
        ttl_ms, payload = self._result_ttl_ms, _error(kind, message, trace)
        return Outcome(job, Ending.retry, payload, round(decided.delay_s * MICROSECONDS), ttl_ms, attempt.settled_text)

    def _unreadable(self, attempt: Attempt, refused: Refused) -> Outcome:
        """A worker of the job's own version runs it, if one lives; else it is a dead letter with this error."""
        job = attempt.job
        log.warning(
            "job %s (%s) is of another version of its task, whose workers run it; if none lives, it failed for good in attempt %d: %s: %s",
            *(job.id, on_one_line(job.task), job.attempt, on_one_line(refused.kind), on_one_line(refused.text)),
        )
        return Outcome(job, Ending.unknown, _error(refused.kind, refused.text, ""), 0, self._failed_ttl_ms, attempt.settled_text)

    def _failed(self, attempt: Attempt, kind: str, message: str, trace: str = "") -> Outcome:
        job = attempt.job
        log.error(
            "job %s (%s) failed for good in attempt %d: %s: %s%s",
            *(job.id, on_one_line(job.task), job.attempt, on_one_line(kind), on_one_line(message)),
            Indented(f"\n{indented(trace)}") if trace else "",
        )
        return Outcome(attempt.job, Ending.failed, _error(kind, message, trace), 0, self._failed_ttl_ms, attempt.settled_text)

    def _checked(self, attempt: Attempt, outcome: Outcome) -> Outcome:
        """The last gate before Redis: a payload and numbers that it can take."""
        size, most = len(outcome.payload), self._max_result_bytes
        if size > most:
            error = f"the result has {size} bytes of JSON, and may have {most} (max_result_bytes): store it elsewhere and return where"
            return self.defeated(attempt, ResultTooLarge(error))
        if 0 < outcome.ttl_ms <= _LONGEST_MS and abs(outcome.delay_us) <= _LONGEST_US:
            return outcome
        return outcome._replace(
            ttl_ms=min(max(outcome.ttl_ms, 1), _LONGEST_MS), delay_us=min(max(outcome.delay_us, -_LONGEST_US), _LONGEST_US)
        )


def _shown(decided: BaseException, raised: BaseException) -> tuple[str, str, str]:
    """The type and the text of the error that decided, and the traceback of the one that was raised."""
    if isinstance(decided, RaisedInChild):
        return decided.type, decided.text, decided.traceback
    return kind_of(decided), text_of(decided), trace_of(raised)


def _now_s() -> float:
    return wall_us() / MICROSECONDS


def _bucket_of(attempt: Attempt, throttles: Iterable[Throttle]) -> tuple[str, Word] | ConfigurationError:
    """The bucket of the first that names a limit of the task, and for how long; why there is none."""
    wrong: ConfigurationError | None = None
    for limit, word in throttles:
        try:
            return attempt.bucket(limit), word
        except ConfigurationError as unknown:
            wrong = wrong or unknown
    assert wrong is not None, "who is throttled was told so"
    return wrong


def _for_how_long(word: Word) -> str:
    if word.seconds is not None:
        return f"for {word.seconds:.3g} s"
    return "without saying how long" if word.unreadable is None else f"for a time that cannot be read: {word.unreadable}"


def defeat(outcome: Outcome, ending: Ending, error: AttemptDefeated, ttl_ms: int) -> Outcome:
    """A dead letter in the place of an outcome that does not get to Redis as it is."""
    return Outcome(outcome.job, ending, _error(type(error).__name__, str(error)[:MOST_TEXT], ""), 0, ttl_ms)


def error_of(ran: Ran, outcome: Outcome) -> BaseException:
    """What the handler raised; what stands for it if it raised nothing."""
    if isinstance(ran, Raised | TimedOut | PastDeadline):
        return ran.error
    fields = json.loads(outcome.payload)
    return AttemptDefeated(f"{fields['type']}: {fields['message']}")


def _error(kind: str, message: str, trace: str) -> bytes:
    fields = {"type": kind, "message": message}
    if trace:
        fields["traceback"] = trace
    return json.dumps(fields).encode()
