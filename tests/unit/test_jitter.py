"""A limit with a jitter: however late its calls arrive, at the provider's door no window has more than what was declared, and hardly less."""

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import ConfigurationError
from runner.limits import Concurrency, Limit, Quota, SlidingWindow, TokenBucket, limit_of
from runner.limits.kinds import limit_of_document

DAY_US = 86_400_000_000


def starts_of(limit: Limit, count: int, moves_us: list[int]) -> list[int]:
    """Instants at which jobs start that are always waiting, but for pauses of these lengths."""
    bucket, now_us = limit.full_bucket(0), 0
    starts: list[int] = []
    pauses = iter(moves_us)
    while len(starts) < count:
        wait_us = bucket.wait_us(1, now_us)
        assert wait_us is not None
        if wait_us:
            now_us += max(wait_us, next(pauses, 0))
            continue
        bucket.take(1, now_us, str(len(starts)))
        starts.append(now_us)
    return starts


def most_beyond(declared: Limit, jitter_us: int, starts: list[int]) -> int:
    """The most by which a window at the door exceeds what was declared, if calls that started apart arrive as close as they can."""
    return max(
        last - first + 1 - declared.bound(max(starts[last] - starts[first] - jitter_us, 0) / 1_000_000)
        for first in range(len(starts))
        for last in range(first, len(starts))
    )


LIMITS = [
    TokenBucket("x", rate="20/s", burst=20, jitter=0.25),
    TokenBucket("x", rate="20/s", burst=6, jitter=0.25),
    TokenBucket("x", rate="20/s", burst=5, jitter=0.25),  # the burst alone is too small
    TokenBucket("x", rate="20/s", burst=2, jitter=0.25),
    TokenBucket("x", rate="1/s", burst=1, jitter=0.25),
    TokenBucket("x", rate="7/3s", burst=9, jitter=1.000001),
    TokenBucket("x", capacity=30, refill=7, every=2, jitter=0.5),
    TokenBucket("x", capacity=30, refill=7, every=2, jitter=4.1),
    SlidingWindow("x", 5, per=2, jitter=0.3),
    SlidingWindow("x", 1, per=0.001, jitter=3),
]


@pytest.mark.parametrize("limit", LIMITS, ids=repr)
@given(moves_us=st.lists(st.integers(0, 5_000_000), max_size=20))
def test_at_the_door_no_window_has_more_than_declared(limit: Limit, moves_us: list[int]) -> None:
    assert limit.declared is not None

    assert most_beyond(limit.declared, limit.jitter_us, starts_of(limit, 60, moves_us)) <= 0


@dataclass
class Looser:
    """A limit, and what would be one more call, or one microsecond less."""

    limit: Limit
    looser: Limit


@pytest.mark.parametrize(
    "case",
    [
        Looser(TokenBucket("x", rate="20/s", burst=20, jitter=0.25), TokenBucket("x", rate="20/s", burst=16)),
        Looser(TokenBucket("x", rate="20/s", burst=6, jitter=0.25), TokenBucket("x", rate="20/s", burst=2)),
        Looser(TokenBucket("x", rate="20/s", burst=5, jitter=0.25), TokenBucket("x", rate="1000/59999ms", burst=1)),
        Looser(TokenBucket("x", rate="1/s", burst=1, jitter=0.25), TokenBucket("x", rate="1/1249999us", burst=1)),
        Looser(SlidingWindow("x", 5, per=2, jitter=0.3), SlidingWindow("x", 5, per=2.299999)),
    ],
    ids=lambda case: repr(case.limit),
)
def test_no_more_is_given_up_than_is_needed(case: Looser) -> None:
    assert case.limit.declared is not None

    assert most_beyond(case.limit.declared, case.limit.jitter_us, starts_of(case.looser, 60, [])) > 0


def test_an_interval_bucket_gives_up_the_refills_that_can_fall_into_the_jitter() -> None:
    """Jobs that start just before a refill and after it arrive together."""
    limit = TokenBucket("x", capacity=30, refill=7, every=2, jitter=0.5)

    assert (limit.capacity, limit.refill, limit.every_us) == (23, 7, 2_000_000)
    assert limit.bound(0, arriving=True) == 22 + 7 <= TokenBucket("x", capacity=30, refill=7, every=2).bound(0)


def test_both_bounds_are_told() -> None:
    limit = TokenBucket("x", rate="20/s", burst=20, jitter=0.25)

    assert (limit.bound(0), limit.bound(1)) == (15, 35)
    assert (limit.bound(0, arriving=True), limit.bound(1, arriving=True)) == (20, 40)
    assert limit.words == "20/s, burst 15 (20/s, burst 20 with 0.25 s of jitter)"


def test_a_quota_starts_nothing_shortly_before_its_period_ends() -> None:
    quota = Quota("x", 2, per="day", jitter=0.25)
    bucket = quota.full_bucket(0)

    assert bucket.wait_us(1, DAY_US - 250_001) == 0
    assert bucket.wait_us(1, DAY_US - 250_000) == 250_000
    assert bucket.wait_us(1, DAY_US) == 0
    assert quota.bound(1, arriving=True) == quota.bound(1) == 4


def test_a_slot_is_held_until_the_call_ended_so_jitter_changes_nothing() -> None:
    assert Concurrency("x", 3, jitter=0.25).capacity == 3


EACH_KIND = [
    *LIMITS,
    Quota("x", 2, per="day", jitter=0.25),
    Concurrency("x", 3, jitter=0.25),
    TokenBucket("x", rate="3/7us", burst=9, jitter=1e-6),
]


@pytest.mark.parametrize("limit", EACH_KIND, ids=repr)
def test_it_is_what_was_published_and_shown_of_it(limit: Limit) -> None:
    read, shown = limit_of(json.loads(limit.to_json())), limit_of_document("x", json.loads(json.dumps(limit.document())))

    assert (read, repr(read), read.words) == (limit, repr(limit), limit.words)
    assert read.declared == limit.declared
    assert repr(shown) == repr(limit)


@pytest.mark.parametrize(
    ("limit", "numbers", "expected"),
    [
        (LIMITS[0], {"burst": 30}, TokenBucket("x", rate="20/s", burst=30, jitter=0.25)),
        (LIMITS[0], {"rate": "40/s"}, TokenBucket("x", rate="40/s", burst=20, jitter=0.25)),
        (LIMITS[2], {"burst": 30}, TokenBucket("x", rate="20/s", burst=30, jitter=0.25)),
        (LIMITS[6], {"every": 3}, TokenBucket("x", capacity=30, refill=7, every=3, jitter=0.5)),
        (LIMITS[8], {"capacity": 6}, SlidingWindow("x", 6, per=2, jitter=0.3)),
        (Quota("x", 2, per="day", jitter=0.25), {"capacity": 6}, Quota("x", 6, per="day", jitter=0.25)),
    ],
    ids=repr,
)
def test_other_numbers_are_those_of_the_door_too(limit: Limit, numbers: dict[str, object], expected: Limit) -> None:
    assert limit.with_numbers(**numbers) == expected


def test_what_leaves_nothing_is_refused_with_a_remedy() -> None:
    with pytest.raises(ConfigurationError, match=r"jitter=0.25 calls of 2 intervals can arrive together.*capacity of 10.*give a rate"):
        TokenBucket("x", capacity=10, refill=10, every=1, jitter=0.25)
    with pytest.raises(ConfigurationError, match=r"nothing would ever start"):
        Quota("x", 10, per="hour", jitter=3600)
    with pytest.raises(ConfigurationError, match=r"jitter of a limit is -1, and must be a number of seconds"):
        TokenBucket("x", rate="1/s", jitter=-1)
