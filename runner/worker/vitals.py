"""Vitals: how a worker's process is, for people: told with each renewal of its lease, which is the only call that carries them."""

import json
import os
from pathlib import Path

from runner.worker.active_jobs import ActiveJobs
from runner.worker.stall_watch import StallWatch

_STATM = Path("/proc/self/statm")


class Vitals:
    """Attempts that run, the longest stall of the event loop since the last renewal, and the memory of the process. Read in any thread."""

    def __init__(self, active_jobs: ActiveJobs, watch: StallWatch | None) -> None:
        self._active_jobs = active_jobs
        self._watch = watch

    def text(self) -> str:
        """As JSON: `busy` attempts, `stall_ms`, and `memory_bytes` where the system tells it."""
        told: dict[str, int | None] = {"busy": self._active_jobs.running, "memory_bytes": _resident_bytes()}
        if self._watch is not None:
            told["stall_ms"] = round(self._watch.take_longest_s() * 1_000)
        return json.dumps({name: value for name, value in told.items() if value is not None})


def _resident_bytes() -> int | None:
    """Memory of this process that is in RAM, as Linux tells it; None elsewhere."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
