"""What a log of starts says: how it keeps to its bound, to its order, and to the instants at which its tokens landed. Pure arithmetic."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from runner import TokenBucket
from runner.limits import BucketState


class Start(NamedTuple):
    """One start: the job's place in the order of submission, and on Redis's clock when it was claimed and when its handler ran."""

    place: int
    at_us: int
    handler_us: int | None


def most_in_window(starts: Sequence[Start], window_us: int) -> int:
    """Most starts in any closed window of this length."""
    instants = [start.at_us for start in starts]
    return max(bisect_right(instants, begin + window_us) - index for index, begin in enumerate(instants))


def worst_excess(limit: TokenBucket, starts: Sequence[Start]) -> float:
    """Of all windows, of any length: most starts beyond burst + rate * length, in tokens. At most 0 if the limit was kept."""
    # In whole numbers, as exact as the limit itself. Starts i..j are j - i + 1 in a window of t(j) - t(i):
    # the worst partner of j is the earlier i with the least i - rate * t(i).
    levels = [index * limit.every_us - limit.refill * (start.at_us - starts[0].at_us) for index, start in enumerate(starts)]
    rise = max(level - least for level, least in zip(levels, accumulate(levels, min), strict=True))
    return rise / limit.every_us + 1 - limit.capacity


def order_inversions(starts: Sequence[Start]) -> int:
    """Starts of jobs that were submitted before a job that had started already."""
    inversions, last = 0, -1
    for start in starts:
        inversions += start.place < last
        last = max(last, start.place)
    return inversions


def latenesses_us(limit: TokenBucket, starts: Sequence[Start]) -> tuple[list[int], list[int]]:
    """For each start that had to wait for its token: µs from the landing to the claim, and to the handler where that is known.

    Tokens land at a steady pace from the first start on; a bucket found full starts that count again.
    """
    token_us = limit.every_us / limit.refill
    state, base_us, taken = BucketState(), 0, 0
    to_claim, to_handler = [], []
    for start in starts:
        state = state.refilled(limit, start.at_us)
        if state.deficit == 0:
            base_us, taken = start.at_us, 0
        taken += 1
        state = state.taken(limit, 1)
        if taken > limit.capacity:
            landed_us = base_us + round((taken - limit.capacity) * token_us)
            to_claim.append(start.at_us - landed_us)
            if start.handler_us is not None:
                to_handler.append(start.handler_us - landed_us)
    return to_claim, to_handler
