"""Pace: when a bucket has tokens for a job, once all that are ahead of it have taken theirs."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from runner.limits import Bucket, Limit, TokenBucket
from runner.outlook.view import BucketView

_SMALL = 64
"""Jobs together that cost this part of the capacity are played as one: what is lost by packing is less."""
_ABOUT_ONE = 1.001
_LOOKS = 7
"""How often an instant among jobs that start one after the other is looked for: up to a hundredth of them."""


class Ahead(NamedTuple):
    """What the jobs ahead cost, in their order, for how many jobs each of these stands, and what the job itself costs."""

    costs: Sequence[int]
    scale: float
    cost: int


def start_us(view: BucketView, ahead: Ahead) -> int | None:
    """The instant at which the job starts, after the reserved tokens are taken and all jobs ahead have started."""
    if view.limit is None:
        return None
    limit, spoken, capacity = view.limit, view.reserved + view.aside, view.limit.capacity
    reserved = [capacity] * (spoken // capacity) + [spoken % capacity] * (spoken % capacity > 0)

    def starts_us(ahead: Ahead) -> int | None:
        return _played_us(lambda: limit.bucket_of(view.stored, view.now_us), capacity, view.from_us, reserved, ahead)

    last_us, ends_us = starts_us(ahead), view.override_ends_us
    if last_us is None or ends_us is None or view.following is None or last_us <= ends_us:
        return last_us
    # Those that start before the end of an override do so by its numbers, and the others by those that follow.
    low, high = 0, len(ahead.costs)
    for _ in range(_LOOKS):
        if low < high:
            middle = (low + high + 1) // 2
            at_us = starts_us(Ahead(ahead.costs[: middle - 1], ahead.scale, ahead.costs[middle - 1]))
            low, high = (middle, high) if at_us is not None and at_us <= ends_us else (low, middle - 1)
    later = ahead._replace(costs=ahead.costs[low:])
    following, spent = view.following, low > 0
    return _played_us(
        lambda: _bucket_after(view, following, ends_us, spent=spent), following.capacity, max(view.from_us, ends_us), [], later
    )


def _bucket_after(view: BucketView, following: Limit, ends_us: int, *, spent: bool) -> Bucket:
    """A bucket at the end of an override: those that wait there have left nothing."""
    assert view.limit is not None
    if not spent and following.kind == view.limit.kind and not isinstance(following, TokenBucket):
        return following.bucket_of(view.stored, view.now_us)
    bucket = following.full_bucket(ends_us)
    bucket.take(following.capacity, ends_us, "before")
    return bucket


def _played_us(bucket: Callable[[], Bucket], capacity: int, from_us: int, reserved: Sequence[int], ahead: Ahead) -> int | None:
    """When the last starts of all that take from a bucket one after the other."""
    costs = [min(before, capacity) for before in ahead.costs]
    # Those that stand for more than themselves are taken together, as far as they are small beside the capacity.
    group = max(int(min(ahead.scale, capacity / _SMALL / max(max(costs, default=1), 1))), 1)
    scale = ahead.scale / group
    played = [*reserved, *(before * group for before in costs), min(ahead.cost, capacity)]
    last_us = bucket().last_start_us(played, from_us)
    if last_us is None or scale < _ABOUT_ONE or len(played) == 1:
        return last_us
    # Beyond those, at the pace of the second half of them.
    half = len(played) // 2
    half_us = bucket().last_start_us(played[:half], from_us)
    if half_us is None:
        return None
    pace = (last_us - half_us) / max(sum(played[half:]), 1)
    return round(last_us + (scale - 1) * sum(costs) * group * pace)
