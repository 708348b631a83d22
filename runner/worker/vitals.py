"""Vitals: how a worker's process is, for people: told with each renewal of its lease, which is the only call that carries them."""

import json

from runner.resident import resident_bytes
from runner.worker.active_jobs import ActiveJobs
from runner.worker.stall_watch import StallWatch


class Vitals:
    """Attempts that run, the longest stall of the event loop since the last renewal, and the memory of the process. Read in any thread."""

    def __init__(self, active_jobs: ActiveJobs, watch: StallWatch | None) -> None:
        self._active_jobs = active_jobs
        self._watch = watch

    def text(self) -> str:
        """As JSON: `busy` attempts, `stall_ms`, and `memory_bytes` where the system tells it."""
        told: dict[str, int | None] = {"busy": self._active_jobs.running, "memory_bytes": resident_bytes()}
        if self._watch is not None:
            told["stall_ms"] = round(self._watch.take_longest_s() * 1_000)
        return json.dumps({name: value for name, value in told.items() if value is not None})
