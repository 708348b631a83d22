"""Several limits: no formula knows that a line is short elsewhere, so what is near a waiting job is played forward by the simulation."""

from collections.abc import Collection, Iterable, Mapping
from itertools import islice

from runner.limits import Need
from runner.outlook.view import BucketView, LineView, SeveralView
from runner.simulation import BucketSnapshot, LineSnapshot, NeedSnapshot, Snapshot

MOST_BUCKETS = 40
MOST_LINES = 300
"""Beyond these a formula has to do."""
_HAD, _IN_BOOK, _FAR = 1, 4, 8
"""What the first number of a need in a record is the sum of; see lua/include/records.lua."""
_OF_A_LINE, _OF_A_NEED = 4, 4
_MOST_HEADS = 60


def buckets_of(line: str) -> list[str]:
    """The buckets that the jobs of a line need, from its name."""
    return line.partition("|")[2].partition("@")[0].split(";")


def has_several(view: BucketView) -> bool:
    """Whether lines of several limits wait at a bucket, or have a claim there."""
    return bool(view.several)


def unknown_buckets(views: Mapping[str, BucketView]) -> list[str]:
    """Those that lines at known buckets need too: they decide when these lines start."""
    needed = (bucket for view in views.values() for line in view.several for bucket in buckets_of(line.name))
    return [bucket for bucket in dict.fromkeys(needed) if bucket not in views]


def snapshot(views: Mapping[str, BucketView], least_share: float) -> Snapshot | None:
    """All that is known, to be played forward; None if something is missing, or it is too much."""
    lines = {line.name: line for view in views.values() for line in view.lines}
    several = {line.name: line for view in views.values() for line in view.several}
    if unknown_buckets(views) or len(views) > MOST_BUCKETS or len(lines) > MOST_LINES or not views:
        return None
    buckets = [_bucket(view) for view in views.values()]
    known = [bucket for bucket in buckets if bucket is not None]
    if len(known) < len(buckets) or any(_is_of_several(line) and line not in several for line in lines):
        return None
    giving_back = {bucket.name for bucket in known if bucket.limit.gives_back}
    singles = [_single(line, giving_back) for line in lines.values() if not _is_of_several(line.name)]
    now_us = next(iter(views.values())).now_us
    return Snapshot(now_us, tuple(known), (*singles, *map(_several, several.values())), least_share=least_share)


def _is_of_several(line: str) -> bool:
    return ";" in line


def _bucket(view: BucketView) -> BucketSnapshot | None:
    if view.limit is None or not view.is_whole:
        return None
    high, normal, low, insertions = (*view.clocks, 0, 0, 0, 0)[:4]
    return BucketSnapshot(
        view.name,
        view.limit,
        view.stored,
        view.wake_us,
        closed_until_us=view.from_us if view.from_us > view.now_us else 0,
        reserved=view.reserved,
        waiting=tuple((line.name, line.score) for line in view.lines),
        turns=view.turns,
        clocks=(high, normal, low),
        insertions=insertions,
        aside=view.aside,
        until_us=view.aside_until_us,
        pace=view.pace,
    )


def _single(line: LineView, giving_back: Collection[str]) -> LineSnapshot:
    """Of one limit: its name says which, and what its first jobs cost was read."""
    (bucket,) = buckets_of(line.name)
    heads = islice((line.cost(place) for place in range(line.length)), _MOST_HEADS)
    return LineSnapshot(line.name, line.length, tuple((Need(bucket, cost, bucket in giving_back),) for cost in heads))


def _several(line: SeveralView) -> LineSnapshot:
    by_bucket = {need.bucket: need for need in line.needs}
    needs = tuple(by_bucket[bucket] for bucket in buckets_of(line.name) if bucket in by_bucket)
    number, due_us, missed, at = (*line.record, 0, 0, 0, 1)[:_OF_A_LINE] if line.record else (0, 0, 0, 1)
    known = tuple(_need(line.record[_OF_A_LINE + place * _OF_A_NEED :]) for place in range(len(needs)))
    return LineSnapshot(line.name, line.length, (needs,), known, number, due_us, missed, max(at - 1, 0), line.look_us)


def _need(numbers: Iterable[int]) -> NeedSnapshot:
    marks, saved, until_us = (*islice(numbers, 3), 0, 0, 0)[:3]
    is_far = bool(marks & _FAR)
    return NeedSnapshot(bool(marks & _HAD), saved, until_us, bool(marks & _IN_BOOK) or is_far, is_far)
