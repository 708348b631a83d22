"""What a queue and the home of a shared limit tell each other may come late or twice, or be older than what came before it."""

from redis.asyncio import Redis

from runner.limits import Need, TokenBucket
from tests.store.builders import Clock, job
from tests.store.leasing import shared


async def test_a_hand_is_trusted_from_before_the_call_that_brought_it(redis: Redis, redis_url: str) -> None:
    async with shared(redis, redis_url, Clock(), TokenBucket("api", rate="1/s", burst=8)) as world:
        world.queues[0].costs = "2x1"
        await world.look(0)
        await world.call(0)
        world.clock.advance(0.08)  # so long the answer is under way
        await world.deposit(0)
        assert await world.start(0)
        world.clock.advance(1.89)  # soon the home counts as used what is left
        assert not await world.start(0)


async def test_an_answer_that_is_older_than_the_last_one_changes_nothing(redis: Redis, redis_url: str) -> None:
    async with shared(redis, redis_url, Clock(), TokenBucket("api", rate="10/s", burst=40), queues=1) as world:
        world.queues[0].costs = "2x1"
        await world.exchange(0)
        world.clock.advance(0.05)
        await world.exchange(0)
        await world.deposit(0, 0)
        assert [await world.start(0) for _ in range(5)] == [True, True, True, True, False]


async def test_a_report_that_is_older_than_the_last_one_changes_nothing(redis: Redis, redis_url: str) -> None:
    async with shared(redis, redis_url, Clock(), TokenBucket("api", rate="1/s", burst=8)) as world:
        world.queues[0].costs = "2x1"
        await world.exchange(0)
        world.queues[0].costs = ""
        await world.look(0, leader=0)
        assert [await world.start(0) for _ in range(2)] == [True, True]
        await world.look(0, leader=1)
        await world.call(0, leader=1)
        before = await world.free_at_home(redis)
        answer = await world.call(0, leader=0)
        assert answer is not None
        assert answer.leased.spent.used == 2
        assert await world.free_at_home(redis) == before == 6_000_000


async def test_a_use_is_entered_when_it_was_and_not_when_it_is_told(redis: Redis, redis_url: str) -> None:
    """The bucket was full meanwhile, and is full again in so many seconds after the use."""
    async with shared(redis, redis_url, Clock(), TokenBucket("api", rate="1/s", burst=8)) as world:
        world.queues[0].costs = "2x1"
        await world.exchange(0)
        assert [await world.start(0) for _ in range(2)] == [True, True]
        world.queues[0].costs = ""
        world.clock.advance(1)
        await world.exchange(0)
        assert await world.free_at_home(redis) == 7_000_000


async def test_a_use_of_which_a_full_bucket_hears_is_entered_no_earlier_than_it_was_full(redis: Redis, redis_url: str) -> None:
    async with shared(redis, redis_url, Clock(), TokenBucket("api", rate="4/s", burst=8)) as world:
        for at in (0, 1):
            world.queues[at].costs = "2x1"
            await world.exchange(at)
            world.queues[at].costs = ""
        await world.exchange(0)
        assert [await world.start(0) for _ in range(2)] == [True, True]
        await world.exchange(0)  # full again after half a second
        world.clock.advance(0.1)
        assert await world.start(1)
        world.clock.advance(0.5)
        await world.exchange(1)
        # One bucket: at 0.1 s it lacks 2 - 0.4 + 1 tokens, and at 0.6 s two less of them.
        assert await world.free_at_home(redis) == round(7.4 * world.limit.credits_a_token)  # type: ignore[attr-defined]


async def test_tokens_that_do_not_suffice_for_the_first_job_go_back_at_once(redis: Redis, redis_url: str) -> None:
    """Else several queues with a part of what they need each would leave none for anybody."""
    async with shared(redis, redis_url, Clock(), TokenBucket("api", rate="1/s", burst=8)) as world:
        (queue, *_) = world.queues
        queue.costs = "1x1"
        await world.exchange(0)
        await queue.store.submit([job("large", needs=[Need("api", 4)])])
        hand = await world.look(0)
        assert hand is not None
        assert (hand.held, hand.spent.back, hand.first, hand.costs) == (0, 1, 4, "1x4")


async def test_a_home_that_has_forgotten_a_queue_charges_only_what_it_had_not_heard(redis: Redis, redis_url: str) -> None:
    async with shared(redis, redis_url, Clock(), TokenBucket("api", rate="1/s", burst=8)) as world:
        (queue, *_) = world.queues
        queue.costs = "2x1"
        await world.exchange(0)
        assert await world.start(0)
        await world.exchange(0)
        assert await world.start(0)
        await redis.delete(f"{world.home.keys.prefix}lease:api:{queue.partition}", f"{world.home.keys.prefix}lease:api")
        await redis.delete(world.home.keys.bucket("api"))
        queue.costs = ""
        await world.exchange(0)
        assert await world.free_at_home(redis) == 7_000_000
