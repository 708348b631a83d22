"""Answers of scripts that are one word, as enums. The words themselves are those of each script's header."""

from enum import StrEnum


class CancelAnswer(StrEnum):
    """What a request to stop a job came to."""

    unknown = "unknown"
    cancelled = "cancelled"
    stopping = "stopping"
    """The job runs: it ends when its handler does."""
    succeeded = "succeeded"
    failed = "failed"
    expired = "expired"

    @property
    def is_too_late(self) -> bool:
        """Whether the job had ended before, otherwise than cancelled."""
        return self in (CancelAnswer.succeeded, CancelAnswer.failed, CancelAnswer.expired)


class DeleteAnswer(StrEnum):
    """What the deletion of a job came to: it is deleted, unknown, or not at its end."""

    unknown = "unknown"
    deleted = "deleted"
    queued = "queued"
    """Or in a line: it is to be started."""
    scheduled = "scheduled"
    running = "running"

    @property
    def is_too_early(self) -> bool:
        """Whether the job has not ended."""
        return self not in (DeleteAnswer.unknown, DeleteAnswer.deleted)


class BulkAnswer(StrEnum):
    """What beginning an act upon many jobs came to."""

    begun = "begun"
    existing = "existing"
    """Its id was used before: the call may be a repetition."""
    full = "full"
    """Too many are open."""


class RetryRefusal(StrEnum):
    """Why a job that could be run again is not."""

    parents = "parents"
    """A job that it comes after has not succeeded, and it would not have run."""


class FinishAnswer(StrEnum):
    """What became of an outcome."""

    accepted = "accepted"
    repeated = "repeated"
    """It was recorded before: this call repeats one whose reply was lost."""
    stale = "stale"
    """Another attempt runs, or the job has ended: the worker had lost the attempt."""
    refused = "refused"
    """It cannot be recorded, because of what it says or of what the job's record or its buckets hold."""


class TakeAnswer(StrEnum):
    """What a request for tokens came to."""

    taken = "taken"
    waiting = "waiting"
    refused = "refused"


class ForgetAnswer(StrEnum):
    """What the removal of a task came to."""

    removed = "removed"
    unknown = "unknown"
    served = "served"
    """A live worker serves it."""
