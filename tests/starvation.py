"""How long a process of the test stood ready and got no CPU. Linux counts it for each process; elsewhere it is nothing.

A bound on what several processes do together is held against the time that passed less this: so it says the same on a busy machine
as on a quiet one.
"""

import os
from collections import defaultdict
from pathlib import Path

PROC = Path("/proc")


class Starvation:
    """From now on: the wait of the process that waited longest, among the test's own and all that it started."""

    def __init__(self) -> None:
        self._before_s = _waits_s()

    @property
    def seconds(self) -> float:
        return max(now_s - self._before_s.get(pid, 0.0) for pid, now_s in _waits_s().items())


def _waits_s() -> dict[int, float]:
    children = defaultdict(list)
    for path in PROC.glob("[0-9]*/stat"):
        fields = _read(path).rpartition(")")[2].split()
        if fields:
            children[int(fields[1])].append(int(path.parent.name))
    found, family = {}, [os.getpid()]
    while family:
        pid = family.pop()
        family += children[pid]
        # Nanoseconds on a CPU, nanoseconds ready without one, and how often.
        found[pid] = int((_read(PROC / str(pid) / "schedstat") or "0 0").split()[1]) / 1e9
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has ended, or this is no Linux
        return ""
