"""The exception tree. Each message says what happened, with which value, and what to do."""


class RunnerError(Exception):
    """Base of everything this library raises on purpose."""


class ConfigurationError(RunnerError):
    """A setting, a limit or a task declaration that can never work."""


class InvalidSchedule(ConfigurationError):
    """A schedule that can never work: its cron expression, interval, time zone or another of its options."""


class UnknownSchedule(RunnerError, LookupError):
    """No schedule of this name on this queue."""


class ScheduleConflict(RunnerError):
    """The code declares the schedule of this name, so it is not changed at run time; or others change it all the time."""


class StartFailed(RunnerError):
    """The lifespan of an app could not be entered: its worker never was one, and took no job. `__cause__` is what was raised there."""


class MissingExtra(ConfigurationError, ImportError):
    """A package that this installation lacks; the message has the pip line that installs it."""


class IncompatibleVersion(ConfigurationError):
    """This version of the library cannot work alongside another one that uses the queue."""


class SubmissionRefused(RunnerError, ValueError):
    """A job that was not accepted; nothing was stored. `index` is its place among those submitted together."""

    index: int = 0


class UnknownTask(SubmissionRefused):
    """No worker has published a task of this name on this queue."""


class TaskServed(RunnerError):
    """The task cannot be removed from the catalog while a live worker serves it."""


class IncompleteCatalog(SubmissionRefused):
    """The catalog lacks what it takes to submit this task by name, its entry or a limit, until a worker of it starts. Others are not affected."""


class InvalidArguments(SubmissionRefused):
    """The arguments do not fit the task's signature."""


class ArgumentsTooLarge(InvalidArguments):
    """More bytes of arguments than `max_args_bytes` allows."""


class InvalidJobId(SubmissionRefused):
    """A job id with characters that are not allowed, or of the wrong length."""


class ExceedsCapacity(SubmissionRefused):
    """More tokens of a limit than its bucket can ever hold."""


class JobIdConflict(SubmissionRefused):
    """A job of this id exists with another task or other arguments."""


class DuplicateJob(SubmissionRefused):
    """Another job is there that is unique: `job_id` is its id. See `Unique`."""

    job_id = ""


class UnknownJob(RunnerError, LookupError):
    """No job of this id: never submitted, or its result has expired."""


class UnknownParent(SubmissionRefused, UnknownJob):
    """There is no job of an id that is given in `after`."""


class UnknownBatch(RunnerError, LookupError):
    """No batch of this id: never opened, or over for 7 days."""


class AlreadyFinished(RunnerError):
    """The job is in a final state and can no longer be changed."""


class CannotRetry(RunnerError):
    """A job that has not ended, or has succeeded, cannot be run again."""


class NotEnded(RunnerError):
    """A job that has not ended cannot be deleted: cancel it first."""


class NoResult(RunnerError):
    """The job has no result: it has not ended, or it ended without one."""


class JobNotSuccessful(RunnerError):
    """The job ended without a result."""


class JobFailed(JobNotSuccessful):
    """The job failed for good; the message has the handler's error."""


class JobCancelled(JobNotSuccessful):
    """The job was cancelled before it could succeed."""


class JobExpired(JobNotSuccessful):
    """The job waited longer than its `max_wait`, or until its `deadline`."""


class StoreUnavailable(RunnerError, ConnectionError):
    """Redis cannot be reached, or cannot serve now; the same call may succeed later."""


class ServiceUnavailable(StoreUnavailable):
    """The HTTP service cannot be reached, or has no room now; the same call may succeed later. `retry_after_s`: when, if it has said so."""

    retry_after_s: float | None = None


class TooManyRequests(ServiceUnavailable):
    """The HTTP service holds the key, or the address, to a rate that is used up."""


class StillUnavailable(StoreUnavailable, TimeoutError):
    """The time of a wait was over while Redis was away: the job may have ended, or its turn may have come."""


class ClientClosed(RunnerError):
    """The client was closed before this call, or while it waited; it opens no connection again."""


class AccessRefused(StoreUnavailable):
    """Redis refuses the user or the password of its URL: correct the URL, or the user in Redis."""


class DamagedQueue(RunnerError):
    """A key of the queue holds something else than it should, as when somebody has written it by hand: `doctor` names it and the remedy."""


class NotPermitted(RunnerError):
    """Redis does not permit a command that is needed to the user of its URL."""


class StoreFull(StoreUnavailable):
    """There is no room for new jobs now. Stored jobs go on, and the same submission may be accepted later."""


class BacklogFull(StoreFull):
    """The queue would have more than `most` unended jobs; nothing new was stored. `refused`: new jobs for which there was no room."""

    def __init__(self, queue: str, backlog: int, most: int, refused: int) -> None:
        text = f"queue {queue!r} has {backlog} jobs that have not ended, and may have {most} (max_backlog):"
        super().__init__(f"{text} no room for {refused} more, submit again later")
        self.backlog = backlog
        self.most = most
        self.refused = refused


class LeaseLost(RunnerError):
    """The lease of this worker has lapsed, and Redis gave its jobs to other workers. `Worker.run` continues under a new id."""


class InvalidOption(SubmissionRefused):
    """A priority, delay, time or cost that cannot be used."""


class StartOutOfRange(InvalidOption):
    """A delay or a start time that no job can have."""


class AttemptDefeated(RunnerError):
    """A dead letter for a reason of the runner's own. The name of the class is the type of the job's error."""


class ResultTooLarge(AttemptDefeated):
    """The handler returned more than is kept: store it elsewhere and return where it is."""


class InvalidResult(AttemptDefeated):
    """What the handler returned does not fit its return annotation, or would arrive changed; or a result is not of the type it is read as."""


class NeedsDiffer(AttemptDefeated):
    """The job's buckets are others each time its arguments are read: a validator reads a clock, or chooses at random."""


class OutcomeError(AttemptDefeated):
    """What became of the attempt could not be worked out, because of what the handler returned or raised."""


class ClaimRefused(AttemptDefeated):
    """Redis refused to start the job, by itself too, or its id is no text: the message says which."""


class OutcomeRefused(AttemptDefeated):
    """Redis refused to record how the attempt ended, because of its numbers, of the job's record or of a bucket: the message says which."""


class ResultUndeliverable(AttemptDefeated):
    """The result could not be sent to Redis, again and again, while smaller ones arrived."""


class DeadlineExceeded(AttemptDefeated):
    """The job's deadline passed while it ran, or its next attempt would begin after it: the message has the last error."""


class InternalError(AttemptDefeated):
    """A defect of the worker ended the attempt; its log has the traceback."""


class RateLimited(RunnerError):
    """Raised by a handler whose provider said wait: no job starts under this limit until then, and this job goes back to its place in line.

    limit: a name; not needed if the task has just one. retry_after: seconds, a timedelta, a datetime with a time zone, the text of a header,
    a response, headers, a JSON body, an error that holds one of these; None if the provider did not say.
    """

    def __init__(self, limit: str | None = None, *, retry_after: object = None) -> None:
        super().__init__(f"{limit or 'the provider'} said wait")
        self.limit = limit
        self.retry_after = retry_after


class Retry(RunnerError):
    """A handler asks for another attempt, after `delay` seconds or the back-off. It uses a retry like any failure; `retry_on` is not asked."""

    def __init__(self, reason: str = "the handler asked for another attempt", *, delay: float | None = None) -> None:
        super().__init__(reason)
        self.delay = delay


class GiveUp(RunnerError):
    """Raised by a handler that no further attempt could help: its job is a dead letter now, whatever retries are left."""

    def __init__(self, reason: str = "the handler gave up") -> None:
        super().__init__(reason)


class ChildError(RunnerError):
    """What a task's function has raised in a child process, where the exception stays: what becomes of the attempt was decided there."""

    def __init__(self, type: str, text: str, traceback: str = "") -> None:
        super().__init__(f"{type}: {text}")
        self.type = type
        self.text = text
        self.traceback = traceback


class ChildCrashed(RunnerError):
    """The child process that ran an attempt has ended instead of answering: the message has its exit code or its signal. A failed attempt."""


class TakeRefused(RunnerError):
    """The tokens are not there, nor will be in the time given. `retry_after_s` is None for a slot, which comes back at an unknown time."""

    def __init__(self, bucket: str, reason: str, retry_after_s: float | None) -> None:
        after = "when one is given back" if retry_after_s is None else f"in about {retry_after_s:.3g} s"
        missed = {"unled": "(no worker leads its queue: start one)", "away": "(its home does not answer: see runner doctor)"}
        super().__init__(f"limit {bucket!r} lets nothing through now {missed.get(reason) or f'({reason}); try again {after}'}")
        self.bucket = bucket
        self.reason = reason
        self.retry_after_s = retry_after_s


class UnknownLimit(SubmissionRefused):
    """No limit of this name on this queue, or none that the task uses."""


class Unauthenticated(RunnerError):
    """Nobody knows who asks: there is no key, or it is unknown, mistyped, expired or revoked. was_sent: whether there is one."""

    def __init__(self, text: str, *, was_sent: bool = True) -> None:
        super().__init__(text)
        self.was_sent = was_sent


class Forbidden(RunnerError):
    """The key of the caller does not give this right. scope: the one that is missing; empty if a restriction of the key is in the way."""

    def __init__(self, text: str, scope: str = "") -> None:
        super().__init__(text)
        self.scope = scope


class UnknownKey(RunnerError, LookupError):
    """No key of this id on this queue."""
