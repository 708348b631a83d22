"""PauseStatus: what an operator has paused, who, why, since when and until when; and the names of what can be."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal

from runner.clock import MICROSECONDS


class Pausable(StrEnum):
    """What can be paused."""

    queue = "queue"
    """All jobs of the queue."""
    task = "task"
    pool = "pool"
    key = "key"
    """The bucket of one value of a limit's key, like `tenant/t7`."""


PausableName = Literal["queue", "task", "pool", "key"]


@dataclass(frozen=True, slots=True)
class PauseStatus:
    """A pause. `name`: of the task, the pool or the bucket; empty of the queue. Times are seconds since 1970 by Redis's clock.

    until_at: when it is over by itself; None: when somebody resumes it. unaware_workers: told by the call that pauses, live workers
    of versions that do not know of pauses: what they claim starts all the same.
    """

    what: Pausable
    name: str
    by: str
    reason: str
    since_at: float
    until_at: float | None = None
    unaware_workers: int = 0

    @property
    def target(self) -> str:
        """What is paused, in words: "the queue", "task charge"."""
        return "the queue" if self.what is Pausable.queue else f"{self.what} {self.name}"

    def document(self) -> dict[str, Any]:
        """As the command line shows it."""
        return asdict(self)

    @classmethod
    def of(cls, what: str, name: str, record: Mapping[str, Any], unaware_workers: int = 0) -> "PauseStatus":
        """From what a script wrote, as far as it can be read. Raises ValueError, KeyError or TypeError for a record damaged by hand."""
        until_us = record.get("until_us")
        until_at = None if until_us is None else int(until_us) / MICROSECONDS
        by, reason = str(record.get("by", "")), str(record.get("reason", ""))
        return cls(Pausable(what), name, by, reason, int(record["at_us"]) / MICROSECONDS, until_at, unaware_workers)
