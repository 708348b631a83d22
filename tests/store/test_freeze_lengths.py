"""How long a bucket is frozen whose provider names no time: a second at first, longer for one that stays closed, by each bucket's own history."""

import pytest

from runner.limits import Concurrency, Limit, Quota, TokenBucket
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, job, jobs, publish
from tests.store.test_freeze import LIMITS, throttle

FIRST_S = 1.0
UNNAMED = -FIRST_S


async def probed(store: JobStore, clock: Clock, after_s: float, name: str, *, needs: str = "x") -> float:
    """A job of its own starts so long after the freeze before has ended, and its provider says wait; for how long the bucket is frozen then."""
    clock.advance(after_s)
    await store.submit([job(name, needs=[needs])])
    await store.refill()
    (one,) = await claim(store)
    freeze = await throttle(store, one, UNNAMED, needs)
    clock.advance_us(freeze.wait_us)
    await store.cancel(name)
    return freeze.wait_us / 1_000_000


@pytest.mark.parametrize("limit", [*LIMITS, Concurrency("x", 6), Quota("x", 60, per="day")], ids=repr)
async def test_a_freeze_is_twice_as_long_as_the_one_whose_probe_was_told_to_wait(store: JobStore, clock: Clock, limit: Limit) -> None:
    await publish(store, limit)

    lengths = [await probed(store, clock, 0.001, f"j{number}") for number in range(8)]

    assert lengths == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_it_is_no_longer_once_calls_got_through_and_short_again_after_a_quiet_time(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="20/s", burst=20))

    lengths = [await probed(store, clock, after_s, f"j{number}") for number, after_s in enumerate([0, 0, 0, 1, 15.9, 16.1])]

    assert lengths == [1, 2, 4, 4, 4, 1]


async def test_what_is_said_to_calls_of_before_a_freeze_makes_none_longer(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="20/s", burst=20))
    await store.submit(jobs(20, needs=["x"]))
    first, *others = await claim(store)
    lengths = [(await throttle(store, first, UNNAMED)).wait_us]
    clock.advance(0.5)
    lengths += [(await throttle(store, one, UNNAMED)).wait_us for one in others]

    assert set(lengths) == {1_000_000}
    clock.advance(1)
    await store.refill()
    (again,) = await claim(store)
    assert (await throttle(store, again, UNNAMED)).wait_us == 2_000_000


async def test_a_time_that_is_named_counts_and_changes_no_length(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="20/s", burst=20))
    assert await probed(store, clock, 0, "a") == 1
    await store.submit([job("b", needs=["x"])])
    await store.refill()
    (one,) = await claim(store)
    assert (await throttle(store, one, 30)).wait_us == 30_000_000
    clock.advance(30)
    await store.cancel("b")

    assert await probed(store, clock, 1, "c") == 1


async def test_each_bucket_has_a_length_of_its_own_and_releasing_it_begins_anew(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("t", rate="20/s", burst=20, key="{id}"))
    assert [await probed(store, clock, 0, f"a{number}", needs="t/a") for number in range(3)] == [1, 2, 4]
    assert await probed(store, clock, 0, "b", needs="t/b") == 1

    await store.freeze("t/a", 0, "")

    assert await probed(store, clock, 0, "a4", needs="t/a") == 1


async def test_a_damaged_record_of_the_latest_freeze_counts_as_none(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="20/s", burst=20))
    await store.redis.hset(store.keys.freezes("x"), "odd", "1")

    assert await probed(store, clock, 0, "a") == 1
    assert await probed(store, clock, 0, "b") == 2
