"""Snapshot: the buckets and lines near a waiting job as the scripts keep them at one instant, for `foresee` to play forward."""

from dataclasses import dataclass

from runner.limits import Limit, Need, QueuePace, StoredBucket


@dataclass(frozen=True, slots=True)
class BucketSnapshot:
    """One bucket.

    limit: in force now. stored: None for a full bucket. wake_us: when it is served next, None if only an event can tell.
    closed_until_us: the end of a freeze, `FAR_US` while it is paused.
    pace: at which this queue gets tokens of a limit that several queues share; `limit` is of that rate then.
    waiting: (line, score), in order. turns, clocks, insertions: of order.lua. aside: tokens that lines have set aside, until `until_us`.
    """

    name: str
    limit: Limit
    stored: StoredBucket | None = None
    wake_us: int | None = None
    closed_until_us: int = 0
    reserved: int = 0
    waiting: tuple[tuple[str, int], ...] = ()
    turns: int = 0
    clocks: tuple[int, int, int] = (0, 0, 0)
    insertions: int = 0
    aside: int = 0
    until_us: int = 0
    pace: QueuePace | None = None


@dataclass(frozen=True, slots=True)
class NeedSnapshot:
    """How far a line has come at one bucket, see `Progress`. in_book: its claim is there, to be respected or (`is_far`) put aside."""

    had: bool = False
    saved: int = 0
    until_us: int = 0
    in_book: bool = False
    is_far: bool = False


@dataclass(frozen=True, slots=True)
class LineSnapshot:
    """One line of `jobs` waiting jobs.

    heads: the needs of its first jobs, one at least; the jobs after those need the same as the last of them.
    needs: of a line of several, in the order of its needs. number (0: no claim), due_us, missed, latest (the place of a need): its claim.
    look_us: the next look at it.
    """

    name: str
    jobs: int
    heads: tuple[tuple[Need, ...], ...]
    needs: tuple[NeedSnapshot, ...] = ()
    number: int = 0
    due_us: int = 0
    missed: int = 0
    latest: int = 0
    look_us: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at one instant. A bucket that is needed and is not in it counts as full, and its limit is one of `limits`."""

    now_us: int
    buckets: tuple[BucketSnapshot, ...]
    lines: tuple[LineSnapshot, ...]
    limits: tuple[Limit, ...] = ()
    least_share: float = 0.05


@dataclass(frozen=True, slots=True)
class Foreseen:
    """When a job starts. `reached`: it was played so far; otherwise its line went on at the pace of the second half of what was played."""

    at_us: int
    reached: bool
    starts_played: int
