"""A limit changed while jobs wait: what was spent stays spent, and from that instant on no window exceeds the new bound."""

import pytest

from runner.limits import TokenBucket
from runner.store.job_store import JobStore
from tests.starts import Starts
from tests.store.builders import Clock, claim, finish_all, ids, interval, job, jobs, publish
from tests.store.inside import bucket_state

LIMITS = {
    "smooth": TokenBucket("x", rate="10/s", burst=10),
    "odd": TokenBucket("x", rate="7/3s", burst=4),
    "slow": TokenBucket("x", rate="3/7s", burst=2),
    "interval": interval("x", capacity=8, refill=3, every=1.5),
    "coarse": interval("x", capacity=5, refill=5, every=10),
}


@pytest.mark.parametrize("before", LIMITS)
@pytest.mark.parametrize("after", LIMITS)
async def test_no_window_after_a_change_exceeds_the_new_bound(store: JobStore, clock: Clock, before: str, after: str) -> None:
    starts = Starts()
    await publish(store, LIMITS[before])
    await store.submit(jobs(200, needs=["x"]))
    for _ in range(7):
        await finish_all(store, await claim(store))
        clock.advance(0.3)
    await publish(store, LIMITS[after])
    for _ in range(80):
        started = await claim(store)
        starts.add_all(clock.now_us, started)
        await finish_all(store, started)
        clock.advance(0.25)

    assert starts.excess(LIMITS[after]) <= 0
    owed = LIMITS[before].capacity + LIMITS[after].refill
    assert len(starts.at_us) >= min(LIMITS[after].refill * 20_000_000 // LIMITS[after].every_us - owed, 150)


@pytest.mark.parametrize("before", LIMITS)
@pytest.mark.parametrize("after", LIMITS)
async def test_tokens_spent_before_a_change_are_spent_after_it(store: JobStore, before: str, after: str) -> None:
    await publish(store, LIMITS[before])
    await store.submit(jobs(2, needs=["x"]))
    await finish_all(store, await claim(store))

    await publish(store, LIMITS[after])

    (limit,) = await store.limits()
    assert limit.buckets[0].tokens == LIMITS[after].capacity - 2


async def test_part_of_a_token_is_rounded_against_the_spender(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="1/s", burst=3))
    await store.submit([job("a", needs=["x"])])
    await claim(store)
    clock.advance_us(1)
    await store.submit([job("b", needs=["x"])])
    await claim(store)
    assert (await bucket_state(store, "x")).deficit == 1_999_999

    await publish(store, interval("x", capacity=3, every=10))

    (limit,) = await store.limits()
    assert limit.buckets[0].tokens == 1


async def test_a_smaller_bucket_starts_nothing_until_its_debt_is_paid(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=10, refill=1, every=1))
    await store.submit(jobs(12, needs=["x"]))
    assert len(await claim(store)) == 10

    await publish(store, interval("x", capacity=2, refill=1, every=1))

    for second in range(1, 12):
        clock.advance(1)
        assert len(await claim(store)) == (1 if second in {9, 10} else 0)


async def test_a_job_that_costs_more_than_the_changed_bucket_holds_starts_from_a_full_one(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=10, refill=1, every=1))
    await store.submit([job("first", needs=[("x", 10)]), job("costly", needs=[("x", 6)]), job("next", needs=["x"])])
    await claim(store)
    await publish(store, interval("x", capacity=3, refill=1, every=1))

    served: dict[str, int] = {}
    for second in range(1, 20):
        clock.advance(1)
        served.update(dict.fromkeys(ids(await claim(store)), second))

    assert served == {"costly": 10, "next": 14}


async def test_jobs_already_released_are_held_to_the_new_limit_too(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=50, every=60))
    await store.submit(jobs(50, needs=["x"]))

    await publish(store, interval("x", capacity=5, every=60))

    assert ids(await claim(store)) == [f"j{number}" for number in range(5)]
    assert await claim(store) == []  # one call goes through a part of them
    clock.advance(60)
    assert ids(await claim(store)) == ["j5"]
