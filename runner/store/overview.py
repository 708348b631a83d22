"""Overviews: how the queue stands as a whole, read by one script whose answer all processes share for a moment. Parsed here, judged elsewhere."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.access import AuditLine
from runner.clock import MICROSECONDS
from runner.limits import Limit, Override, Pause, ProviderCount, limit_of
from runner.store import statuses
from runner.store.access import line_of
from runner.store.queue import QueueStore
from runner.store.text import decoded

KEPT_MS = 900
"""How long one answer serves all who ask."""
MOST_LIMITS = 200
"""Limits that one answer tells of, those with the longest lines."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted of a limit in some time: starts, tokens, attempts whose provider said wait."""

    started: int
    taken: int
    throttled: int


@dataclass(frozen=True, slots=True)
class BucketReading:
    """One of the buckets where most jobs wait. Times are µs; `next_us` and `clears_us` None: unknown. first_us: since when its first jobs are due. needed: what those in front take, at most."""

    name: str
    tokens: int
    waiting: int
    is_estimate: bool
    next_us: int | None
    frozen_us: int
    frozen_by: str
    first_us: int | None
    clears_us: int | None
    released: int
    needed: int
    provider: ProviderCount | None = None


@dataclass(frozen=True, slots=True)
class LimitReading:
    """A limit as the script found it. frozen_us: of all its buckets together. now, before: counted in this minute, and in the one before."""

    code: Limit
    override: Override | None
    paused: Pause | None
    frozen_us: int
    waiting_buckets: int
    waiting: int
    is_estimate: bool
    unserved: int
    now: Counted
    before: Counted
    buckets: tuple[BucketReading, ...]


@dataclass(frozen=True, slots=True)
class OverviewReading:
    """A queue as the script found it. now, before: by letter what was counted of its tasks in this minute and in the one before; None: too much.

    remembered: what somebody has worked out of the readings before. day: the same as `before` of the 24 hours before this minute.
    """

    at_us: int
    minute: int
    counts: tuple[tuple[str, str, int], ...]
    day: Mapping[str, int]
    now: Mapping[str, int] | None
    before: Mapping[str, int] | None
    workers: int
    slots: int
    stuck: int
    leader: str | None
    refilled_us: int | None
    paused: Pause | None
    limits: tuple[LimitReading, ...]
    more: int
    remembered: str
    changes: tuple[AuditLine, ...]

    @property
    def into_minute(self) -> float:
        """Which part of the present minute is over."""
        return self.at_us / (60 * MICROSECONDS) - self.minute


class Overviews(QueueStore):
    """The role of who watches the whole queue."""

    async def overview(self, remembered: str = "", *, serves_ms: int = KEPT_MS, most_limits: int = MOST_LIMITS) -> OverviewReading:
        """How the queue stands: what another process has read within `serves_ms`, or anew. remembered: a text for who reads next."""
        answer = await self._run("overview", is_large=True, serves_ms=serves_ms, most_limits=most_limits, remembered=remembered)
        return reading_of(json.loads(decoded(answer)))


def reading_of(answer: Mapping[str, Any]) -> OverviewReading:
    """The JSON of overview.lua. A limit whose entry was damaged by hand is left out."""
    flat = list(answer["counts"])
    pause, (workers, slots, stuck) = answer["pause"], answer["workers"]
    return OverviewReading(
        at_us=int(answer["at"]),
        minute=int(answer["minute"]),
        counts=tuple((state, reason, int(number)) for state, reason, number in zip(flat[::3], flat[1::3], flat[2::3], strict=True)),
        day=_numbers(answer["day"]) or {},
        now=_numbers(answer["now"]),
        before=_numbers(answer["before"]),
        workers=int(workers),
        slots=int(slots),
        stuck=int(stuck),
        leader=answer["leader"].rpartition(":")[0] if answer["leader"] else None,
        refilled_us=int(answer["refilled"]) if str(answer["refilled"]).isdigit() else None,
        paused=statuses.limit_pause_of(pause) if pause else None,
        limits=tuple(found for row in answer["limits"] if (found := _limit(row)) is not None),
        more=int(answer["more"]),
        remembered=answer["remembered"],
        changes=tuple(line_of(line_id, fields) for line_id, fields in answer["audit"]),
    )


def _limit(row: Sequence[Any]) -> LimitReading | None:
    _, entry, frozen_us, waiting_buckets, waiting, is_estimate, unserved, now, before, buckets = row
    override, paused = entry.get("override"), entry.get("paused")
    try:
        return LimitReading(
            limit_of(entry["code"]),
            statuses.override_of(override) if override else None,
            statuses.limit_pause_of(paused) if paused else None,
            int(frozen_us),
            int(waiting_buckets),
            int(waiting),
            bool(is_estimate),
            int(unserved),
            _counted(now),
            _counted(before),
            tuple(map(bucket_reading, buckets)),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def bucket_reading(row: Sequence[Any]) -> BucketReading:
    """One row of bucket_rows.lua."""
    name, tokens, waiting, is_estimate, next_us, frozen_us, frozen_by, first_us, clears_us, released, *later = row
    needed, told = later or (0, ())  # of a process of before, while its answer is kept
    return BucketReading(
        name,
        int(tokens),
        int(waiting),
        bool(is_estimate),
        None if next_us < 0 else int(next_us),
        int(frozen_us),
        str(frozen_by),
        int(first_us) if first_us else None,
        None if clears_us < 0 else int(clears_us),
        int(released),
        int(needed),
        statuses.provider_count(told),
    )


def _counted(numbers: Sequence[float]) -> Counted:
    started, beyond, throttled = map(int, numbers)
    return Counted(started, started + beyond, throttled)


def _numbers(sums: Any) -> dict[str, int] | None:
    """By letter; an empty table of Lua is no object in JSON."""
    if sums is False:
        return None
    return {letter: int(number) for letter, number in dict(sums or {}).items()}
