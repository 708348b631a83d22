"""Jobs that need several shared limits of one home: they get the tokens of all of them together, or none, and nothing locks up."""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from runner.jobs import Submission
from runner.limits import Concurrency, Limit, Need, Quota, SlidingWindow, TokenBucket, encode_needs
from runner.store import Role
from tests.store.builders import Clock, interval
from tests.store.leasing import Joint, Step, jointly, play_call

BOTH = ("a", "b")
PAIRS: list[list[Limit]] = [
    [TokenBucket("a", rate="100/s", burst=10), TokenBucket("b", rate="1000/s", burst=64)],
    [TokenBucket("a", rate="3/s", burst=4), interval("b", capacity=6, refill=4, every=1.5)],
    [TokenBucket("a", rate="20/s", burst=8), Quota("b", 60, per="hour")],
    [TokenBucket("a", rate="20/s", burst=8), SlidingWindow("b", 9, per=2)],
    [TokenBucket("a", rate="10/s", burst=6), TokenBucket("b", rate="10/s", burst=6)],
]
JOINT = ["1x1+1", "3x1+2", "20x1+1", "1x4+1 1x1+6", "2x2+2", "1x4+4", ""]
SINGLE = ["", "3x1", "1x4", "20x1"]
STEPS = [
    "move",
    "move",
    "start",
    "start",
    "start",
    "ask",
    "want",
    "look",
    "call",
    "lose",
    "deposit",
    "hear",
    "deaf",
    "change",
    "exchange",
    "exchange",
]
steps = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 2), st.integers(0, 1), st.integers(0, 59)), min_size=20, max_size=120)


async def play(world: Joint, redis: Redis, step: Step) -> None:
    """One step of one queue, or of the time."""
    what, at, _, number = step
    queue = world.queues[at]
    if what == "start":
        await world.start(at, **[{"a": 1, "b": 1}, {"a": 1, "b": 1}, {"a": 2, "b": 2}, {"a": 1}, {"b": 1}][number % 5])
    elif what == "ask":
        queue.asks[BOTH] = JOINT[number % len(JOINT)]
    elif what == "want":
        queue.costs = SINGLE[number % len(SINGLE)]
    elif what == "change":
        await freeze_or_pause(world, at, number)
    else:
        await play_call(world, redis, step)


async def freeze_or_pause(world: Joint, at: int, number: int) -> None:
    if number % 3 == 0:
        await world.queues[at].store.freeze("a", 500_000, "wait, said the provider")
    else:
        await world.home.pause("b", on=number % 3 == 1, reason="night")
        await world.home.recall("b")


async def let_all_start(world: Joint, redis: Redis, **costs: int) -> list[int]:
    """How many jobs of these costs each queue starts within a while, in which all ask for more than there is, and nothing fails."""
    started = [0] * len(world.queues)
    for queue in world.queues:
        queue.costs, queue.asks = "", {BOTH: f"9x{costs['a']}+{costs['b']}"}
    for _ in range(60):
        for at in range(len(world.queues)):
            await world.exchange(at)
            while await world.hear(at, redis):
                pass
            while await world.start(at, **costs):
                started[at] += 1
            await world.check(redis)
        world.clock.advance_us(150_000)
        if min(started) > 0:
            break
    return started


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(limits=st.sampled_from(PAIRS), order=steps)
async def test_starts_of_all_queues_keep_to_both_limits_whatever_becomes_of_the_calls_and_go_on_afterwards(
    redis: Redis, redis_url: str, limits: list[Limit], order: Sequence[Step]
) -> None:
    async with jointly(redis, redis_url, Clock(), limits) as world:
        for queue in world.queues:
            queue.asks[BOTH] = "20x1+1"
        for step in order:
            await play(world, redis, step)
            await world.check(redis)
        await world.home.pause("b", on=False, reason="")
        world.clock.advance(3_600)
        assert min(await let_all_start(world, redis, a=2, b=2)) > 0


@pytest.mark.parametrize(("a", "b"), [(1, 1), (6, 6), (9, 2), (2, 9), (10, 10)])
async def test_jobs_of_large_costs_of_both_limits_lock_nothing_up(redis: Redis, redis_url: str, a: int, b: int) -> None:
    limits = [TokenBucket("a", rate="100/s", burst=10), TokenBucket("b", rate="100/s", burst=10)]
    async with jointly(redis, redis_url, Clock(), limits, queues=6) as world:
        assert min(await let_all_start(world, redis, a=a, b=b)) > 0


async def test_a_job_gets_the_tokens_of_both_limits_or_none(redis: Redis, redis_url: str) -> None:
    async with jointly(redis, redis_url, Clock(), [TokenBucket("a", rate="1/s", burst=8), TokenBucket("b", rate="1/s", burst=4)]) as world:
        world.queues[0].asks[BOTH] = "1x1+4"
        world.queues[1].asks[BOTH] = "1x1+2"
        for at in (0, 1):
            await world.exchange(at)
        first, second = [{hand.bucket: hand.held for hand in (await world.look(at)).hands} for at in (0, 1)]
        assert first == {"a": 1, "b": 4}
        assert second == {"a": 0, "b": 0}
        assert await world.start(0, a=1, b=4)
        await world.exchange(0)
        answer = await world.exchange(1)
        assert answer is not None
        assert answer.in_line == {"a;b": "b"}  # it waits for what it lacks, and nothing of the other is out
        sharers = await world.home.sharers("a")
        assert sharers is not None
        assert sharers.out == 0
        world.clock.advance(2)
        await world.exchange(1)
        assert await world.start(1, a=1, b=2)


async def ask_alone(world: Joint, at: int, bucket: str, costs: str) -> None:
    """A queue asks for one bucket."""
    found = await world.look(at)
    hands = [hand._replace(costs=costs if hand.bucket == bucket else "") for hand in found.hands]
    world.queues[at].read[0] = found._replace(hands=hands)
    await world.call(at)
    await world.deposit(at)


async def test_a_job_whose_other_tokens_are_gone_when_its_turn_comes_gets_none(redis: Redis, redis_url: str) -> None:
    async with jointly(
        redis, redis_url, Clock(), [TokenBucket("a", rate="1/min", burst=2), TokenBucket("b", rate="1/s", burst=2)]
    ) as world:
        await ask_alone(world, 1, "b", "1x2")
        assert await world.start(1, b=2)
        await world.look(1)
        await world.call(1)
        world.queues[0].asks[BOTH] = "1x2+2"
        answer = await world.exchange(0)
        assert answer is not None
        assert answer.in_line == {"a;b": "b"}
        await ask_alone(world, 1, "a", "1x2")
        assert await world.start(1, a=2)
        world.clock.advance(1.9)
        await world.exchange(0)
        world.clock.advance(0.2)
        answer = await world.exchange(0)
        assert answer is not None
        assert answer.in_line == {"a;b": "a"}
        await world.check(redis)
        assert [hand.held for hand in (await world.look(0)).hands] == [0, 0]


async def test_jobs_that_need_one_limit_pass_those_that_lack_the_other(redis: Redis, redis_url: str) -> None:
    async with jointly(
        redis, redis_url, Clock(), [TokenBucket("a", rate="10/s", burst=8), TokenBucket("b", rate="1/min", burst=1)]
    ) as world:
        world.queues[0].asks[BOTH] = "9x1+1"
        await world.exchange(0)
        assert await world.start(0, a=1, b=1)
        await world.exchange(0)
        await ask_alone(world, 1, "a", "9x1")
        assert await world.start(1, a=1)


async def test_an_ask_for_both_is_not_overtaken_for_ever_by_those_for_one(redis: Redis, redis_url: str) -> None:
    """Of each limit others want every token as it lands, so that both are there at once only if one is kept."""
    limits = [TokenBucket("a", rate="10/s", burst=4), TokenBucket("b", rate="7/s", burst=4)]
    async with jointly(redis, redis_url, Clock(), limits) as world:
        world.queues[0].asks[BOTH] = "9x2+2"
        started = 0
        for _ in range(120):
            for at, bucket in ((1, "a"), (2, "b")):
                await ask_alone(world, at, bucket, "20x1")
                while await world.hear(at, redis):
                    pass
                while await world.start(at, **{bucket: 1}):
                    pass
            await world.exchange(0)
            while await world.hear(0, redis):
                pass
            started += await world.start(0, a=2, b=2)
            await world.check(redis)
            world.clock.advance_us(50_000)
        assert started >= 5  # in 6 s, in which 60 and 42 tokens land


async def test_queues_get_the_same_of_the_limit_that_each_takes_most_of(redis: Redis, redis_url: str) -> None:
    limits = [TokenBucket("a", rate="100/s", burst=20), TokenBucket("b", rate="1000/s", burst=200)]
    async with jointly(redis, redis_url, Clock(), limits, queues=2) as world:
        costs = [{"a": 1, "b": 1}, {"a": 1, "b": 40}]  # the first takes most of a, the second of b
        for queue, cost in zip(world.queues, costs, strict=True):
            queue.asks[BOTH] = f"40x{cost['a']}+{cost['b']}"
        started = [0, 0]
        for _ in range(400):
            for at, cost in enumerate(costs):
                await world.exchange(at)
                while await world.hear(at, redis):
                    pass
                while await world.start(at, **cost):
                    started[at] += 1
            world.clock.advance_us(10_000)
        shares = [started[0] / 100, started[1] * 40 / 1000]  # in seconds of the limit
        assert max(shares) < 1.2 * min(shares)
        used = (started[0] + started[1]) / 420, (started[0] + 40 * started[1]) / 4_200
        assert max(used) > 0.95


async def test_a_freeze_of_one_limit_gives_the_tokens_of_the_other_back(redis: Redis, redis_url: str) -> None:
    async with jointly(
        redis, redis_url, Clock(), [TokenBucket("a", rate="10/s", burst=8), TokenBucket("b", rate="10/s", burst=8)]
    ) as world:
        await submit(world, 0, 5, a=2, b=2)
        world.queues[0].asks.clear()
        await world.exchange(0)
        await world.queues[0].store.freeze("a", 3_000_000, "wait, said the provider")
        await world.look(0)
        held = {hand.bucket: hand.held for hand in (await world.look(0)).hands}
        assert held == {"a": 0, "b": 0}
        await world.call(0)
        sharers = await world.home.sharers("b")
        assert sharers is not None
        assert sharers.out == 0


async def test_a_queue_that_falls_silent_loses_its_place_and_its_tokens_of_both(redis: Redis, redis_url: str) -> None:
    async with jointly(redis, redis_url, Clock(), [TokenBucket("a", rate="1/s", burst=4), TokenBucket("b", rate="1/s", burst=4)]) as world:
        world.queues[0].asks[BOTH] = "1x2+2 9x3+3"
        await world.exchange(0)
        world.clock.advance(2.1)
        world.queues[1].asks[BOTH] = "1x2+2"
        answer = await world.exchange(1)
        assert answer is not None
        assert [leased.queues for leased in answer.hands if leased is not None] == [1, 1]
        world.clock.advance(2)
        await world.exchange(1)
        assert await world.start(1, a=2, b=2)
        assert not await world.start(0, a=2, b=2)


async def test_a_lowered_limit_still_serves_jobs_that_cost_more_than_it_holds(redis: Redis, redis_url: str) -> None:
    async with jointly(
        redis, redis_url, Clock(), [TokenBucket("a", rate="10/s", burst=8), TokenBucket("b", rate="10/s", burst=8)]
    ) as world:
        await submit(world, 0, 3, a=1, b=6)
        lower = [TokenBucket("a", rate="10/s", burst=8).revised(1), TokenBucket("b", rate="10/s", burst=3).revised(1)]
        await world.home.publish({}, lower, role=Role.worker, revision=1)
        for _ in range(3):
            await world.exchange(0)
            world.clock.advance(1)
        held = {hand.bucket: hand.held for hand in (await world.look(0)).hands}
        assert held == {"a": 1, "b": 3}


async def test_a_lowered_limit_still_serves_jobs_that_need_it_alone_and_cost_more_than_it_holds(redis: Redis, redis_url: str) -> None:
    async with jointly(redis, redis_url, Clock(), [TokenBucket("a", rate="10/s", burst=8)]) as world:
        await submit(world, 0, 2, a=6)
        await world.home.publish({}, [TokenBucket("a", rate="10/s", burst=3).revised(1)], role=Role.worker, revision=1)
        for _ in range(3):
            await world.exchange(0)
            world.clock.advance(1)
        assert [hand.held for hand in (await world.look(0)).hands] == [3]


async def test_an_ask_that_a_leader_of_the_version_before_takes_out_of_the_line_comes_back_with_the_next_call(
    redis: Redis, redis_url: str
) -> None:
    """Its scripts know partitions only, and remove from a line what is none."""
    async with jointly(redis, redis_url, Clock(), [TokenBucket("a", rate="1/s", burst=4), TokenBucket("b", rate="1/s", burst=4)]) as world:
        world.queues[0].asks[BOTH] = "2x4+4"
        await world.exchange(0)
        assert await world.start(0, a=4, b=4)
        await world.exchange(0)
        prefix = world.home.keys.prefix
        assert await redis.zrem(f"{prefix}asking:a", f"{world.queues[0].partition} a;b") == 1
        await world.exchange(0)
        world.clock.advance(4)
        await world.exchange(0)
        assert await world.start(0, a=4, b=4)


async def test_tokens_that_a_leader_of_the_version_before_asked_for_one_by_one_go_back_if_they_lack_others(
    redis: Redis, redis_url: str
) -> None:
    async with jointly(redis, redis_url, Clock(), [TokenBucket("a", rate="1/s", burst=4), TokenBucket("b", rate="1/s", burst=4)]) as world:
        await world.look(1)
        found = world.queues[1].read[0]
        world.queues[1].read[0] = found._replace(hands=[hand._replace(costs="1x3") for hand in found.hands if hand.bucket == "b"])
        await world.call(1)
        await submit(world, 0, 2, a=2, b=2)
        found = await world.look(0)
        assert [ask.buckets for ask in found.asks] == [BOTH]
        world.queues[0].read[0] = found._replace(hands=[hand._replace(costs="2x2") for hand in found.hands], asks=[])
        await world.call(0)
        await world.deposit(0)
        found = await world.look(0)
        assert {hand.bucket: hand.held for hand in found.hands} == {"a": 0, "b": 0}
        answer = await world.call(0)
        assert answer is not None
        assert answer.in_line == {"a;b": "b"}


async def test_what_queues_want_of_a_limit_counts_jobs_that_need_others_too(redis: Redis, redis_url: str) -> None:
    async with jointly(redis, redis_url, Clock(), [TokenBucket("a", rate="1/s", burst=4), TokenBucket("b", rate="1/s", burst=4)]) as world:
        await submit(world, 0, 3, a=2, b=3)
        await submit(world, 0, 4, b=1)
        found = await world.look(0)
        assert {hand.bucket: found.wanted(hand) for hand in found.hands} == {"a": 6, "b": 13}
        await world.call(0)
        sharers = await world.home.sharers("b")
        assert sharers is not None
        assert sum(queue.in_hand + queue.wanted for queue in sharers.queues) == 13


async def submit(world: Joint, at: int, jobs: int, **costs: int) -> None:
    """Jobs that need these tokens."""
    needs = [Need(name, cost, given_back=False) for name, cost in costs.items()]
    limits, line = encode_needs(needs)
    number = await world.queues[at].store.redis.dbsize()
    batch = [Submission(f"j{number}-{each}", b"{}", "work", limits, line) for each in range(jobs)]
    await world.queues[at].store.submit(batch)


async def test_a_queue_asks_for_each_set_of_limits_apart(redis: Redis, redis_url: str) -> None:
    async with jointly(
        redis, redis_url, Clock(), [TokenBucket("a", rate="10/s", burst=8), TokenBucket("b", rate="10/s", burst=8)]
    ) as world:
        await submit(world, 0, 2, a=1)
        await submit(world, 0, 3, a=2, b=5)
        await submit(world, 0, 1, a=1, b=7)
        await submit(world, 0, 2, b=3)
        found = await world.look(0)
        assert [(ask.buckets, ask.is_covered, ask.costs) for ask in found.asks] == [(BOTH, False, "3x2+5 1x1+7")]
        assert {hand.bucket: (hand.first, hand.costs) for hand in found.hands} == {"a": (1, "2x1"), "b": (3, "2x3")}


async def test_limits_of_the_queue_itself_are_no_part_of_an_ask(redis: Redis, redis_url: str) -> None:
    async with jointly(redis, redis_url, Clock(), [TokenBucket("a", rate="10/s", burst=8)]) as world:
        await world.queues[0].store.publish({}, [world.limits[0], Concurrency("own", 2)])
        await submit(world, 0, 2, a=1, own=1)
        found = await world.look(0)
        assert not found.asks
        assert [(hand.bucket, hand.first, hand.costs) for hand in found.hands] == [("a", 1, "2x1")]
