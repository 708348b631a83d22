"""Flows as values: what comes after which jobs, what became of them, and how far a batch is. No I/O."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Literal

from typing_extensions import TypeVar

from runner.clock import MICROSECONDS
from runner.errors import InvalidOption, JobCancelled, JobExpired, JobFailed, NoResult
from runner.foreign import shown

OnFailure = Literal["cancel", "fail", "run"]
ON_FAILURE: tuple[OnFailure, ...] = ("cancel", "fail", "run")
MOST_PARENTS = 10_000
"""Jobs that one can come after."""
MOST_AT_ONCE = 50
"""Parents that go along with a submission; more are named in calls of their own, before the follower can go on."""
INDEXES = 2**32

R_co = TypeVar("R_co", covariant=True, default=Any)


class BatchNotOpen(InvalidOption):
    """A batch takes no job, or no other job that follows it: it was never begun, is sealed, or is over."""


class MemberState(StrEnum):
    """What became of a parent, or of a job of a batch. `gone`: its record was lost, or deleted, before it ended."""

    pending = "pending"
    succeeded = "succeeded"
    failed = "failed"
    cancelled = "cancelled"
    expired = "expired"
    gone = "gone"


MEMBER_STATES = tuple(MemberState)
"""By their codes in Redis."""
_NO_RESULT = {MemberState.failed: JobFailed, MemberState.cancelled: JobCancelled, MemberState.expired: JobExpired}


@dataclass(frozen=True, slots=True)
class Parent(Generic[R_co]):
    """A job that this one comes after: `parent.result()` is what it returned.

    index: its place in `after`. Parents are kept for 7 days from their ends; what became of them is known for as long as their follower.
    """

    id: str
    index: int
    state: MemberState
    _result: Callable[[], R_co]

    def result(self) -> R_co:
        """What it returned. Raises `JobFailed`, `JobCancelled` or `JobExpired` if it did not succeed, `NoResult` if its result is gone, or was left out."""
        if error := _NO_RESULT.get(self.state):
            raise error(f"job {self.id}, which this one comes after, {_WORDS[self.state]}")
        return self._result()


def no_result(job_id: str, why: str) -> Callable[[], Any]:
    """In the place of a result that there is not."""

    def refuse() -> Any:
        raise NoResult(f"job {job_id}, which this one comes after, has no result here: {why}")

    return refuse


_WORDS = {MemberState.failed: "failed", MemberState.cancelled: "was cancelled", MemberState.expired: "expired"}


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How far a batch is: how many of its jobs are where. Times are seconds since 1970 by Redis's clock.

    total: jobs that were added until now. then: the job that runs at its end. sealed_at: when the last was added; ended_at: when the last ended.
    """

    id: str
    total: int
    pending: int
    succeeded: int
    failed: int
    cancelled: int
    expired: int
    gone: int
    on_failure: str
    then: str | None
    created_at: float
    sealed_at: float | None
    ended_at: float | None

    @property
    def has_ended(self) -> bool:
        """Whether no job can be added any more, and all have ended."""
        return self.ended_at is not None

    @property
    def done(self) -> int:
        """How many have ended."""
        return self.total - self.pending

    def document(self) -> dict[str, Any]:
        """As the HTTP API and the command line show it, with times as seconds."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def of(cls, batch_id: str, fields: Sequence[bytes | None], counts: Sequence[int]) -> "BatchProgress":
        """Of the reply of members.lua."""
        created, sealed, ended, then, on_failure = (None if field is None else field.decode() for field in fields)
        sealed_at, ended_at = (None if at is None else int(at) / MICROSECONDS for at in (sealed, ended))
        pending, succeeded, failed, cancelled, expired, gone = counts
        ends = (pending, succeeded, failed, cancelled, expired, gone)
        return cls(batch_id, sum(ends), *ends, on_failure or "run", then, int(created or 0) / MICROSECONDS, sealed_at, ended_at)


def flow_words(progress: BatchProgress) -> str:
    """A line for people."""
    parts = [f"{getattr(progress, state)} {state}" for state in MemberState if getattr(progress, state)]
    where = "ended" if progress.has_ended else "sealed" if progress.sealed_at is not None else "open"
    return f"{progress.id} {where}: {progress.done} of {progress.total} jobs have ended" + (f" ({', '.join(parts)})" if parts else "")


def waits_for_jobs(pending: int, total: int, ids: Sequence[str]) -> str:
    """Like `3 of 10 jobs: a, b, c`."""
    named = ", ".join(ids) + (", ..." if pending > len(ids) else "")
    return f"{pending} of {total} jobs{': ' if named else ''}{named}"


def checked_policy(on_failure: object, of: str = "after") -> OnFailure:
    """Raises `InvalidOption`."""
    for policy in ON_FAILURE:
        if on_failure == policy:
            return policy
    raise InvalidOption(f"on_failure of {of} is {shown(on_failure, 40)}: give one of {', '.join(ON_FAILURE)}")


def checked_parents(ids: Iterable[str]) -> tuple[str, ...]:
    """Each once. Raises `InvalidOption`."""
    once = tuple(dict.fromkeys(ids))
    if not once:
        raise InvalidOption("after has no job: give the handles, or the ids, of the jobs to wait for")
    if len(once) > MOST_PARENTS:
        raise InvalidOption(f"after has {len(once)} jobs, and may have {MOST_PARENTS}: put them into a batch, and follow that")
    return once


def flow_features(after: Sequence[str], on_failure: str) -> dict[str, Any]:
    """What the scripts are told of a follower; of one with many parents, only that there are more."""
    return {"after": list(after) if len(after) <= MOST_AT_ONCE else [], "on_failure": on_failure}
