"""What a provider says is left lowers our bucket and never raises it; answers out of order and calls in flight do no harm."""

import json
from collections.abc import Sequence

import pytest

from runner.jobs.job import StartedJob
from runner.limits import BucketStatus, Concurrency, Limit, Quota, SlidingWindow, TokenBucket
from runner.store.claims import Observation
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, end, finish_all, interval, jobs, publish
from tests.store.inside import field

BUCKET = TokenBucket("x", rate="1/s", burst=9)
WIDE = TokenBucket("x", rate="10/s", burst=100)
QUOTA = Quota("x", 100, per="day")
LIMITS: list[Limit] = [BUCKET, interval("x", capacity=9, refill=3, every=5), Quota("x", 9, per="day")]


async def shown(store: JobStore, bucket: str = "x") -> BucketStatus:
    (limit,) = await store.limits(bucket.partition("/")[0], bucket=bucket)
    (found,) = [one for one in limit.buckets if one.bucket == bucket]
    return found


async def begun(store: JobStore, prefix: str, count: int = 1, bucket: str = "x") -> list[StartedJob]:
    await store.submit(jobs(count, prefix, needs=[bucket]))
    started = await claim(store)
    assert len(started) == count
    return started


async def told(store: JobStore, one: StartedJob, left: int, bucket: str = "x") -> int:
    (lowered,) = await store.observe([Observation(bucket, one.id, one.attempt, left)])
    return lowered


async def listened(store: JobStore, bucket: str = "x") -> None:
    """From now on calls note what was used when they began: the first word of a limit only sees to that."""
    (first,) = await begun(store, f"first-{bucket.replace('/', '-')}", bucket=bucket)
    assert await told(store, first, 0, bucket) == 0


@pytest.mark.parametrize("limit", LIMITS, ids=repr)
async def test_a_bucket_is_lowered_to_what_is_left_and_not_raised(store: JobStore, clock: Clock, limit: Limit) -> None:
    await publish(store, limit)
    await listened(store)
    (one,) = await begun(store, "a")
    assert (await shown(store)).tokens == 7

    assert await told(store, one, 4) == 3
    assert (await shown(store)).tokens == 4
    assert await told(store, one, 100) == 0

    status = await shown(store)
    assert status.provider is not None
    assert (status.provider.left, status.tokens) == (100, 7 if limit.kind == "quota" else 4)


async def test_calls_in_flight_that_the_provider_may_not_have_counted_are_taken_off(store: JobStore, clock: Clock) -> None:
    await publish(store, BUCKET)
    await listened(store)
    (one,) = await begun(store, "a")
    await begun(store, "later", 3)
    assert (await shown(store)).tokens == 4

    assert await told(store, one, 5) == 2

    assert (await shown(store)).tokens == 2  # 5 are left, and three calls can still take one each


async def test_what_has_refilled_since_makes_up_for_calls_in_flight(store: JobStore, clock: Clock) -> None:
    await publish(store, BUCKET)
    await listened(store)
    (one,) = await begun(store, "a")
    for number in range(3):
        clock.advance(1)
        await begun(store, f"later{number}-")
    assert (await shown(store)).tokens == 7

    assert await told(store, one, 7) == 0  # at the declared rate nothing is lost
    assert await told(store, one, 6) == 1


async def test_an_answer_to_an_earlier_call_that_comes_later_changes_nothing(store: JobStore, clock: Clock) -> None:
    await publish(store, BUCKET)
    await listened(store)
    (early,) = await begun(store, "early")
    clock.advance(1)
    (late,) = await begun(store, "late")

    assert await told(store, late, 6) >= 0
    before = (await shown(store)).tokens
    assert await told(store, early, 0) == -1

    assert (await shown(store)).tokens == before


async def test_what_was_lowered_is_not_taken_for_calls_of_our_own(store: JobStore, clock: Clock) -> None:
    await publish(store, WIDE)
    await listened(store)
    (one,) = await begun(store, "a")
    (other,) = await begun(store, "b")
    assert await told(store, one, 70) == 97 - (70 - 1 - 10)

    assert await told(store, other, 69) == 0  # 69 - a margin of 10 are there already


async def test_a_smooth_bucket_leaves_a_tenth_to_others_and_twice_that_after_a_word_to_wait(store: JobStore, clock: Clock) -> None:
    await publish(store, WIDE)
    await listened(store)
    (one,) = await begun(store, "a")

    await told(store, one, 50)
    assert (await shown(store)).tokens == 40

    await store.redis.set(store.keys.freezes("x"), "1 1 1000000", px=60_000)
    await told(store, one, 50)
    assert (await shown(store)).tokens == 30


async def test_the_debt_is_one_capacity_at_most(store: JobStore, clock: Clock) -> None:
    await publish(store, BUCKET)
    await listened(store)
    (one,) = await begun(store, "a")
    (other,) = await begun(store, "b")
    await end(store, other, settled="x=50")

    await told(store, one, 0)

    assert await field(store, "x", "deficit") == 2 * BUCKET.capacity * BUCKET.credits_a_token


async def test_of_a_quota_the_latest_word_counts_and_its_own_starts_stay_counted(store: JobStore, clock: Clock) -> None:
    await publish(store, QUOTA)
    await listened(store)
    (one,) = await begun(store, "a")
    assert await told(store, one, 20) == 78
    clock.advance(1)
    (other,) = await begun(store, "b")

    assert await told(store, other, 60) == 37
    assert (await shown(store)).tokens == 60
    await told(store, other, 1_000)
    assert (await shown(store)).tokens == 97


async def test_of_a_quota_a_word_to_a_call_of_the_period_before_changes_nothing(store: JobStore, clock: Clock) -> None:
    await publish(store, QUOTA)
    await listened(store)
    (one,) = await begun(store, "a")
    clock.advance(86_400)
    (other,) = await begun(store, "b")

    assert await told(store, one, 0) == -1
    assert await told(store, other, 0) >= 0


async def test_each_bucket_of_a_limit_with_a_key_has_its_own_count(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("t", rate="1/s", burst=9, key="{id}"))
    for bucket in ("t/a", "t/b"):
        await listened(store, bucket)
    (one,) = await begun(store, "a", bucket="t/a")

    assert await told(store, one, 3, "t/a") == 4

    assert [(await shown(store, bucket)).tokens for bucket in ("t/a", "t/b")] == [3, 8]


async def test_words_of_attempts_that_are_over_and_of_strangers_change_nothing(store: JobStore, clock: Clock) -> None:
    await publish(store, BUCKET)
    await listened(store)
    (one,) = await begun(store, "a")

    words = [
        Observation("x", one.id, one.attempt + 1, 0),
        Observation("x", "nobody", 1, 0),
        Observation("unknown", one.id, one.attempt, 0),
    ]

    assert await store.observe(words) == [-1, -1, -1]
    assert (await shown(store)).tokens == 7


@pytest.mark.parametrize("limit", [SlidingWindow("x", 9, per=60), Concurrency("x", 9)], ids=repr)
async def test_kinds_of_which_no_provider_says_what_is_left_are_left_alone(store: JobStore, clock: Clock, limit: Limit) -> None:
    await publish(store, limit)
    (one,) = await begun(store, "a")

    assert await told(store, one, 0) == -1


async def test_a_word_that_is_sent_twice_counts_once(store: JobStore, clock: Clock) -> None:
    await publish(store, WIDE)
    await listened(store)
    (one,) = await begun(store, "a")

    assert [await told(store, one, 60) for _ in range(3)] == [48, 0, 0]


async def test_a_word_is_forgotten_with_its_memory_and_damaged_memory_is_none(store: JobStore, clock: Clock) -> None:
    await publish(store, BUCKET)
    await listened(store)
    (one,) = await begun(store, "a")
    clock.advance(1)
    await store.redis.delete(store.keys.observed("x"))
    await store.redis.set(store.keys.observed("x"), "odd")

    assert await told(store, one, 0) == 0  # as the first word: it only sees to it that later ones count
    assert await told(store, one, 0) == -1
    assert (await shown(store)).tokens == 8


async def test_nothing_is_noted_for_limits_of_which_nobody_tells(store: JobStore, clock: Clock) -> None:
    await publish(store, BUCKET)
    (one,) = await begun(store, "a")

    assert not await store.redis.hexists(store.keys.job(one.id), "levels")
    entry = json.loads(await store.redis.hget(store.keys.limits, "x") or b"{}")
    assert "observed" not in entry
    assert (await shown(store)).provider is None


async def test_with_words_about_every_call_no_more_starts_than_is_declared_in_any_window(store: JobStore, clock: Clock) -> None:
    """A provider that says there is always plenty raises nothing."""
    await publish(store, BUCKET)
    await listened(store)
    await store.submit(jobs(60, "w", needs=["x"]))
    starts: list[int] = []
    for _ in range(60):
        started: Sequence[StartedJob] = await claim(store)
        starts += [clock.now_us] * len(started)
        for one in started:
            await told(store, one, 10_000)
        await finish_all(store, started)
        clock.advance_us(250_000)
        await store.refill()

    assert max(sum(at <= other < at + 10_000_000 for other in starts) for at in starts) <= BUCKET.bound(10)
    assert len(starts) >= 20
