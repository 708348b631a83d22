"""Foresight: what would become of a job that was submitted at this instant. A value; nothing is stored for it."""

from dataclasses import dataclass
from typing import Any

from runner.errors import SubmissionRefused
from runner.jobs.job import Acceptance
from runner.jobs.pause_status import PauseStatus
from runner.limits import QueuePace, limit_name


class DeadlineOutOfReach(SubmissionRefused):
    """A job that surely cannot start before its deadline; nothing was stored. `earliest_s`: seconds before which it does not start."""

    earliest_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Foresight:
    """What a submission would be answered now, and when the job would start and end.

    state: the answer of the submission. `id`: the job that is there already, of `existing` and `replaced`; None of a new one. `reason`,
    `bucket`, `position` and `pause` are as in `JobStatus`.
    eta_s: seconds until it starts, if everything ahead of it starts on time and no job comes that has its turn before it; `end_eta_s`: until it
    ends, if it then runs for `run_s`, within which half of the runs of its task ended in the last 24 hours. earliest_s: before it does not
    start as long as the limits stay as they are. shared: several queues share its limit, and `eta_s` is an estimate by what this one gets. What is None is unknown.
    """

    task: str
    state: Acceptance
    id: str | None = None
    reason: str | None = None
    bucket: str | None = None
    position: int | None = None
    eta_s: float | None = None
    end_eta_s: float | None = None
    earliest_s: float = 0.0
    run_s: float | None = None
    pause: PauseStatus | None = None
    shared: QueuePace | None = None

    @property
    def limit(self) -> str | None:
        """The name of the limit that it would wait for."""
        return None if self.bucket is None else limit_name(self.bucket)

    @property
    def created(self) -> bool:
        """Whether a job would be stored."""
        return self.state.is_new

    def document(self) -> dict[str, Any]:
        """As JSON has it, without the pause."""
        places = {"reason": self.reason, "limit": self.limit, "bucket": self.bucket, "position": self.position}
        times = {"eta_s": self.eta_s, "end_eta_s": self.end_eta_s, "earliest_s": self.earliest_s, "run_s": self.run_s}
        shared = self.shared and self.shared.document()
        return {"task": self.task, "state": self.state.value, "id": self.id, "created": self.created, **places, **times, "shared": shared}


@dataclass(frozen=True, slots=True)
class BatchForesight:
    """What would become of jobs that are submitted now, together: each comes behind those before it.

    jobs: of each, in their order; of one that would be refused `state` says why, as the `first_state` of its handle does.
    """

    jobs: tuple[Foresight, ...]

    @property
    def created(self) -> int:
        """How many jobs would be stored."""
        return sum(job.created for job in self.jobs)

    @property
    def eta_s(self) -> float | None:
        """Seconds until the last of the new ones starts; None: unknown of one of them, or there is none."""
        return _latest([job.eta_s for job in self.jobs if job.created and job.state is not Acceptance.failed])

    @property
    def end_eta_s(self) -> float | None:
        """Seconds until the last of the new ones has ended; None: unknown of one of them, or there is none."""
        return _latest([job.end_eta_s for job in self.jobs if job.created and job.state is not Acceptance.failed])

    def document(self) -> dict[str, Any]:
        """What is told of all of them together, as JSON has it."""
        return {"created": self.created, "eta_s": self.eta_s, "end_eta_s": self.end_eta_s}


def _latest(instants: list[float | None]) -> float | None:
    known = [at for at in instants if at is not None]
    return max(known, default=None) if len(known) == len(instants) else None
