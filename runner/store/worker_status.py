"""WorkerStatus: a worker that holds a lease, as it described itself when it enlisted, and what it has told since."""

import json
from dataclasses import dataclass
from typing import Any

from runner.names import DEFAULT_POOL
from runner.store.text import decoded


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker. `stuck` slots are taken by handlers that go on though they were told to stop; None is what it did not say.

    children: child processes for jobs that run in these, beside its slots. defects: errors of its own that it has met, each of which has cost one job at most. Its log has them, as CRITICAL lines.
    """

    id: str
    leader: bool
    stuck: int
    host: str | None = None
    pid: int | None = None
    slots: int | None = None
    tasks: tuple[str, ...] = ()
    python: str | None = None
    format: int | None = None
    defects: int = 0
    children: int = 0
    pools: tuple[str, ...] = (DEFAULT_POOL,)

    @classmethod
    def of(cls, worker: str, leader: str | None, details: bytes, stuck: bytes | None, defects: bytes | None) -> "WorkerStatus":
        """From what Redis has of it, without what a newer version may have added to the details, or what somebody has damaged."""
        said: dict[str, Any] = {
            name: value for name, value in _fields(details).items() if name in _TYPES and isinstance(value, _TYPES[name])
        }
        said["tasks"] = tuple(map(str, said.get("tasks", ())))
        said["pools"] = tuple(map(str, said.get("pools", (DEFAULT_POOL,))))
        return cls(worker, worker == leader, _number(stuck), defects=_number(defects), **said)


_TYPES: dict[str, type] = {
    "host": str,
    "pid": int,
    "slots": int,
    "tasks": list,
    "pools": list,
    "python": str,
    "format": int,
    "children": int,
}


def _fields(details: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(decoded(details))
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _number(field: bytes | None) -> int:
    return int(field) if field and field.isdigit() else 0
