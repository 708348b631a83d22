"""WorkerStatus: a worker that holds a lease, as it described itself when it enlisted, and what it has told since."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.clock import MICROSECONDS
from runner.names import DEFAULT_POOL
from runner.store.text import decoded


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker. `stuck` slots are taken by handlers that go on though they were told to stop; None is what it did not say.

    children: child processes for jobs that run in these, beside its slots. defects: errors of its own that it has met, each of which has cost one job at most. Its log has them, as CRITICAL lines.
    version: of this library. enlisted_at, renewed_at: when it came and when it has last renewed its lease, seconds since 1970 by Redis's clock. With that
    renewal it said: busy: attempts that ran; stall_ms: how long its event loop stood still at most since the one before; memory_bytes: of its process, in RAM.
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
    version: str | None = None
    enlisted_at: float | None = None
    renewed_at: float | None = None
    busy: int | None = None
    stall_ms: int | None = None
    memory_bytes: int | None = None

    @classmethod
    def of(cls, leader: str, *row: bytes) -> "WorkerStatus":
        """From a row of workers.lua, without what a newer version may have added to it, or what somebody has damaged."""
        worker, details, stuck, defects, vitals, enlisted, renewed = row
        said: dict[str, Any] = _known(details, _TYPES) | _known(vitals, _VITALS)
        said["tasks"] = tuple(map(str, said.get("tasks", ())))
        said["pools"] = tuple(map(str, said.get("pools", (DEFAULT_POOL,))))
        said |= {"enlisted_at": _instant(enlisted), "renewed_at": _instant(renewed)}
        return cls(decoded(worker), decoded(worker) == leader, _number(stuck), defects=_number(defects), **said)


_TYPES: dict[str, type] = {
    "host": str,
    "pid": int,
    "slots": int,
    "tasks": list,
    "pools": list,
    "python": str,
    "format": int,
    "children": int,
    "version": str,
}
_VITALS: dict[str, type] = {"busy": int, "stall_ms": int, "memory_bytes": int}

WORKER_FIELDS = 7
"""Of one worker in what workers.lua returns."""


def _known(text: bytes, types: Mapping[str, type]) -> dict[str, Any]:
    return {name: value for name, value in _fields(text).items() if name in types and isinstance(value, types[name])}


def _fields(details: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(decoded(details))
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _instant(field: bytes) -> float | None:
    return int(field) / MICROSECONDS if field.isdigit() else None


def _number(field: bytes) -> int:
    return int(field) if field and field.isdigit() else 0
