"""LocalBuckets: this process's share of every limit, while Redis cannot be asked. Pure; the time is passed in."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from runner.asgi.allowance import Allowance
from runner.clock import MICROSECONDS
from runner.limits import BucketState, Need, TokenBucket


class LocalTake(NamedTuple):
    """`wait_us`: until all could be taken, 0 if they were; `bucket`: where the wait is longest; `left`: see `Decision`."""

    wait_us: int
    bucket: str
    left: list[tuple[int, float]]


class LocalBuckets:
    """One token bucket per key for limits of every kind; above `most` the least recently used is forgotten.

    They outlast an outage: if Redis goes away again and again, each outage continues with the buckets of the one before.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._states: OrderedDict[str, BucketState] = OrderedDict()

    def __len__(self) -> int:
        return len(self._states)

    def take(self, needs: Sequence[Need], shares: Mapping[str, Allowance], now_us: int) -> LocalTake:
        """Take all or nothing. `shares` are this process's parts, by the name of the limit."""
        policies = [shares[need.limit].bucket() for need in needs]
        states = [
            self._states.get(need.bucket, BucketState(0, now_us)).refilled(policy, now_us)
            for need, policy in zip(needs, policies, strict=True)
        ]
        rows = list(zip(needs, policies, states, strict=True))
        wait_us, bucket = max((state.wait_us(policy, need.cost, now_us), need.bucket) for need, policy, state in rows)
        if wait_us == 0:
            states = [state.taken(policy, need.cost) for need, policy, state in rows]
            for need, state in zip(needs, states, strict=True):
                self._remember(need.bucket, state)
        return LocalTake(wait_us, bucket, [_left(policy, state, now_us) for policy, state in zip(policies, states, strict=True)])

    def _remember(self, bucket: str, state: BucketState) -> None:
        self._states[bucket] = state
        self._states.move_to_end(bucket)
        if len(self._states) > self._most:
            self._states.popitem(last=False)


def _left(policy: TokenBucket, state: BucketState, now_us: int) -> tuple[int, float]:
    """Tokens that could be taken now, and seconds until one more can."""
    left = max(policy.capacity - state.deficit, 0)
    return left, state.wait_us(policy, min(left + 1, policy.capacity), now_us) / MICROSECONDS
