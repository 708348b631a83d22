"""Freezes: a longer one is never shortened, then exactly one probe, then the normal rate without a burst."""

import pytest

from runner.jobs.job import Ending, Outcome, StartedJob
from runner.jobs.job_error import JobError
from runner.limits import Concurrency, Limit, Quota, SlidingWindow, TokenBucket
from runner.store.finding import Level
from runner.store.job_findings import throttled_often
from runner.store.job_store import JobStore
from runner.store.replies import Throttled
from tests.store.builders import Clock, claim, end, finish_all, ids, interval, job, jobs, publish
from tests.store.inside import bucket_state, field, forgotten_at, states

S = 1_000_000
LIMITS = [
    TokenBucket("x", rate="2/s", burst=6),
    interval("x", capacity=6, refill=1, every=0.5),
    SlidingWindow("x", 6, per=3),
]
KINDS: list[Limit] = [*LIMITS, Concurrency("x", 6), Quota("x", 6, per="day")]


async def throttle(store: JobStore, one: StartedJob, seconds: float, bucket: str = "x", *, most: int = 0) -> Throttled:
    """The provider of a job said wait: what came of it."""
    payload = b'{"type":"Throttled","message":"wait"}'
    answers = await store.finish("w", [Outcome(one, Ending.throttled, payload, round(seconds * S), 60_000, "", bucket, most)])
    assert answers == ["accepted"]
    (freeze,) = answers.throttled
    return freeze


async def serve_for(store: JobStore, clock: Clock, seconds: float) -> list[int]:
    """The instants (µs from now) of all starts in the time to come; whatever starts ends at once."""
    begin_us, instants = clock.now_us, []
    while clock.now_us <= begin_us + seconds * S:
        while started := await claim(store):
            instants += [clock.now_us - begin_us] * len(started)
            await finish_all(store, started)
            await store.refill()
        _, next_us = await store.refill()
        if next_us < 0:
            break
        clock.advance_us(max(next_us, 1))
    return instants


@pytest.mark.parametrize("limit", LIMITS, ids=repr)
async def test_after_a_freeze_comes_one_probe_and_then_the_normal_rate(store: JobStore, clock: Clock, limit: Limit) -> None:
    await publish(store, limit)
    await store.submit(jobs(30, needs=["x"]))
    (one, *others) = await claim(store)
    await finish_all(store, others)
    await throttle(store, one, 10)

    instants = await serve_for(store, clock, 13)

    assert instants[:1] == [10 * S]
    assert [at - 10 * S for at in instants[:6]] == [number * S // 2 for number in range(6)]


@pytest.mark.parametrize("limit", KINDS, ids=repr)
async def test_nothing_starts_before_the_instant_the_provider_named(store: JobStore, clock: Clock, limit: Limit) -> None:
    await publish(store, limit)
    await store.submit(jobs(4, needs=["x"]))
    (one,) = await claim(store, free=1)
    await throttle(store, one, 10)
    assert await states(store, ["j0", "j1"]) == ["waiting", "queued"]

    clock.advance_us(10 * S - 1)
    assert await claim(store) == []
    (status,) = await store.get(["j0"])
    assert status is not None
    assert (status.reason, status.throttled, status.failures, status.attempt) == ("frozen", 1, 0, 1)
    clock.advance_us(1)
    started = await claim(store)
    assert started
    assert started[0].id == "j0"


@pytest.mark.parametrize("limit", KINDS, ids=repr)
async def test_a_shorter_wait_never_shortens_a_longer_one(store: JobStore, clock: Clock, limit: Limit) -> None:
    await publish(store, limit)
    await store.submit(jobs(4, needs=["x"]))
    one, other, third, _ = await claim(store)
    await throttle(store, one, 10)
    clock.advance(1)
    await throttle(store, other, 2)
    assert await store.freeze("x", 3 * S, "hand") == 9 * S
    assert await store.freeze("x", 10 * S, "hand") == 10 * S
    await throttle(store, third, 1)

    clock.advance_us(10 * S - 1)
    assert await claim(store) == []
    clock.advance_us(1)
    assert len(await claim(store)) >= 1


async def test_a_throttled_job_goes_first_again(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="1/s", burst=2))
    await store.submit(jobs(6, needs=["x"]))
    one, other = await claim(store)
    await throttle(store, other, 5)
    await throttle(store, one, 5)

    clock.advance(5)
    assert ids(await claim(store)) == ["j0"]
    clock.advance(1)
    assert ids(await claim(store)) == ["j1"]


async def test_a_probe_that_is_throttled_too_is_followed_by_another_single_one(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="10/s", burst=10))
    await store.submit(jobs(30, needs=["x"]))
    one, *others = await claim(store)
    await finish_all(store, others)
    for _ in range(3):
        await throttle(store, one, 7)
        clock.advance(7)
        (one,) = await claim(store)
        assert one.id == "j0"


@pytest.mark.parametrize("limit", LIMITS, ids=repr)
async def test_what_comes_back_during_a_freeze_makes_no_second_probe(store: JobStore, clock: Clock, limit: Limit) -> None:
    await publish(store, limit)
    await store.submit([job("big", needs=[("x", 5)]), *jobs(20, needs=["x"])])
    big, small = await claim(store)
    await throttle(store, small, 10)
    clock.advance(1)
    await end(store, big, settled="x=0")

    clock.advance(9)
    assert ids(await claim(store)) == ["j0"]


async def test_a_freeze_lets_only_one_through_when_the_limit_is_made_larger_meanwhile(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="1/s", burst=3))
    await store.submit(jobs(20, needs=["x"]))
    one, *_ = await claim(store)
    await throttle(store, one, 10)

    await publish(store, TokenBucket("x", rate="7/3s", burst=12))

    clock.advance(10)
    assert ids(await claim(store)) == ["j0"]


@pytest.mark.parametrize("limit", KINDS, ids=repr)
async def test_a_frozen_bucket_is_kept_as_long_as_it_is_frozen(store: JobStore, limit: Limit) -> None:
    await publish(store, limit)

    assert await store.freeze("x", 3_600 * S, "hand") == 3_600 * S

    forgotten = await forgotten_at(store, store.keys.bucket("x"))
    assert forgotten is not None
    assert forgotten > 3_600_000


async def test_a_release_lets_one_through_at_once_and_the_rest_at_the_normal_rate(store: JobStore, clock: Clock) -> None:
    for limit in LIMITS[:2]:
        await publish(store, limit)
        await store.freeze("x", 3_600 * S, "hand")
        await store.submit(jobs(4, f"{limit.kind}{id(limit)}-", needs=["x"]))
        clock.advance(1)
        assert await claim(store) == []

        assert await store.freeze("x", 0, "") == 0

        assert (await serve_for(store, clock, 3))[:4] == [0, S // 2, S, 3 * S // 2]


async def test_a_release_of_a_concurrency_lets_all_go(store: JobStore) -> None:
    await publish(store, Concurrency("x", 3))
    await store.freeze("x", 3_600 * S, "hand")
    await store.submit(jobs(4, needs=["x"]))
    assert await claim(store) == []

    await store.freeze("x", 0, "")

    assert len(await claim(store)) == 3


KEYED: list[Limit] = [
    TokenBucket("x", rate="2/s", burst=6, key="{id}"),
    interval("x", capacity=6, refill=1, every=0.5, key="{id}"),
    SlidingWindow("x", 6, per=3, key="{id}"),
    Concurrency("x", 6, key="{id}"),
]


@pytest.mark.parametrize("limit", KEYED, ids=repr)
async def test_a_whole_limit_is_frozen_with_each_of_its_buckets(store: JobStore, clock: Clock, limit: Limit) -> None:
    await publish(store, limit)
    await store.submit([*jobs(4, "a", needs=["x/a"]), *jobs(4, "b", needs=["x/b"])])

    assert await store.freeze("x", 10 * S, "hand") == 10 * S
    assert await store.freeze("x", 5 * S, "hand") == 10 * S
    assert await claim(store) == []
    await store.submit(jobs(4, "c", needs=["x/c"]))
    clock.advance_us(10 * S - 1)
    assert await claim(store) == []
    (status,) = await store.get(["c0"])
    assert status is not None
    assert status.reason == "frozen"
    clock.advance_us(1)

    assert sorted(ids(await claim(store))) == ["a0", "b0", "c0"]


@pytest.mark.parametrize("limit", KEYED[:3], ids=repr)
async def test_a_bucket_nobody_looked_at_during_a_freeze_begins_with_a_probe_too(store: JobStore, clock: Clock, limit: Limit) -> None:
    await publish(store, limit)
    await store.freeze("x", 10 * S, "hand")
    clock.advance(10)

    await store.submit(jobs(4, needs=["x/a"]))

    assert ids(await claim(store)) == ["j0"]


async def test_a_whole_limit_that_is_released_goes_on(store: JobStore, clock: Clock) -> None:
    await publish(store, KEYED[0])
    await store.freeze("x", 3_600 * S, "hand")
    await store.submit(jobs(4, needs=["x/a"]))
    assert await claim(store) == []
    clock.advance(1)

    assert await store.freeze("x", 0, "") == 0

    assert (await serve_for(store, clock, 2))[:4] == [0, S // 2, S, 3 * S // 2]


async def test_a_freeze_of_one_key_leaves_the_others_alone(store: JobStore, clock: Clock) -> None:
    await publish(store, KEYED[0])
    await store.freeze("x/a", 10 * S, "hand")
    await store.submit([*jobs(2, "a", needs=["x/a"]), *jobs(2, "b", needs=["x/b"])])

    assert sorted(ids(await claim(store))) == ["b0", "b1"]


async def test_a_limit_nobody_has_published_cannot_be_frozen(store: JobStore) -> None:
    assert await store.freeze("x", S, "hand") is None


async def test_a_late_word_of_a_lost_attempt_freezes_nothing(store: JobStore) -> None:
    await publish(store, TokenBucket("x", rate="1/s", burst=5))
    await store.submit(jobs(1, needs=["x"]))
    (late,) = await claim(store)
    await store.reconcile("w", [])

    assert await end(store, late, Ending.throttled, delay=60, freeze="x") == "stale"
    assert (await bucket_state(store, "x")).frozen_until_us == 0


async def test_a_throttled_outcome_that_is_repeated_counts_once(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="1/s", burst=5))
    await store.submit(jobs(1, needs=["x"]))
    (one,) = await claim(store)

    await throttle(store, one, 10)
    clock.advance(5)
    assert await end(store, one, Ending.throttled, delay=10, freeze="x") == "stale"

    assert (await bucket_state(store, "x")).frozen_until_us == clock.now_us + 5 * S
    (status,) = await store.get(["j0"])
    assert status is not None
    assert status.throttled == 1


async def test_a_freeze_leaves_no_more_than_it_says(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=6, refill=1, every=0.5))
    await store.submit([job("a", needs=[("x", 6)])])
    (one,) = await claim(store)
    await throttle(store, one, 10)

    assert await field(store, "x", "deficit") == 6  # a debt is no smaller for a freeze


@pytest.mark.parametrize("said_s", [0, 0.5, 5])
async def test_a_job_that_is_throttled_again_and_again_freezes_for_a_second_and_then_twice_as_long_each_time(
    store: JobStore, clock: Clock, said_s: float
) -> None:
    await publish(store, TokenBucket("x", rate="10/s", burst=5))
    await store.submit(jobs(1, needs=["x"]))

    for times, floor_s in enumerate([1, 2, 4, 8, 16, 32, 60, 60], 1):
        (one,) = await claim(store)
        wait_s = max(floor_s, said_s)
        assert await throttle(store, one, said_s) == Throttled("j0", "x", round(wait_s * S), times, was_frozen=False)
        clock.advance_us(round(wait_s * S) - 1)
        assert await claim(store) == []
        clock.advance_us(1)


async def test_no_freeze_is_longer_than_the_setting_and_only_the_first_word_begins_it(store: JobStore) -> None:
    await publish(store, TokenBucket("x", rate="10/s", burst=5))
    await store.submit(jobs(3, needs=["x"]))
    one, other, third = await claim(store)

    assert await throttle(store, one, 1e9) == Throttled("j0", "x", 3_600 * S, 1, was_frozen=False)
    assert await throttle(store, other, 1) == Throttled("j1", "x", 1 * S, 1, was_frozen=True)
    await store.freeze("x", 0, "")
    assert (await throttle(store, third, 1)).was_frozen is False


async def test_a_job_that_is_throttled_more_often_than_its_task_allows_is_a_dead_letter_with_the_last_word(
    store: JobStore, clock: Clock
) -> None:
    await publish(store, TokenBucket("x", rate="10/s", burst=5))
    await store.submit(jobs(1, needs=["x"]))

    for _ in range(3):
        one, *_ = await claim(store)
        await throttle(store, one, 100, most=2)
        clock.advance(100)

    (status,) = await store.get(["j0"])
    assert status is not None
    assert (status.state, status.throttled, status.failures, status.error) == ("failed", 3, 0, JobError("Throttled", "wait"))
    assert await end(store, one, Ending.throttled, delay=100, freeze="x", most=2) == "repeated"
    assert await store.retry("j0") == "queued"
    (status,) = await store.get(["j0"])
    assert status is not None
    assert status.throttled == 0


async def test_a_cancelled_job_is_cancelled_however_often_it_was_throttled(store: JobStore) -> None:
    await publish(store, TokenBucket("x", rate="10/s", burst=5))
    await store.submit(jobs(1, needs=["x"]))
    (one,) = await claim(store)
    await store.cancel("j0")
    await store.redis.hset(store.keys.job("j0"), "throttled", 9)

    await throttle(store, one, 100, most=2)

    assert await states(store, ["j0"]) == ["cancelled"]


async def test_doctor_names_the_jobs_that_are_throttled_for_ever(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="10/s", burst=5))
    await store.submit(jobs(2, needs=["x"]))
    assert (await throttled_often(store)).level is Level.ok
    for name, before in (("j0", 99), ("j1", 311)):
        await store.redis.hset(store.keys.job(name), "throttled", before)
    one, other = await claim(store)
    await throttle(store, one, 1)
    await throttle(store, other, 1)

    finding = await throttled_often(store)
    assert finding.level is Level.warning
    assert finding.text == "the provider said wait to job j1 (work) 312 times: cancel it, or bound it with max_throttled or max_wait"
    clock.advance(60)
    await throttle(store, (await claim(store))[0], 1)
    assert "j1 (work) 312 times, job j0 (work) 101 times" in (await throttled_often(store)).text
    await store.cancel("j0")
    await store.cancel("j1")
    assert (await throttled_often(store)).level is Level.ok
