"""Sliding windows: exact to the microsecond, each start remembered for as long as its own window, and no longer."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from runner.connection.client import command
from runner.limits import SlidingWindow
from runner.store.job_store import JobStore
from runner.store.portions import MOST_PER_CALL
from tests.store.builders import Clock, claim, crash, end, fail_all, finish_all, fresh_store, ids, job, jobs, publish
from tests.store.inside import all_keys, field, forgotten_at, scores, spoken_for

STRICT = SlidingWindow("x", 3, per=10)


def most_in_a_window(starts: list[tuple[int, int]], window_us: int) -> int:
    """The most tokens of (instant, cost) in any closed window of that length."""
    return max((sum(cost for at, cost in starts if first <= at <= first + window_us) for first, _ in starts), default=0)


async def test_a_token_is_back_one_microsecond_after_its_window(store: JobStore, clock: Clock) -> None:
    await publish(store, STRICT)
    await store.submit(jobs(8, needs=["x"]))
    assert len(await claim(store)) == 3

    clock.advance_us(10_000_000)
    assert await claim(store) == []
    clock.advance_us(1)
    assert len(await claim(store)) == 3


async def test_each_token_comes_back_by_itself(store: JobStore, clock: Clock) -> None:
    await publish(store, STRICT)
    for number in range(3):
        await store.submit([job(f"j{number}", needs=["x"])])
        await finish_all(store, await claim(store))
        clock.advance(1)
    await store.submit(jobs(3, "late", needs=["x"]))

    started = []
    for _ in range(3):
        released, next_us = await store.refill()
        assert released == 0
        clock.advance_us(next_us)
        started.append((clock.now_us, ids(await claim(store))))

    assert [names for _, names in started] == [["late0"], ["late1"], ["late2"]]
    assert [at - started[0][0] for at, _ in started] == [0, 1_000_000, 2_000_000]


async def test_a_cost_of_several_waits_for_as_many_to_come_back(store: JobStore, clock: Clock) -> None:
    await publish(store, STRICT)
    await store.submit([job("a", needs=["x"])])
    await claim(store)
    clock.advance(4)
    await store.submit([job("b", needs=[("x", 2)])])
    await claim(store)
    await store.submit([job("c", needs=[("x", 3)])])

    (status,) = await store.get(["c"])
    assert status is not None
    assert (status.state, status.reason, status.eta_s) == ("waiting", "tokens", 10.000001)
    clock.advance_us(10_000_000)
    assert await claim(store) == []
    clock.advance_us(1)
    assert ids(await claim(store)) == ["c"]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    capacity=st.integers(1, 6),
    window_us=st.sampled_from([2, 1_000, 1_000_000]),
    steps=st.lists(st.tuples(st.integers(0, 1_500), st.integers(1, 6)), min_size=1, max_size=15),
)
async def test_every_job_starts_at_the_first_instant_its_window_has_room(
    redis: Redis, redis_url: str, capacity: int, window_us: int, steps: list[tuple[int, int]]
) -> None:
    clock = Clock()
    async with fresh_store(redis, redis_url, clock) as store:
        await publish(store, SlidingWindow("x", capacity, per=window_us / 1e6))
        starts: list[tuple[int, int]] = []
        for number, (gap, wish) in enumerate(steps):
            clock.advance_us(gap * window_us // 1_000)
            cost = min(wish, capacity)
            await store.submit([job(f"j{number}", needs=[("x", cost)])])
            while not (started := await claim(store)):
                # Were it let in here, some window would hold too much.
                assert most_in_a_window([*starts, (clock.now_us, cost)], window_us) > capacity
                _, next_us = await store.refill()
                assert next_us > 0
                clock.advance_us(next_us - 1)
                assert await claim(store) == []
                clock.advance_us(1)
            starts.append((clock.now_us, cost))
            assert most_in_a_window(starts, window_us) <= capacity
            await finish_all(store, started)


async def test_a_lost_worker_gives_no_token_back(store: JobStore, clock: Clock) -> None:
    await publish(store, STRICT)
    await store.submit(jobs(3, needs=["x"]))
    await claim(store)

    await crash(store)

    assert await claim(store) == []
    clock.advance_us(10_000_001)
    assert len(await claim(store)) == 3


async def test_a_start_whose_reply_was_lost_leaves_the_window(store: JobStore, clock: Clock) -> None:
    await publish(store, STRICT)
    await store.submit(jobs(4, needs=["x"]))
    (kept, *_) = await claim(store)
    clock.advance(1)

    assert await store.reconcile("w", [kept]) == 2
    assert await store.reconcile("w", [kept]) == 0

    assert await field(store, "x", "used") == 1
    assert ids(await claim(store)) == ["j1", "j2"]


async def test_a_capacity_lowered_below_what_was_taken_starts_again_when_that_has_passed(store: JobStore, clock: Clock) -> None:
    await publish(store, SlidingWindow("x", 5, per=10))
    await store.submit([*jobs(5, needs=["x"]), job("costly", needs=[("x", 4)]), job("next", needs=["x"])])
    await finish_all(store, await claim(store))
    await publish(store, SlidingWindow("x", 2, per=10))

    assert await claim(store) == []
    clock.advance_us(10_000_001)
    assert ids(await claim(store)) == ["costly"]
    clock.advance_us(10_000_001)
    assert ids(await claim(store)) == ["next"]


async def test_each_key_has_its_own_window(store: JobStore) -> None:
    await publish(store, SlidingWindow("x", 2, per=10, key="{id}"))
    await store.submit([*jobs(3, "a", needs=["x/a"]), *jobs(3, "b", needs=["x/b"])])

    assert sorted(ids(await claim(store))) == ["a0", "a1", "b0", "b1"]


@pytest.mark.parametrize("frozen_s", [0, 3_600])
async def test_the_window_and_its_sum_are_forgotten_together(store: JobStore, frozen_s: float) -> None:
    await publish(store, STRICT)
    await store.submit(jobs(2, needs=["x"]))
    (started, _) = await claim(store)
    if frozen_s:
        await store.freeze("x", round(frozen_s * 1e6), "test")

    await end(store, started, settled="x=2")

    assert await forgotten_at(store, store.keys.taken("x")) == await forgotten_at(store, store.keys.bucket("x"))
    assert (await forgotten_at(store, store.keys.bucket("x")) or 0) >= 10_001 + frozen_s * 1000


async def test_jobs_on_their_way_keep_the_window_as_long_as_its_sum(store: JobStore) -> None:
    await publish(store, STRICT)
    await store.submit(jobs(3, needs=["x"]))
    await claim(store, free=1)

    assert await spoken_for(store, "x") == (2, 2)
    assert await forgotten_at(store, store.keys.taken("x")) == await forgotten_at(store, store.keys.bucket("x")) == 65_000


async def test_a_longer_window_keeps_what_was_taken_under_the_shorter_one(store: JobStore, clock: Clock) -> None:
    await publish(store, SlidingWindow("x", 2, per=1))
    await store.submit(jobs(2, needs=["x"]))
    await finish_all(store, await claim(store))

    await publish(store, SlidingWindow("x", 2, per=60))

    assert await forgotten_at(store, store.keys.taken("x")) == await forgotten_at(store, store.keys.bucket("x")) == 65_000
    await store.submit([job("a", needs=["x"])])
    clock.advance_us(60_000_000)
    assert await claim(store) == []
    clock.advance_us(1)
    assert ids(await claim(store)) == ["a"]


async def test_the_clock_going_back_an_hour_costs_one_window(store: JobStore, clock: Clock) -> None:
    await publish(store, STRICT)
    await store.submit(jobs(6, needs=["x"]))
    await finish_all(store, await claim(store))
    await store.refill()
    clock.advance(-3_600)
    await store.refill()

    clock.advance_us(10_000_000)
    assert await claim(store) == []
    clock.advance_us(1)
    assert len(await claim(store)) == 3


async def test_asking_leaves_nothing_behind(store: JobStore, clock: Clock) -> None:
    await publish(store, STRICT)
    await store.submit([job("a", needs=["x"])])
    await finish_all(store, await claim(store))
    clock.advance(20)
    await command(store.redis, "DEL", store.keys.bucket("x"))  # forgotten, as Redis does by its own clock

    await store.limits()

    assert [key for key in await all_keys(store) if ":bucket:" in key or ":taken:" in key] == []


async def test_a_window_of_a_hundred_thousand_is_kept_exactly(store: JobStore, clock: Clock) -> None:
    await publish(store, SlidingWindow("x", 100_000, per=60))
    tickets, total = [f"take:{number}" for number in range(1_000)], 0
    for number, ticket in enumerate(tickets):
        clock.advance_us(1)
        assert (await store.take(ticket, f"x={99 + (number % 2) * 2}", "x")).state == "taken"
        total += 99 + (number % 2) * 2
    assert total == 100_000

    refused = await store.take("take:more", "x=1", "1|x")
    assert (refused.state, refused.wait_s) == ("refused", 59.999002)
    clock.advance_us(59_999_002)
    assert (await store.take("take:99", "x=99", "x")).state == "taken"
    assert (await store.take("take:1", "x=1", "x")).state == "refused"


async def test_a_full_window_of_single_starts_comes_back_in_bounded_steps(store: JobStore, clock: Clock) -> None:
    await publish(store, SlidingWindow("x", 100_000, per=60))
    starts = [part for number in range(100_000) for part in (clock.now_us, f"1:s{number}")]
    for at in range(0, len(starts), 20_000):
        await command(store.redis, "ZADD", store.keys.taken("x"), *starts[at : at + 20_000])
    await store.take("take:a", "x=1", "1|x")
    await command(store.redis, "HSET", store.keys.bucket("x"), "used", 100_001)
    assert (await store.take("take:b", "x=1", "1|x")).state == "refused"
    clock.advance_us(60_000_001)
    await store.submit([job("all", needs=[("x", 100_000)])])

    calls = 0
    while not (started := await claim(store)):
        calls += 1
        assert calls <= 100_000 / (10 * MOST_PER_CALL)
        clock.advance_us(max((await store.refill())[1], 0))

    assert ids(started) == ["all"]
    assert await scores(store, store.keys.taken("x")) == {"100000:all#1": clock.now_us}
    assert await field(store, "x", "used") == 100_000


async def test_a_take_that_is_repeated_counts_once(store: JobStore) -> None:
    await publish(store, STRICT)
    for _ in range(2):
        await store.take("take:a", "x=2", "x")

    assert await field(store, "x", "used") == 2


async def test_a_failure_gives_nothing_back(store: JobStore) -> None:
    await publish(store, STRICT)
    await store.submit(jobs(3, needs=["x"]))

    await fail_all(store, await claim(store))

    assert await field(store, "x", "used") == 3
