"""AttemptRecord: what became of one failed attempt of a job, as its status tells it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_MILLISECONDS = 1_000


@dataclass(slots=True, frozen=True)
class AttemptRecord:
    """One attempt that failed. `started_at` is seconds since 1970 by Redis's clock, `ran_s` how long it ran, `worker` the id of its worker.

    `type` is that of the error ("WorkerLost" if its worker died or was cut off), `message` the first 120 characters of its text. They are
    kept of a job's first failed attempt and of the last nine.
    """

    attempt: int
    started_at: float
    ran_s: float
    worker: str
    type: str
    message: str

    @classmethod
    def of(cls, fields: Sequence[Any]) -> "AttemptRecord":
        """From what a script wrote. Raises ValueError or TypeError for what is none."""
        number, started_ms, ran_ms, worker, kind, message = fields
        return cls(int(number), started_ms / _MILLISECONDS, ran_ms / _MILLISECONDS, str(worker), str(kind), str(message))

    def document(self) -> dict[str, Any]:
        """As the command line shows it."""
        return {name: getattr(self, name) for name in self.__slots__}
