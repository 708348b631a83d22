"""This process's share of a limit while Redis is away."""

from hypothesis import given
from hypothesis import strategies as st

from runner import Quota, SlidingWindow, TokenBucket
from runner.asgi.allowance import Allowance
from runner.asgi.local_buckets import LocalBuckets
from runner.limits import Limit, Need

SECOND_US = 1_000_000


def share(limit: Limit, instances: int) -> dict[str, Allowance]:
    return {limit.name: Allowance.of(limit).shared_by(instances)}


def taken(buckets: LocalBuckets, shares: dict[str, Allowance], tries: int, now_us: int) -> int:
    return sum(buckets.take([Need(next(iter(shares)), 1)], shares, now_us).wait_us == 0 for _ in range(tries))


def test_a_share_is_a_part_of_the_capacity_and_of_the_rate() -> None:
    shares = share(SlidingWindow("a", 20, per=10), 4)
    buckets = LocalBuckets(10)

    assert taken(buckets, shares, 100, 0) == 5
    assert taken(buckets, shares, 100, 2 * SECOND_US - 1) == 0
    assert taken(buckets, shares, 100, 2 * SECOND_US) == 1
    assert taken(buckets, shares, 100, 60 * SECOND_US) == 5


def test_a_share_is_never_nothing_but_its_rate_is_still_a_part() -> None:
    shares = share(TokenBucket("a", capacity=5, refill=5, every=60), 10)
    buckets = LocalBuckets(10)

    assert taken(buckets, shares, 100, 0) == 1
    assert taken(buckets, shares, 100, 119 * SECOND_US) == 0
    assert taken(buckets, shares, 100, 120 * SECOND_US) == 1


def test_a_quota_is_kept_at_its_average_rate() -> None:
    shares = share(Quota("a", 48, per="day"), 2)
    buckets = LocalBuckets(10)

    assert taken(buckets, shares, 100, 0) == 24
    assert taken(buckets, shares, 100, 3_599 * SECOND_US) == 0
    assert taken(buckets, shares, 100, 3_600 * SECOND_US) == 1


@given(
    capacity=st.integers(1, 1000),
    refill=st.integers(1, 1000),
    every_us=st.integers(1, 10**11),
    instances=st.integers(1, 100),
    times=st.lists(st.integers(0, 10**12), min_size=1, max_size=30),
)
def test_all_shares_together_never_exceed_the_average_rate(
    capacity: int, refill: int, every_us: int, instances: int, times: list[int]
) -> None:
    limit = TokenBucket("a", capacity=capacity, refill=refill, every=every_us / SECOND_US)
    shares = share(limit, instances)
    buckets = LocalBuckets(10)
    count = sum(taken(buckets, shares, 3, now_us) for now_us in sorted(times))

    span_us = max(times) - min(times)
    assert count <= max(1, capacity // instances) + refill * span_us // (every_us * instances)


def test_all_are_taken_or_none() -> None:
    scarce, plenty = TokenBucket("scarce", rate="1/h"), TokenBucket("plenty", rate="10/h")
    shares = {**share(scarce, 1), **share(plenty, 1)}
    buckets = LocalBuckets(10)
    needs = [Need("plenty", 1), Need("scarce", 1)]

    assert buckets.take(needs, shares, 0).wait_us == 0
    refused = buckets.take(needs, shares, 0)

    assert refused.bucket == "scarce"
    assert refused.wait_us == 3_600 * SECOND_US
    assert refused.left == [(9, 360.0), (0, 3600.0)]


def test_each_key_has_its_own_and_the_least_recently_used_is_forgotten() -> None:
    shares = share(TokenBucket("a", rate="1/h", key="{user}"), 1)
    buckets = LocalBuckets(2)

    admitted = [buckets.take([Need(f"a/{user}", 1)], shares, 0).wait_us == 0 for user in ("u", "v", "u", "w", "w")]

    assert admitted == [True, True, False, True, False]
    assert len(buckets) == 2


def test_a_changed_share_keeps_what_was_taken() -> None:
    before, after = share(TokenBucket("a", rate="10/h"), 1), share(TokenBucket("a", rate="4/h"), 1)
    buckets = LocalBuckets(10)

    assert taken(buckets, before, 3, 0) == 3
    assert taken(buckets, after, 10, 0) == 1
