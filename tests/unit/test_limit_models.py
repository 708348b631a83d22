"""Every kind of limit in virtual time: no window holds more than it may, and no wait is a microsecond too long, by independent arithmetic."""

import math
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from runner.clock import MICROSECONDS
from runner.limits import Bucket, Concurrency, Limit, Quota, SlidingWindow, TokenBucket, period_starts
from runner.limits.quota import PERIODS, period_of

NOW_US = 1_774_742_400 * MICROSECONDS  # 2026-03-29 00:00 UTC: an hour before Europe puts its clocks forward

capacities = st.integers(1, 12)
smooth = st.builds(
    lambda tokens, every, burst: TokenBucket("x", rate=f"{tokens}/{every}", burst=burst),
    st.integers(1, 30),
    st.sampled_from(["ms", "7ms", "s", "3s", "min"]),
    capacities,
)
interval = st.builds(
    lambda capacity, refill, every: TokenBucket("x", capacity=capacity, refill=refill, every=every),
    capacities,
    st.integers(1, 15),
    st.sampled_from([0.000_003, 0.01, 2, 10]),
)
window = st.builds(lambda capacity, per: SlidingWindow("x", capacity, per=per), capacities, st.sampled_from([0.000_002, 0.5, 3, 60]))
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"])
quota = st.builds(
    lambda capacity, per, tz: Quota("x", capacity, per=per, tz=tz), capacities, st.sampled_from(["hour", "day", "month"]), zones
)


class Ask(NamedTuple):
    """A wish for a start: how long after the start before it (in thousandths of the limit's own pace), and for how many tokens."""

    gap: int
    cost: int


class Start(NamedTuple):
    asked_us: int
    at_us: int
    cost: int


asks = st.lists(st.builds(Ask, st.one_of(st.just(0), st.integers(0, 4_000)), st.integers(1, 12)), min_size=1, max_size=40)


def started(limit: Limit, wishes: list[Ask]) -> list[Start]:
    """Each wish in its order, started the instant its tokens are there."""
    starts: list[Start] = []
    bucket, now_us = limit.full_bucket(NOW_US), NOW_US
    for wish in wishes:
        asked_us = now_us + wish.gap * limit.period_us // 1_000
        cost = min(wish.cost, limit.capacity)
        now_us = asked_us + waited(bucket, cost, asked_us)
        bucket.take(cost, now_us, str(len(starts)))
        starts.append(Start(asked_us, now_us, cost))
    return starts


def waited(bucket: Bucket, cost: int, now_us: int) -> int:
    """The wait, which is over exactly when it says, however often it is asked for."""
    wait_us = bucket.wait_us(cost, now_us)
    assert wait_us is not None
    if wait_us:
        assert bucket.wait_us(cost, now_us + wait_us - 1) == 1
        assert bucket.wait_us(cost, now_us + wait_us) == 0
    return wait_us


@given(st.one_of(smooth, interval, window, quota), asks)
def test_no_window_of_any_length_holds_more_than_its_bound(limit: Limit, wishes: list[Ask]) -> None:
    starts = started(limit, wishes)

    for first, start in enumerate(starts):
        tokens = 0
        for last in starts[first:]:
            tokens += last.cost
            assert tokens <= limit.bound((last.at_us - start.at_us) / MICROSECONDS)


@given(smooth, asks)
def test_a_smooth_bucket_is_the_real_numbers_rounded_up_to_a_microsecond(limit: TokenBucket, wishes: list[Ask]) -> None:
    pace = Fraction(limit.refill, limit.every_us)
    spent, now_us = Fraction(0), NOW_US

    for start in started(limit, wishes):
        spent = max(spent - pace * (start.asked_us - now_us), Fraction(0))
        now_us = start.asked_us + max(math.ceil((spent + start.cost - limit.capacity) / pace), 0)
        assert start.at_us == now_us
        spent = max(spent - pace * (now_us - start.asked_us), Fraction(0)) + start.cost


@given(interval, asks)
def test_an_interval_bucket_is_filled_by_a_clock_that_starts_when_it_stops_being_full(limit: TokenBucket, wishes: list[Ask]) -> None:
    tokens, landing_us = limit.capacity, NOW_US

    for start in started(limit, wishes):
        now_us = start.asked_us
        while tokens < limit.capacity and (landing_us <= now_us or tokens < start.cost):
            now_us = max(now_us, landing_us)
            tokens, landing_us = min(tokens + limit.refill, limit.capacity), landing_us + limit.every_us
        assert start.at_us == now_us
        if tokens == limit.capacity:
            landing_us = now_us + limit.every_us
        tokens -= start.cost


@given(window, asks)
def test_a_sliding_window_starts_at_the_first_instant_whose_own_window_has_room(limit: SlidingWindow, wishes: list[Ask]) -> None:
    starts = started(limit, wishes)

    for count, start in enumerate(starts):
        before = starts[:count]
        instants = sorted({start.asked_us, *(other.at_us + limit.window_us + 1 for other in before)})
        room = (at for at in instants if at >= start.asked_us and taken_in(before, at - limit.window_us) + start.cost <= limit.capacity)
        assert start.at_us == next(room)


def taken_in(starts: list[Start], from_us: int) -> int:
    return sum(start.cost for start in starts if start.at_us >= from_us)


@given(quota, asks)
def test_a_quota_is_kept_in_every_calendar_period_and_spent_before_anybody_waits(limit: Quota, wishes: list[Ask]) -> None:
    spent: Counter[tuple[object, ...]] = Counter()

    for start in started(limit, wishes):
        if start.at_us > start.asked_us:
            assert spent[period(limit, start.asked_us)] + start.cost > limit.capacity
            assert period(limit, start.at_us - 1) == period(limit, start.asked_us) != period(limit, start.at_us)
        spent[period(limit, start.at_us)] += start.cost
        assert spent[period(limit, start.at_us)] <= limit.capacity


def period(limit: Quota, at_us: int) -> tuple[object, ...]:
    """What a calendar on the wall of that zone shows; an hour that is repeated shows another offset."""
    local = datetime.fromtimestamp(at_us // MICROSECONDS, ZoneInfo(limit.tz))
    shown = (local.year, local.month, local.day, local.hour, local.utcoffset())
    return shown[: {"month": 2, "day": 3, "hour": 5}[limit.per]]


@given(capacities, st.lists(st.tuples(st.integers(0, 9), st.integers(1, 12), st.integers(0, 50)), min_size=1, max_size=40))
def test_concurrency_lets_in_exactly_as_many_as_are_not_held(capacity: int, jobs: list[tuple[int, int, int]]) -> None:
    bucket, now_us, held = Concurrency("x", capacity).full_bucket(NOW_US), NOW_US, dict[str, tuple[int, int]]()

    for number, (gap, wish, duration) in enumerate(jobs):
        now_us, cost = now_us + gap, min(wish, capacity)
        for holder in [holder for holder, (end_us, _) in held.items() if end_us <= now_us]:
            del held[holder]
            bucket.give_back(holder, now_us)
            bucket.give_back(holder, now_us)
        in_use = sum(tokens for _, tokens in held.values())
        assert bucket.wait_us(cost, now_us) == (0 if in_use + cost <= capacity else None)
        if in_use + cost <= capacity:
            held[str(number)] = (now_us + duration, cost)
            bucket.take(cost, now_us, str(number))
            bucket.take(cost, now_us, str(number))


@given(st.one_of(smooth, interval, window, quota), asks, st.integers(1, 12), st.integers(1, 30))
def test_tokens_spoken_for_are_waited_for_no_longer_than_if_they_had_been_taken(
    limit: Limit, wishes: list[Ask], cost: int, others: int
) -> None:
    bucket, now_us = limit.full_bucket(NOW_US), NOW_US
    for start in started(limit, wishes):
        now_us = start.at_us
        bucket.take(start.cost, now_us, str(now_us))
    cost = min(cost, limit.capacity)

    wait_us = bucket.wait_us(cost, now_us, others)

    at_us = now_us
    for instant in taken_one_by_one(bucket, others, now_us):
        at_us = instant
    last_us = bucket.wait_us(cost, at_us)
    assert wait_us is not None
    assert last_us is not None
    assert wait_us <= at_us + last_us - now_us
    assert wait_us > 0 or at_us == now_us


def taken_one_by_one(bucket: Bucket, count: int, now_us: int) -> Iterator[int]:
    for number in range(count):
        now_us += waited(bucket, 1, now_us)
        bucket.take(1, now_us, f"other {number}")
        yield now_us


@given(st.sampled_from(sorted(PERIODS)), zones, st.integers(1_500_000_000, 2_200_000_000), st.integers(0, MICROSECONDS - 1))
def test_a_period_is_the_one_that_is_published(per: str, tz: str, second: int, fraction_us: int) -> None:
    now_us = second * MICROSECONDS + fraction_us
    begin_us, end_us = period_starts(per, tz, now_us)[:2]

    assert period_of(per, tz, now_us) == period_of(per, tz, begin_us) == period_of(per, tz, end_us - 1) == (begin_us, end_us)
