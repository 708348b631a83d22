"""PoolStatus: the jobs of a pool that are ready, run and wait for a slot, and the workers that read it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runner.clock import MICROSECONDS
from runner.store.text import decoded


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """One pool. Jobs that wait for tokens are not among those of a pool: they are in the lines of their limits.

    ready: jobs that no worker has read. running: those that workers hold. waiting: jobs whose tokens have been there and that wait for a
    free slot of the pool, in so many `lines`. readers: live workers that read it, with `slots` for all their pools together. used_at:
    seconds since 1970 at which a worker last renewed its lease or a job came; None of the default pool.
    """

    name: str
    ready: int
    running: int
    waiting: int
    lines: int
    readers: int
    slots: int
    used_at: float | None = None


def pool_statuses(rows: Sequence[Sequence[Any]]) -> list[PoolStatus]:
    """The reply of pools.lua."""
    return [
        PoolStatus(decoded(name), ready, running, waiting, lines, readers, slots, int(used) / MICROSECONDS if used else None)
        for name, ready, running, lines, waiting, used, readers, slots in rows
    ]
