"""WorkerStatus: a worker that holds a lease, as it described itself when it enlisted."""

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker. `stuck` slots are taken by handlers that go on though they were told to stop; None is what it did not say."""

    id: str
    leader: bool
    stuck: int
    host: str | None = None
    pid: int | None = None
    slots: int | None = None
    tasks: tuple[str, ...] = ()
    python: str | None = None
    format: int | None = None

    @classmethod
    def of(cls, worker: str, leader: str | None, stuck: int, details: str | bytes) -> "WorkerStatus":
        """From what Redis has of it, without what a newer version may have added to the details."""
        known = {name: value for name, value in json.loads(details).items() if name in cls.__dataclass_fields__}
        return cls(**known | {"id": worker, "leader": worker == leader, "stuck": stuck, "tasks": tuple(known.get("tasks", ()))})
