"""Recycling: when a worker has done enough, or holds too much memory, and another process is to take its place."""

import asyncio
import os
import random
import re
from collections.abc import Callable
from pathlib import Path

from runner.errors import ConfigurationError
from runner.resident import resident_bytes

_LOOK_S = 0.1
_SPREAD = 0.1
"""Workers that start together would have done enough at one time: each takes up to this part less."""
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_UNITS = {"": 1, "K": 1_000, "M": 1_000_000, "G": 1_000_000_000, "T": 1_000_000_000_000}


def parse_size(text: str) -> int:
    """Bytes, as `500M` or `2G`. Raises `ConfigurationError`."""
    found = _SIZE.fullmatch(text.strip())
    size = round(float(found[1]) * _UNITS[found[2].upper()]) if found else 0
    if size <= 0:
        raise ConfigurationError(f"max memory {text!r} is not understood: give bytes with a unit, like 500M or 2G")
    return size


class Recycling:
    """The bounds of one worker process. 0: none."""

    def __init__(self, max_jobs: int = 0, max_memory: int = 0) -> None:
        self._max_jobs = max_jobs and max_jobs - int(random.random() * _SPREAD * max_jobs)
        self._max_memory = max_memory

    async def until_due(self, ended_jobs: Callable[[], int], every_s: float) -> str:
        """Until the process is to be replaced; why. The memory is looked at `every_s`."""
        since_look_s = 0.0
        while True:
            await asyncio.sleep(_LOOK_S)
            since_look_s += _LOOK_S
            if self._max_jobs and (ended := ended_jobs()) >= self._max_jobs:
                return f"it has run {ended} jobs (--max-jobs)"
            if self._max_memory and since_look_s >= every_s:
                since_look_s = 0.0
                if (held := await asyncio.to_thread(held_bytes)) >= self._max_memory:
                    return f"it holds {held / 1_000_000:.0f} MB with its children (--max-memory)"


def held_bytes() -> int:
    """The memory of this process and of all that it has started, as far as they live."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    total, left = 0, [os.getpid()]
    while left:
        pid = left.pop()
        left += children.get(pid, [])
        total += resident_bytes(pid) or 0
    return total
