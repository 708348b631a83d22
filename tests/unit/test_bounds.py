"""What a limit promises: in no closed window is more taken than its bound, and its bound is no larger than it must be."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.limits import BucketState, TokenBucket
from tests.starts import Starts, bound

SMOOTH = [TokenBucket("x", rate=rate, burst=burst) for rate, burst in (("1/s", 1), ("10/s", 3), ("7/3s", 5), ("200/s", 2), ("3/ms", 4))]
INTERVAL = [
    TokenBucket("x", capacity=capacity, refill=refill, every=every)
    for capacity, refill, every in ((1, 1, 1), (5, 1, 1), (5, 5, 60), (10, 2, 10), (4, 3, 0.5), (3, 7, 1), (2, 2, 0.000001))
]


def take(policy: TokenBucket, state: BucketState, now_us: int, wanted: int, starts: Starts) -> BucketState:
    """Take up to `wanted` tokens, one by one."""
    state = state.refilled(policy, now_us)
    while wanted > 0 and state.wait_us(policy, 1, now_us) == 0:
        state = state.taken(policy, 1)
        starts.add(now_us)
        wanted -= 1
    return state


def greedy(policy: TokenBucket, begin_us: int, until_us: int, state: BucketState, starts: Starts) -> None:
    """Take every token at the microsecond it lands."""
    now_us = begin_us
    while now_us <= until_us:
        state = take(policy, state, now_us, policy.capacity, starts)
        now_us += state.wait_us(policy, 1, now_us)


@pytest.mark.parametrize("policy", SMOOTH + INTERVAL, ids=repr)
def test_taking_every_token_as_it_lands_stays_within_the_bound(policy: TokenBucket) -> None:
    starts = Starts()
    greedy(policy, 0, min(8, -(-300 // policy.refill)) * policy.every_us, BucketState(), starts)

    assert starts.excess(policy) == 0


@pytest.mark.parametrize("policy", SMOOTH, ids=repr)
@pytest.mark.parametrize("windows", [0, 1, 2.5, 4])
def test_the_bound_of_a_smooth_bucket_is_reached(policy: TokenBucket, windows: float) -> None:
    window_us = int(windows * policy.every_us)
    starts = Starts()
    greedy(policy, 0, window_us, BucketState(), starts)

    assert len(starts.at_us) == bound(policy, window_us)


@pytest.mark.parametrize("policy", [policy for policy in INTERVAL if policy.refill <= policy.capacity and policy.every_us > 1], ids=repr)
@pytest.mark.parametrize(("whole", "part"), [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)])
def test_the_bound_of_an_interval_bucket_is_reached(policy: TokenBucket, whole: int, part: int) -> None:
    """From a full bucket; or one token first, and the rest just before the end of the interval it began."""
    window_us = whole * policy.every_us + part
    from_full, from_the_last_moment = Starts(), Starts()
    greedy(policy, 0, window_us, BucketState(), from_full)
    state = take(policy, BucketState(), 0, 1, Starts())
    begin_us = policy.every_us - part
    greedy(policy, begin_us, begin_us + window_us, state, from_the_last_moment)

    assert max(len(from_full.at_us), len(from_the_last_moment.at_us)) == bound(policy, window_us)


@pytest.mark.parametrize("policy", SMOOTH + INTERVAL, ids=repr)
@given(data=st.data())
def test_taking_at_random_stays_within_the_bound(policy: TokenBucket, data: st.DataObject) -> None:
    starts, state, now_us = Starts(), BucketState(), 0
    for move_us, wanted in data.draw(histories(policy)):
        now_us += move_us
        state = take(policy, state, now_us, wanted, starts)

    assert starts.excess(policy) <= 0


def histories(policy: TokenBucket) -> st.SearchStrategy[Sequence[tuple[int, int]]]:
    """Moves of about an interval, often to the microsecond of its end or next to it."""
    every_us = policy.every_us
    near = st.sampled_from([0, 1, every_us - 1, every_us, every_us + 1, every_us // 2, every_us // policy.refill])
    return st.lists(st.tuples(st.one_of(near, st.integers(0, 2 * every_us)), st.integers(1, policy.capacity)), max_size=25)


@pytest.mark.parametrize("policy", SMOOTH + INTERVAL, ids=repr)
def test_the_bound_told_to_users_is_that_of_the_definition(policy: TokenBucket) -> None:
    for window_us in windows_of(policy):
        assert policy.bound(window_us / 1e6) == bound(policy, window_us)


def windows_of(policy: TokenBucket) -> Iterator[int]:
    for times in range(6):
        yield from (max(times * policy.every_us + offset, 0) for offset in (-1, 0, 1, policy.every_us // 3))


def test_five_a_minute_may_be_ten_in_a_minute() -> None:
    assert TokenBucket("x", capacity=5, refill=5, every=60).bound(60) == 10
    assert TokenBucket("x", capacity=10, refill=2, every=10).bound(0.000001) == 11
    assert TokenBucket("x", rate="10/s", burst=20).bound(1) == 30
