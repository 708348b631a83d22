"""JobError: why a job failed, or its latest attempt, as a caller sees it."""

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True, frozen=True)
class JobError:
    """Why a job failed, or its latest attempt.

    `type` is the name of the handler's exception, or of a reason of the runner's own, such as "poison"; `traceback` is the
    handler's part of it, empty if the handler did not raise.
    """

    type: str
    message: str
    traceback: str = ""

    @classmethod
    def of(cls, fields: Any) -> "JobError":
        """From what a worker or a script wrote, as far as it can be read: the record may have been damaged."""
        known = fields if isinstance(fields, dict) else {}
        return cls(str(known.get("type", "unknown")), str(known.get("message", "")), str(known.get("traceback", "")))

    def document(self) -> dict[str, str]:
        """As the HTTP API and the command line show it."""
        document = {"type": self.type, "message": self.message}
        return document if not self.traceback else {**document, "traceback": self.traceback}
