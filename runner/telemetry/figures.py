"""Figures: a queue as a whole at one instant, as metrics tell it."""

from collections.abc import Mapping
from dataclasses import dataclass

from runner.limits import ProviderCount


@dataclass(frozen=True, slots=True)
class LimitFigures:
    """One limit. available: whole tokens that could be taken now, None of a limit with a key, which has a bucket for each value.

    provider: what its provider says is left; None of a limit with a key, and where nobody tells.
    """

    name: str
    capacity: int
    available: int | None
    waiting: int
    waiting_buckets: int
    frozen_s: float
    is_paused: bool
    is_overridden: bool
    provider: ProviderCount | None = None


@dataclass(frozen=True, slots=True)
class HomeFigures:
    """One limit without a key that several queues share, as its home tells: tokens in their hands, whole ones that nobody has, and who has a lease."""

    limit: str
    out: int
    free: int
    queues: int


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """One pool: jobs that no worker has read, that run, and that wait for a slot of it; and the live workers that read it."""

    name: str
    ready: int
    running: int
    waiting: int
    readers: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What one look at a queue found.

    jobs: by state and, of those that wait, by reason ("" otherwise). oldest_wait_s: of the first jobs of the lines; None if that is not known.
    memory_max_bytes: `maxmemory` of the server, 0 for none; both are None if this user may not ask. homes: of those that answered.
    """

    jobs: Mapping[tuple[str, str], int]
    limits: tuple[LimitFigures, ...]
    pools: tuple[PoolFigures, ...]
    workers: int
    slots: int
    stuck_slots: int
    has_leader: bool
    oldest_wait_s: float | None = None
    memory_bytes: int | None = None
    memory_max_bytes: int | None = None
    homes: tuple[HomeFigures, ...] = ()
