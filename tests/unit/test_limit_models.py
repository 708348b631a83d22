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
from runner.limits import Bucket, BucketState, Concurrency, Limit, Quota, SlidingWindow, StoredBucket, TokenBucket, period_starts
from runner.limits.calendar import PERIODS, period_of

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
    """What a clock on the wall of that zone shows."""
    local = datetime.fromtimestamp(at_us // MICROSECONDS, ZoneInfo(limit.tz))
    shown = (local.year, local.month, local.day, local.hour)
    return shown[: {"month": 2, "day": 3, "hour": 4}[limit.per]]


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


def stored(limit: Limit, starts: list[Start], now_us: int) -> StoredBucket:
    """What Redis would hold after these starts."""
    if isinstance(limit, TokenBucket):
        state = BucketState(0, NOW_US)
        for start in starts:
            state = state.refilled(limit, start.at_us).taken(limit, start.cost)
        return StoredBucket({"deficit": state.deficit, "time": state.time_us})
    if isinstance(limit, SlidingWindow):
        return StoredBucket({"next_at": 0, "paced_until": 0}, [(start.at_us, start.cost) for start in starts])
    assert isinstance(limit, Quota)
    spent = sum(start.cost for start in starts if period(limit, start.at_us) == period(limit, now_us))
    return StoredBucket({"used": spent})


@given(st.one_of(smooth, interval, window, quota), asks, st.lists(st.integers(1, 12), min_size=1, max_size=60), st.integers(0, 3_000))
def test_jobs_start_one_after_the_other_as_if_each_were_asked_for_by_itself(
    limit: Limit, wishes: list[Ask], costs: list[int], gap: int
) -> None:
    starts = started(limit, wishes)
    from_us = starts[-1].at_us + gap * limit.period_us // 1_000
    one_by_one = limit.bucket_of(stored(limit, starts, from_us), from_us)
    now_us, costs = from_us, [min(cost, limit.capacity) for cost in costs]
    for number, cost in enumerate(costs):
        now_us += waited(one_by_one, cost, now_us)
        one_by_one.take(cost, now_us, f"job {number}")

    last_us = limit.bucket_of(stored(limit, starts, from_us), from_us).last_start_us(costs, from_us)
    assert last_us is not None
    rounded_us = (
        len(costs) if isinstance(limit, TokenBucket) and limit.smooth else 0
    )  # a start that needs a full bucket loses less than a microsecond
    assert now_us - rounded_us <= last_us <= now_us


@given(capacities, st.integers(1, 50), st.lists(st.integers(1, 12), min_size=1, max_size=40), st.integers(0, 12))
def test_slots_that_are_held_equally_long_come_back_in_the_order_of_the_starts(
    capacity: int, held_us: int, costs: list[int], running: int
) -> None:
    rows = [(NOW_US - min(number, held_us - 1), 1) for number in range(min(running, capacity))]
    held = [(at_us + held_us, cost) for at_us, cost in rows]
    now_us, costs = NOW_US, [min(cost, capacity) for cost in costs]
    for cost in costs:
        while sum(tokens for _, tokens in held) + cost > capacity:
            now_us = max(now_us, min(held)[0])
            held.remove(min(held))
        held.append((now_us + held_us, cost))

    numbers = {"held_us": held_us, "probe": 0}
    bucket = Concurrency("x", capacity).bucket_of(StoredBucket(numbers, rows), NOW_US)
    assert bucket.last_start_us(costs, NOW_US) == now_us


def test_slots_are_waited_for_as_long_as_they_were_held_lately() -> None:
    slots = Concurrency("x", 2)
    unknown = StoredBucket({"held_us": 0, "probe": 0}, [(NOW_US, 1)])
    assert slots.bucket_of(unknown, NOW_US).last_start_us([1], NOW_US) == NOW_US
    assert slots.bucket_of(unknown, NOW_US).last_start_us([1, 1], NOW_US) is None
    overdue = StoredBucket({"held_us": 10, "probe": 0}, [(NOW_US - 15, 1), (NOW_US - 3, 1)])
    assert [slots.bucket_of(overdue, NOW_US).last_start_us([1] * count, NOW_US) for count in (1, 2, 3)] == [
        NOW_US + 5,
        NOW_US + 7,
        NOW_US + 15,
    ]
    probed = StoredBucket({"held_us": 10, "probe": 1})
    assert [slots.bucket_of(probed, NOW_US).last_start_us([1] * count, NOW_US) for count in (1, 2, 3)] == [NOW_US, NOW_US + 10, NOW_US + 10]


def test_a_window_that_was_frozen_is_paced() -> None:
    window = SlidingWindow("x", 10, per=10)
    paced = StoredBucket({"next_at": NOW_US + 500_000, "paced_until": NOW_US + 3_000_000})
    starts = [window.bucket_of(paced, NOW_US).last_start_us([1] * count, NOW_US) for count in (1, 2, 3, 4, 5)]
    assert starts == [NOW_US + after for after in (500_000, 1_500_000, 2_500_000, 3_000_000, 3_000_000)]


@given(st.sampled_from(sorted(PERIODS)), zones, st.integers(1_500_000_000, 2_200_000_000), st.integers(0, MICROSECONDS - 1))
def test_a_period_is_the_one_that_is_published(per: str, tz: str, second: int, fraction_us: int) -> None:
    now_us = second * MICROSECONDS + fraction_us
    begin_us, end_us = period_starts(per, tz, now_us)[:2]

    assert period_of(per, tz, now_us) == period_of(per, tz, begin_us) == period_of(per, tz, end_us - 1) == (begin_us, end_us)
