"""What a provider says is left lowers our bucket and never raises it; answers out of order and calls in flight do no harm."""

import json
from collections.abc import Sequence

import pytest

from runner.jobs.job import StartedJob
from runner.limits import BucketStatus, Concurrency, Limit, Quota, SlidingWindow, TokenBucket
from runner.store import Decision, Observation, TakeAnswer
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, end, finish_all, interval, jobs, publish
from tests.store.inside import field, states

BUCKET = TokenBucket("x", rate="1/s", burst=9)
WIDE = TokenBucket("x", rate="10/s", burst=100)
QUOTA = Quota("x", 100, per="day")
WINDOW = SlidingWindow("x", 9, per=60)
LIMITS: list[Limit] = [BUCKET, interval("x", capacity=9, refill=3, every=5), Quota("x", 9, per="day"), WINDOW]


async def shown(store: JobStore, bucket: str = "x") -> BucketStatus:
    (limit,) = await store.limits(bucket.partition("/")[0], bucket=bucket)
    (found,) = [one for one in limit.buckets if one.bucket == bucket]
    return found


async def begun(store: JobStore, prefix: str, count: int = 1, bucket: str = "x") -> list[StartedJob]:
    await store.submit(jobs(count, prefix, needs=[bucket]))
    started = await claim(store)
    assert len(started) == count
    return started


async def told(store: JobStore, one: StartedJob, left: int, bucket: str = "x", *, resets_in: float | None = None) -> int:
    resets_in_us = -1 if resets_in is None else round(resets_in * 1_000_000)
    (heard,) = await store.observe([Observation(bucket, one.id, one.attempt, left, resets_in_us)])
    return heard.lowered


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
    assert (status.provider.left, status.tokens) == (100, 7 if limit.kind in ("quota", "sliding_window") else 4)


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

    assert [heard.lowered for heard in await store.observe(words)] == [-1, -1, -1]
    assert (await shown(store)).tokens == 7


async def test_slots_are_left_alone(store: JobStore, clock: Clock) -> None:
    await publish(store, Concurrency("x", 9))
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


async def test_an_interval_ends_with_the_provider_s_and_not_before(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=9, refill=9, every=60))
    await listened(store)
    clock.advance(20)
    (one,) = await begun(store, "a")

    await told(store, one, 0, resets_in=50)  # ours would end in 40 s

    clock.advance(49)
    assert (await shown(store)).tokens == 0
    clock.advance(1)
    assert (await shown(store)).tokens == 9


@pytest.mark.parametrize("resets_in", [10, 3600], ids=["sooner", "of another counter"])
async def test_an_interval_ends_neither_sooner_nor_much_later_for_what_a_provider_says(
    store: JobStore, clock: Clock, resets_in: float
) -> None:
    await publish(store, interval("x", capacity=9, refill=9, every=60))
    await listened(store)
    clock.advance(20)
    (one,) = await begun(store, "a")

    await told(store, one, 0, resets_in=resets_in)

    clock.advance(39)
    assert (await shown(store)).tokens == 0
    clock.advance(1)
    assert (await shown(store)).tokens == 9


async def test_a_smooth_bucket_refills_whenever_the_provider_s_is_full_again(store: JobStore, clock: Clock) -> None:
    await publish(store, BUCKET)
    await listened(store)
    (one,) = await begun(store, "a")

    await told(store, one, 0, resets_in=360)

    clock.advance(3)
    assert (await shown(store)).tokens == 3


@pytest.mark.parametrize("limit", [Quota("x", 9, per="day"), WINDOW], ids=repr)
async def test_what_was_lowered_comes_back_when_the_provider_s_count_is_set_back(store: JobStore, clock: Clock, limit: Limit) -> None:
    await publish(store, limit)
    await listened(store)
    (one,) = await begun(store, "a")
    assert await told(store, one, 0, resets_in=30) == 7
    await store.submit(jobs(1, "waits", needs=["x"]))
    assert await claim(store) == []

    clock.advance_us(30_000_001)

    assert (await shown(store)).tokens == 7  # the two starts of our own stay counted
    await store.refill()
    assert [job.id for job in await claim(store)] == ["waits0"]


async def test_what_was_lowered_comes_back_once(store: JobStore, clock: Clock) -> None:
    await publish(store, QUOTA)
    await listened(store)
    (one,) = await begun(store, "a")
    await told(store, one, 10, resets_in=30)
    clock.advance(31)
    (other,) = await begun(store, "b")

    assert await told(store, other, 1_000) == 0
    assert (await shown(store)).tokens == 97


async def test_of_a_spent_quota_that_fails_its_jobs_those_wait_whose_tokens_come_back(store: JobStore, clock: Clock) -> None:
    await publish(store, Quota("x", 9, per="day", on_exhausted="fail"))
    await listened(store)
    (one,) = await begun(store, "a")
    await told(store, one, 0, resets_in=30)

    await store.submit(jobs(1, "waits", needs=["x"]))

    assert await claim(store) == []
    assert await states(store, ["waits0"]) == ["waiting"]


async def test_a_window_forgets_what_was_lowered_with_the_start_that_stood_for_it(store: JobStore, clock: Clock) -> None:
    await publish(store, WINDOW)
    await listened(store)
    (one,) = await begun(store, "a")
    assert await told(store, one, 3) == 4
    clock.advance(1)
    (other,) = await begun(store, "b")

    assert await told(store, other, 3) == 3  # as if it were the first word: 9, less 3 starts, is 6
    assert (await shown(store)).tokens == 3
    clock.advance(61)
    assert (await shown(store)).tokens == 9


@pytest.mark.parametrize("limit", [WIDE, QUOTA, SlidingWindow("x", 100, per=60)], ids=repr)
async def test_an_overview_tells_what_the_provider_says_and_how_much_others_took(store: JobStore, clock: Clock, limit: Limit) -> None:
    await publish(store, limit)
    await listened(store)
    (one,) = await begun(store, "a")
    first = await told(store, one, 50)
    (other,) = await begun(store, "b")
    second = await told(store, other, 40)

    (found,) = (await store.overview(serves_ms=0)).limits
    provider = found.buckets[0].provider

    assert provider is not None
    assert provider.left == 40
    assert provider == (await shown(store)).provider
    others = first + second if limit is WIDE else second  # of the others the second word counts all that is lowered
    assert provider.lowered == others


async def taken(store: JobStore, ticket: str, *, wait: float = 0.0) -> Decision:
    return await store.take(f"take:{ticket}", "x=1", "1|x", wait_us=round(wait * 1_000_000))


async def told_of(store: JobStore, call: Decision, left: int) -> int:
    (heard,) = await store.observe([Observation("x", "", 0, left, started_us=call.at_us, levels=call.levels)])
    return heard.lowered


async def test_a_call_without_a_job_tells_as_a_job_does(store: JobStore, clock: Clock) -> None:
    await publish(store, BUCKET)
    first = await taken(store, "first")
    assert (first.state, first.at_us, first.levels) == (TakeAnswer.taken, clock.now_us, ""), "nobody tells: nothing is noted"
    assert await told_of(store, first, 0) == 0, "the first word only sees to that"

    early = await taken(store, "early")
    assert early.levels
    clock.advance_us(1)
    late = await taken(store, "late")
    await taken(store, "in flight")
    clock.advance_us(1)
    (job,) = await begun(store, "j")

    assert (await shown(store)).tokens == 4
    assert await told_of(store, late, 5) == 1, "5 are left, and two calls that began later can still take one each"
    assert await told_of(store, early, 0) == -1, "an earlier call"
    assert await told(store, job, 3) == 0
    assert (await shown(store)).tokens == 3
    assert await told_of(store, late, 0) == -1, "before the job that told"


async def test_a_call_that_stood_in_line_tells_by_the_instant_at_which_it_came(store: JobStore, clock: Clock) -> None:
    await publish(store, BUCKET)
    await listened(store)
    await begun(store, "j", 8)

    waits = await taken(store, "waits", wait=60)
    assert (waits.state, waits.at_us) == (TakeAnswer.waiting, clock.now_us)
    clock.advance(1)
    await store.refill()
    clock.advance(4)
    assert (await shown(store)).tokens == 4

    assert await told_of(store, waits, 2) == 2


@pytest.mark.parametrize("start", ["", "x=17:3", "x=1", "y=1:1;=;;", "x=nan:nan", "\x00"])
async def test_a_call_that_noted_nothing_of_use_changes_nothing(store: JobStore, clock: Clock, start: str) -> None:
    await publish(store, BUCKET)
    await listened(store)
    call = await taken(store, "a")
    for at_us in (call.at_us, -1, 1):
        assert await told_of(store, call._replace(at_us=at_us, levels=start), 0) == -1
    assert (await shown(store)).tokens == 7
