"""Earliest: the instant before which a job surely does not start, by its limits and the jobs of its own line that are ahead. A lower bound."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from runner.limits import Bucket, Need
from runner.outlook.view import BucketView


class Earliest(NamedTuple):
    """µs from now, and the bucket that is why; "" if nothing keeps the job."""

    wait_us: int
    bucket: str = ""


def earliest(needs: Sequence[Need], views: Mapping[str, BucketView], ahead: Sequence[int]) -> Earliest:
    """The earliest start of a job with these needs, if it is submitted now.

    ahead: of each job that is surely before it in its line, when it ends by itself (µs since 1970, 0: it does not). Others are left out: those
    of another share or priority may come before or after. So are tokens that released jobs hold, and the tokens of a job that takes more
    than one, for it and those ahead can give some back.
    """
    return earliest_of_each(needs, views, [*ahead, 0], 1)[0]


def earliest_of_each(needs: Sequence[Need], views: Mapping[str, BucketView], ends: Sequence[int], count: int) -> list[Earliest]:
    """The same of the last `count` jobs of a line, which all have these needs. ends: as `ahead`, of them too."""
    found = [Earliest(0)] * count
    for need in needs:
        view = views.get(need.bucket)
        if view is None or view.limit is None or view.pace is not None:  # a pace is an estimate, and no bound
            continue
        from_us = max(view.from_us - view.now_us, 0)
        waits_us = [from_us] * count
        if need.cost == 1 and not view.limit.gives_back:
            waits_us = [max(at_us - view.now_us, from_us) for at_us in _tokens_us(view, ends)[-count:]]
        found = [Earliest(wait_us, view.name) if wait_us > known.wait_us else known for wait_us, known in zip(waits_us, found, strict=True)]
    return found


def _tokens_us(view: BucketView, ends: Sequence[int]) -> list[int]:
    """When one token is there for each of a line, after each of those ahead has taken one that has not ended by itself before its turn."""
    turns = _turns(view)
    turn_us = next(turns, view.from_us)
    found: list[int] = []
    for ends_us in ends:
        found.append(turn_us)
        if not ends_us or ends_us > turn_us:
            turn_us = next(turns, turn_us)
    return found


def _turns(view: BucketView) -> Iterator[int]:
    """The instants at which one token after the other can be taken. After the end of an override the bucket may be full again."""
    assert view.limit is not None
    bucket, now_us, number = view.limit.bucket_of(view.stored, view.now_us), view.from_us, 0
    ends_us = view.override_ends_us if view.following is not None else None
    while True:
        at_us = _next_us(bucket, now_us)
        if ends_us is not None and view.following is not None and (at_us is None or at_us > ends_us):
            bucket, now_us, ends_us = view.following.full_bucket(ends_us), max(now_us, ends_us), None
            if view.following.gives_back:
                return
            continue
        if at_us is None:
            return
        bucket.take(1, at_us, f"{number} in line")
        now_us, number = at_us, number + 1
        yield at_us


def _next_us(bucket: Bucket, now_us: int) -> int | None:
    wait_us = bucket.wait_us(1, now_us)
    return None if wait_us is None else now_us + wait_us
