"""refill and promote: what waits for its time moves when that has come, at that microsecond and not one earlier."""

import pytest
from redis.asyncio import Redis

from runner.connection.client import command
from runner.jobs.job import Priority
from runner.limits import TokenBucket
from runner.store.job_store import JobStore
from runner.store.portions import MOST_MOVED
from tests.store.builders import START_US, Clock, claim, finish_all, fresh_store, ids, interval, job, jobs, publish
from tests.store.inside import line_ids, nudged, scores, spoken_for, states, stream_ids, wakes

LIMITS = [interval("x", every=3), TokenBucket("x", rate="1/3s", burst=1), TokenBucket("x", rate="7/21s", burst=1)]


@pytest.mark.parametrize("limit", LIMITS, ids=str)
async def test_a_waiting_job_is_released_at_the_microsecond_its_token_lands(store: JobStore, clock: Clock, limit: TokenBucket) -> None:
    await publish(store, limit)
    await store.submit(jobs(2, needs=["x"]))
    await finish_all(store, await claim(store))

    clock.advance_us(2_999_999)
    assert await store.refill() == (0, 1)
    assert await claim(store) == []
    clock.advance_us(1)
    assert await store.refill() == (1, -1)
    assert await stream_ids(store) == ["j1"]
    assert ids(await claim(store)) == ["j1"]


async def test_refilling_again_releases_nothing_twice(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=2, refill=2, every=1))
    await store.submit(jobs(6, needs=["x"]))
    await claim(store)
    clock.advance(1)

    assert await store.refill() == (2, 1_000_000)  # the reply is lost
    assert await store.refill() == (0, 1_000_000)

    assert await stream_ids(store) == ["j0", "j1", "j2", "j3"]
    assert await spoken_for(store, "x") == (2, 2)


async def test_with_nobody_waiting_there_is_no_next_wake(store: JobStore) -> None:
    await publish(store, interval("x"))
    assert await store.refill() == (0, -1)


async def test_the_next_wake_is_that_of_the_first_bucket(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=30), interval("y", every=20))
    await store.submit([job(needs=[bucket]) for bucket in "xyxyxy"])
    await claim(store)
    clock.advance(5)

    assert await store.refill() == (0, 15_000_000)
    clock.advance(15)
    assert await store.refill() == (1, 10_000_000)
    clock.advance(10)
    assert await store.refill() == (1, 10_000_000)


async def test_a_full_window_fills_up_again_after_a_while(store: JobStore, clock: Clock) -> None:
    window = store.settings.window
    await publish(store, interval("x", capacity=1000, refill=1000, every=1))
    await store.submit(jobs(500, needs=["x"]))

    assert await store.refill() == (0, 100_000)
    assert ids(await claim(store, free=10)) == [f"j{number}" for number in range(10)]
    assert await store.refill() == (0, 100_000)
    clock.advance_us(100_000)
    assert await store.refill() == (10, 100_000)
    assert await spoken_for(store, "x") == (window, window)


async def test_released_jobs_are_not_released_past_the_window(store: JobStore, clock: Clock) -> None:
    window = store.settings.window
    await publish(store, interval("x", capacity=1000, refill=1000, every=1))
    await store.submit(jobs(500, needs=["x"]))

    assert await spoken_for(store, "x") == (window, window)
    assert await store.refill() == (0, 100_000)  # more is due, once workers have started these
    assert ids(await claim(store, free=window // 2)) == [f"j{number}" for number in range(window // 2)]
    assert await store.refill() == (window // 2, 100_000)
    assert await spoken_for(store, "x") == (window, window)


async def test_a_claim_with_many_free_slots_is_not_held_up_by_the_window(redis: Redis, redis_url: str, clock: Clock) -> None:
    async with fresh_store(redis, redis_url, clock, window=16) as store:
        await publish(store, interval("x", capacity=1000, refill=1000, every=1))
        await store.submit(jobs(500, needs=["x"]))

        started: list[str] = []
        for _ in range(8):
            here = ids(await claim(store, free=300 - len(started)))
            assert len(here) > 2 * store.settings.window or len(started) + len(here) == 300
            started += here

        assert len(started) == 300


async def test_every_due_bucket_gets_its_turn_within_a_few_calls(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=1000, refill=1000, every=1), interval("t", every=1, key="{k}"))
    await store.submit([job(needs=[("x", 1000)]), *(job(needs=[f"t/{number}"]) for number in range(100))])
    for _ in range(12):
        await claim(store, free=200)
    await store.submit([*jobs(600, "x", needs=["x"]), *(job(f"t{number}", needs=[f"t/{number}"]) for number in range(100))])
    clock.advance(1)

    calls = [await store.refill() for _ in range(9)]

    assert sum(released for released, _ in calls) <= 100 + 9 * 20
    assert [next_us for _, next_us in calls[:2]] == [0, 0]
    assert {f"t{number}" for number in range(100)} < set(await stream_ids(store))


async def test_a_wake_of_a_bucket_nobody_waits_for_any_more_is_forgotten(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"))
    await store.submit(jobs(2, needs=["x"]))
    await claim(store)
    await store.cancel("j1")
    clock.advance(1)

    assert await store.refill() == (0, -1)
    assert await wakes(store) == {}


async def test_a_released_job_that_no_worker_claims_is_safe_beyond_its_reservation(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"))
    await store.submit(jobs(3, needs=["x"]))
    await command(store.redis, "DEL", store.keys.bucket("x"))  # as when the reservation expires
    await store.refill()

    assert ids(await claim(store)) == ["j0"]
    clock.advance(1)
    assert ids(await claim(store)) == ["j1"]
    assert await states(store, ["j0", "j1", "j2"]) == ["running", "running", "waiting"]


# promote


async def test_a_delayed_job_is_queued_at_the_microsecond_it_is_due(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a", delay=2.5)])

    clock.advance_us(2_499_999)
    assert await store.promote() == (0, 1)
    assert await stream_ids(store) == []
    clock.advance_us(1)
    assert await store.promote() == (1, -1)
    assert await states(store, ["a"]) == ["queued"]
    assert ids(await claim(store)) == ["a"]


async def test_promoting_again_promotes_nothing_twice(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a", delay=1), job("b", delay=2)])
    clock.advance(1)

    assert await store.promote() == (1, 1_000_000)  # the reply is lost
    assert await store.promote() == (0, 1_000_000)

    assert await stream_ids(store) == ["a"]


async def test_promoted_jobs_go_to_the_stream_of_their_priority_in_order_of_time(store: JobStore, clock: Clock) -> None:
    await store.submit([job("second", delay=2), job("first", delay=1), job("high", delay=3, priority=Priority.high)])
    clock.advance(3)
    await store.promote()

    assert await stream_ids(store) == ["high", "first", "second"]


async def test_a_promoted_job_without_tokens_waits_in_its_line(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=10))
    await store.submit([job("later", delay=1, needs=["x"]), *jobs(2, needs=["x"])])
    await claim(store)
    clock.advance(1)
    await nudged(store)

    assert await store.promote() == (1, -1)

    assert await states(store, ["later"]) == ["waiting"]
    assert await line_ids(store, "1|x") == ["later", "j1"]  # in the order of submission
    assert not await nudged(store)


async def test_a_promoted_job_that_is_the_first_to_wait_sets_the_wake(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=10))
    await store.submit([job("later", delay=1, needs=["x"]), job("now", needs=["x"])])
    await claim(store)
    clock.advance(1)
    await nudged(store)

    await store.promote()

    assert await nudged(store)
    assert await wakes(store) == {"x": 10_000_000}


async def test_many_due_jobs_are_promoted_in_several_calls(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(2 * MOST_MOVED + 7, delay=1))
    clock.advance(1)

    assert [await store.promote() for _ in range(4)] == [(MOST_MOVED, 0), (MOST_MOVED, 0), (7, -1), (0, -1)]
    assert sorted(await stream_ids(store)) == sorted(f"j{number}" for number in range(2 * MOST_MOVED + 7))


async def test_a_cancelled_job_left_in_the_schedule_is_not_promoted(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a")])
    await store.cancel("a")
    await command(store.redis, "ZADD", store.keys.scheduled, START_US, "a")
    await command(store.redis, "ZADD", store.keys.scheduled, START_US, "never-was")

    assert await store.promote() == (2, -1)
    assert await scores(store, store.keys.scheduled) == {}
    assert await claim(store) == []
