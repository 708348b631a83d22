"""The scripts compute the same numbers as BucketState, up to the largest that are exact, and forget a bucket only when it is full."""

from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from runner.limits import EXACT, BucketState, TokenBucket
from runner.store.job_store import JobStore
from tests.starts import Starts
from tests.store.builders import START_US, Clock, claim, finish_all, fresh_store, ids, interval, job, jobs, publish
from tests.store.inside import all_keys, bucket_state, expires_at_ms

LARGEST_RATE = TokenBucket("x", rate="7/8639999s", burst=260)
LARGEST_BURST = interval("x", capacity=EXACT // 1024 - 1, refill=3, every=1)
POLICIES = [
    interval("x", capacity=5, refill=2, every=1.5),
    interval("x", capacity=3, refill=7, every=10),
    TokenBucket("x", rate="10/s", burst=3),
    TokenBucket("x", rate="7/3s", burst=20),
    TokenBucket("x", rate="1000/day", burst=1000),
    LARGEST_RATE,
    LARGEST_BURST,
]

moves = st.one_of(st.integers(0, 3_000_000), st.integers(0, 10**11))
steps = st.lists(st.tuples(moves, st.one_of(st.integers(1, 6), st.integers(1, 10**15))), min_size=1, max_size=12)


def test_the_largest_policies_are_at_the_edge_of_exact_arithmetic() -> None:
    assert 4 * LARGEST_RATE.capacity * LARGEST_RATE.credits_a_token > EXACT * 0.9
    assert LARGEST_BURST.capacity > EXACT // 1024 * 0.9


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(policy=st.sampled_from(POLICIES), steps=steps)
async def test_each_take_leaves_the_state_and_the_wait_that_bucket_state_says(
    redis: Redis, redis_url: str, policy: TokenBucket, steps: Sequence[tuple[int, int]]
) -> None:
    clock, expected = Clock(), BucketState(time_us=START_US)
    async with fresh_store(redis, redis_url, clock) as store:
        await publish(store, policy)
        for number, (move_us, cost) in enumerate(steps):
            clock.advance_us(move_us)
            cost = (cost - 1) % policy.capacity + 1  # noqa: PLW2901 - a cost the bucket can hold
            expected = expected.refilled(policy, clock.now_us)
            wait_us = expected.wait_us(policy, cost, clock.now_us)
            name = f"j{number}"
            await store.submit([job(name, needs=[("x", cost)])])
            (status,) = await store.get([name])
            started = await claim(store)

            assert len(started) == (1 if wait_us == 0 else 0)
            if wait_us == 0:
                expected = expected.taken(policy, cost)
            else:
                assert status is not None
                assert round((status.eta_s or 0) * 1e6) == wait_us
                await store.cancel(name)
            assert (await bucket_state(store, "x")).refilled(policy, clock.now_us) == expected
            await finish_all(store, started)


async def test_a_bucket_is_forgotten_soon_after_it_is_full_and_not_before(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=5, refill=2, every=10), TokenBucket("y", rate="3/s", burst=5))
    await store.submit([job(needs=[("x", 3), ("y", 2)])])
    await claim(store)

    # And five seconds more, so that not every start has to move it.
    assert await expires_at_ms(store, store.keys.bucket("x")) == START_US // 1000 + 25_000
    assert await expires_at_ms(store, store.keys.bucket("y")) == START_US // 1000 + 5_667


async def test_a_bucket_out_of_which_nothing_was_taken_yet_is_kept_as_long_as_its_reservation(store: JobStore) -> None:
    await publish(store, interval("x"))
    await store.submit([job(needs=["x"])])

    assert await expires_at_ms(store, store.keys.bucket("x")) == START_US // 1000 + 65_000


async def test_a_debt_is_kept_until_it_is_paid(store: JobStore) -> None:
    await publish(store, interval("x", capacity=10, every=1))
    await store.submit(jobs(10, needs=["x"]))
    await finish_all(store, await claim(store))
    await publish(store, interval("x", capacity=1, every=100))
    await store.submit([job(needs=["x"])])
    await claim(store)

    assert await expires_at_ms(store, store.keys.bucket("x")) == START_US // 1000 + 1_005_000


async def test_asking_leaves_no_bucket_behind(store: JobStore) -> None:
    await publish(store, interval("x"), interval("t", key="{id}"))

    await store.limits()
    await store.submit([job("a", needs=["unpublished"])])
    await store.get(["a"])
    await claim(store)

    assert [key for key in await all_keys(store) if ":bucket:" in key] == []


async def test_a_clock_that_goes_back_costs_the_step_under_way_and_no_more(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=2, every=10))
    await store.submit(jobs(2, needs=["x"]))
    assert len(await claim(store)) == 2
    clock.advance(-3600)
    await store.submit([job("a", needs=["x"])])

    clock.advance_us(9_999_999)
    assert await claim(store) == []
    clock.advance_us(1)
    assert ids(await claim(store)) == ["a"]


async def test_jobs_that_waited_when_the_clock_went_back_wait_no_longer_for_it(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=2, every=10))
    await store.submit(jobs(4, needs=["x"]))
    assert len(await claim(store)) == 2
    assert await store.refill() == (0, 10_000_000)  # the leader sleeps by its own clock
    clock.advance(10 - 3600)

    assert await store.refill() == (0, 10_000_000)
    clock.advance(10)
    assert await store.refill() == (1, 10_000_000)
    assert ids(await claim(store)) == ["j2"]


async def test_a_clock_that_goes_back_gives_no_token_away(store: JobStore, clock: Clock) -> None:
    limit, starts, elapsed_us = TokenBucket("x", rate="2/s", burst=3), Starts(), 0
    await publish(store, limit)
    await store.submit(jobs(60, needs=["x"]))
    for move_us in (100_000, -50_000, 700_000, -3_000_000, 1_000_000, 2_000_000, -1, 500_000, 1) * 3:
        clock.advance_us(move_us)
        elapsed_us += max(move_us, 0)
        await store.refill()
        starts.add_all(elapsed_us, await claim(store))

    assert len(starts.at_us) > 10
    assert starts.excess(limit) <= 0
