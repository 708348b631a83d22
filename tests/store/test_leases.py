"""Limits that several queues share: whatever becomes of the calls, all starts together are those of one bucket."""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from runner.connection import command
from runner.jobs import Priority
from runner.limits import Limit, Need, Quota, SlidingWindow, TokenBucket
from tests.store.builders import Clock, claim, finish_all, ids, interval, job, jobs
from tests.store.leasing import Shared, Step, play_call, shared

LIMITS: list[Limit] = [
    TokenBucket("api", rate="100/s", burst=10),
    TokenBucket("api", rate="3/s", burst=2),
    TokenBucket("api", rate="1000/s", burst=64),
    interval("api", capacity=6, refill=4, every=1.5),
    Quota("api", 40, per="hour"),
    SlidingWindow("api", 8, per=1),
    SlidingWindow("api", 30, per=3),
]
COSTS = ["1x1", "3x1", "20x1", "1x2 4x1", "2x2", ""]
STEPS = [
    "move",
    "move",
    "start",
    "start",
    "start",
    "want",
    "look",
    "call",
    "lose",
    "deposit",
    "hear",
    "deaf",
    "exchange",
    "exchange",
    "settle",
]
steps = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 2), st.integers(0, 1), st.integers(0, 59)), min_size=20, max_size=120)


async def play(world: Shared, redis: Redis, step: Step) -> None:
    """One step of one queue, or of the time."""
    what, at, _, number = step
    if what == "start":
        await world.start(at, 2 if number % 4 == 0 else 1)
    elif what == "want":
        world.queues[at].costs = COSTS[number % len(COSTS)]
    elif what == "settle":
        await world.settle(at, redis, number)
    else:
        await play_call(world, redis, step)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(limit=st.sampled_from(LIMITS), order=steps)
async def test_starts_of_all_queues_keep_to_the_limit_whatever_becomes_of_the_calls(
    redis: Redis, redis_url: str, limit: Limit, order: Sequence[Step]
) -> None:
    async with shared(redis, redis_url, Clock(), limit) as world:
        for queue in world.queues:
            queue.costs = "20x1"
        for step in order:
            await play(world, redis, step)
            if isinstance(limit, TokenBucket):
                assert await world.free_at_home(redis) >= 0
            assert world.starts.excess(limit) <= 0


async def test_a_queue_starts_what_it_was_given_and_no_more(redis: Redis, redis_url: str) -> None:
    async with shared(redis, redis_url, Clock(), TokenBucket("api", rate="100/s", burst=8)) as world:
        world.queues[0].costs = "20x1"
        assert not await world.start(0)
        answer = await world.exchange(0)
        assert answer is not None
        granted = answer.leased.granted
        assert granted == 4  # half of the burst, in two rounds
        assert [await world.start(0) for _ in range(5)] == [True] * 4 + [False]
        assert not await world.start(1)


async def test_tokens_in_a_hand_are_given_to_nobody_else(redis: Redis, redis_url: str) -> None:
    async with shared(redis, redis_url, Clock(), TokenBucket("api", rate="1/s", burst=4)) as world:
        world.queues[0].costs = "2x1"
        await world.exchange(0)
        assert [await world.start(0) for _ in range(2)] == [True, True]
        for at in (0, 1, 2):
            world.queues[at].costs = "4x1"
            await world.exchange(at)
        for at in (0, 1, 2):
            await world.exchange(at)
            while await world.hear(at, redis):
                pass
        assert sum([sum([await world.start(at) for _ in range(4)]) for at in (0, 1, 2)]) == 2


async def test_a_hand_lapses_at_the_queue_before_the_home_counts_it_as_used(redis: Redis, redis_url: str) -> None:
    async with shared(redis, redis_url, Clock(), TokenBucket("api", rate="1/s", burst=8)) as world:
        world.queues[0].costs = "2x1"
        await world.exchange(0)
        world.clock.advance(1.96)
        assert not await world.start(0)
        world.clock.advance(0.05)
        world.queues[1].costs = "1x1"
        answer = await world.exchange(1)
        assert answer is not None
        assert answer.leased.queues == 1  # the other one is gone, and what it had counts as used
        assert await world.free_at_home(redis) == (8 - 1 - 2) * 1_000_000


async def test_what_no_job_waits_for_goes_back_whole(redis: Redis, redis_url: str) -> None:
    async with shared(redis, redis_url, Clock(), TokenBucket("api", rate="1/s", burst=8)) as world:
        world.queues[0].costs = "2x1"
        await world.exchange(0)
        world.clock.advance(0.2)
        world.queues[0].costs = ""
        await world.exchange(0)
        assert await world.free_at_home(redis) == 8 * 1_000_000
        assert not await world.start(0)


async def test_a_freeze_in_one_queue_freezes_the_others_and_takes_back_what_they_have(redis: Redis, redis_url: str) -> None:
    async with shared(redis, redis_url, Clock(), TokenBucket("api", rate="10/s", burst=40)) as world:
        for at in (0, 1):
            world.queues[at].costs = "20x1"
            await world.exchange(at)
        assert await world.start(0)
        await world.queues[0].store.freeze("api", 3_000_000, "wait, said the provider")
        await world.exchange(0)
        told = await world.hear(1, redis)
        assert told is not None
        assert told.granted is None  # it is to come at once
        await world.exchange(1)
        assert not await world.start(0)
        assert not await world.start(1)
        (limit,) = await world.queues[1].store.limits("api")
        assert limit.buckets[0].frozen_s > 2
        for at in (0, 1):
            hand = await world.look(at)
            assert hand is None or hand.held == 0


async def test_a_pause_at_the_home_stops_all_queues(redis: Redis, redis_url: str) -> None:
    async with shared(redis, redis_url, Clock(), TokenBucket("api", rate="10/s", burst=40)) as world:
        for at in (0, 1):
            world.queues[at].costs = "20x1"
            await world.exchange(at)
        await world.home.pause("api", on=True, reason="night")
        await world.home.recall("api")
        for at in (0, 1):
            assert await world.hear(at, redis) is not None
            await world.exchange(at)
            assert not await world.start(at)
        await world.queues[0].store.submit(jobs(1, needs=["api"]))
        (waiting,) = await world.queues[0].store.get(["j0"])
        assert waiting is not None
        assert (waiting.reason, waiting.eta_s) == ("paused", None)  # and not frozen, which would end
        await world.home.pause("api", on=False, reason="")
        await world.exchange(0)
        await world.exchange(0)
        assert await world.start(0)


async def test_a_server_that_has_forgotten_the_numbers_of_a_queue_learns_them_from_the_other(redis: Redis, redis_url: str) -> None:
    async with shared(redis, redis_url, Clock(), TokenBucket("api", rate="10/s", burst=40)) as world:
        world.queues[0].costs = "9x1"
        await world.exchange(0)
        assert await world.start(0)
        await world.exchange(0)
        queue = world.queues[0]
        await redis.delete(queue.store.keys.bucket("api"))
        await world.exchange(0)
        hand = await world.look(0)
        assert hand is not None
        assert hand.spent.used >= 1
        await redis.delete(f"{world.home.keys.prefix}lease:api:{queue.partition}", f"{world.home.keys.prefix}lease:api")
        answer = await world.exchange(0)
        assert answer is not None
        assert answer.leased.spent.used == hand.spent.used


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(actual=st.integers(0, 4), waits_us=st.integers(0, 900_000))
@example(actual=0, waits_us=0)
async def test_what_a_job_did_not_use_comes_back_as_far_as_one_bucket_gives_it_back(
    redis: Redis, redis_url: str, actual: int, waits_us: int
) -> None:
    clock = Clock()
    async with shared(redis, redis_url, clock, TokenBucket("api", rate="2/s", burst=8)) as world:
        world.queues[0].costs = "1x2"
        await world.exchange(0)
        assert await world.start(0, 2)
        await world.exchange(0)
        hand = await world.look(0)
        assert hand is not None
        began_us = world.home._now_us()
        clock.advance_us(waits_us)
        told = hand._replace(spent=hand.spent._replace(less=max(2 - actual, 0), more=max(actual - 2, 0)), less_at=began_us, costs="")
        before = await world.free_at_home(redis)
        await world.home.lease(world.queues[0].partition, 1, [told])
        gained = await world.free_at_home(redis) - before - 2 * waits_us
        assert gained <= max(2 - actual, 0) * world.limit.credits_a_token  # type: ignore[attr-defined]
        await world.home.lease(world.queues[0].partition, 1, [told])  # a second time it changes nothing
        assert await world.free_at_home(redis) <= 8 * world.limit.credits_a_token  # type: ignore[attr-defined]


WINDOW = SlidingWindow("api", 8, per=10)


async def counted(world: Shared, redis: Redis) -> list[tuple[int, int]]:
    """What the window at the home has: how long ago in µs, and how many tokens."""
    rows = await command(redis, "ZRANGE", world.home.keys.taken("api"), 0, -1, "WITHSCORES")
    found = [(world.clock.now_us - int(at), int(member.split(b":")[0])) for member, at in zip(rows[::2], rows[1::2], strict=True)]
    assert sum(cost for _, cost in found) == int(await redis.hget(world.home.keys.bucket("api"), "used") or 0)
    return found


async def test_a_window_has_each_report_at_the_instant_of_its_last_start(redis: Redis, redis_url: str) -> None:
    async with shared(redis, redis_url, Clock(), WINDOW) as world:
        for at in (0, 1):
            world.queues[at].costs = "2x1"
            await world.exchange(at)
            await world.exchange(at)
            assert await world.start(at)
            world.clock.advance(0.1)
            assert await world.start(at)
            world.clock.advance(0.05)
            world.queues[at].costs = ""
            await world.exchange(at)
            await world.exchange(at)  # told twice it counts once
        assert await counted(world, redis) == [(200_000, 2), (50_000, 2)]


@pytest.mark.parametrize(
    ("back", "left"),
    [
        (1, [(3_000_000, 2), (2_000_000, 1), (1_000_000, 2)]),
        (2, [(3_000_000, 2), (1_000_000, 2)]),
        (3, [(3_000_000, 1), (1_000_000, 2)]),
        (6, [(1_000_000, 2)]),
    ],
)
async def test_tokens_come_back_to_a_window_from_their_own_start_or_an_older_one(
    redis: Redis, redis_url: str, back: int, left: list[tuple[int, int]]
) -> None:
    async with shared(redis, redis_url, Clock(), WINDOW, queues=1) as world:
        began_us = []
        for _ in range(3):
            world.queues[0].costs = "1x2"
            await world.exchange(0)
            assert await world.start(0, 2)
            began_us.append(world.clock.now_us)
            world.queues[0].costs = ""
            await world.exchange(0)
            world.clock.advance(1)
        hand = await world.look(0)
        assert hand is not None
        told = hand._replace(spent=hand.spent._replace(less=back), less_at=began_us[1], costs="")
        for _ in range(2):  # a second time it changes nothing
            await world.home.lease(world.queues[0].partition, 1, [told])
            assert await counted(world, redis) == left


async def test_a_queue_asks_first_for_the_job_whose_turn_it_is(redis: Redis, redis_url: str) -> None:
    """Of a lower priority, whose turns are few: with tokens for others in hand it would get none, as a queue may hold a part of the bucket only."""
    async with shared(redis, redis_url, Clock(), TokenBucket("api", rate="4/s", burst=8), queues=2) as world:
        first, second = world.queues
        first.costs, second.costs = None, "20x1"
        high = [job(f"high{number}", needs=[Need("api", 1 + number % 2)], priority=Priority.high) for number in range(36)]
        await first.store.submit(high)
        await first.store.submit(jobs(4, "normal", needs=[Need("api", 2)]))
        started: set[str] = set()
        for _ in range(400):
            world.clock.advance(0.1)
            for at, queue in enumerate(world.queues):
                await world.exchange(at)
                while await world.hear(at, redis):
                    pass
                await queue.store.refill()
            claimed = await claim(first.store)
            started |= {*ids(claimed)}
            await finish_all(first.store, claimed)
            await world.start(1)
        assert len(started) == 40, sorted(started)


async def test_who_makes_room_by_its_report_comes_for_the_next_token_if_the_one_before_was_given_away(redis: Redis, redis_url: str) -> None:
    """With jobs of more than half of the bucket the one who came for a token finds no room for the next job until that one is told of."""
    async with shared(redis, redis_url, Clock(), TokenBucket("api", rate="10/s", burst=10)) as world:
        for queue in world.queues:
            queue.costs = "9x6"
        await world.exchange(0)
        assert await world.start(0, 6)
        first = await world.exchange(0)
        await world.exchange(1)
        assert first is not None
        assert first.leased.drives
        world.clock.advance_us(190_000)
        await world.exchange(1)
        world.clock.advance_us(10_000)
        await world.exchange(0)  # serves the second queue, and leaves no room
        told = await world.hear(1, redis)
        assert told is not None
        assert await world.start(1, 6)
        second = await world.exchange(1)
        assert second is not None
        assert second.leased.drives
