"""Finding: one thing that the doctor looked at, and what to do about it."""

import enum
from dataclasses import dataclass


class Level(enum.StrEnum):
    """What a finding asks for: nothing, attention, a remedy before a worker can start, or a check by a user who may make it."""

    ok = "ok"
    warning = "warning"
    error = "error"
    unknown = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """The name of a check, and in one line what it found and what to do."""

    check: str
    level: Level
    text: str
