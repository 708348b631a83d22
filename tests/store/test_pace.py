"""How fast tokens of a shared limit come to a queue: as it has counted, or the equal part; and who is missed when none comes."""

from redis.asyncio import Redis

from runner.limits import Quota, TokenBucket
from tests.store.builders import Clock, claim, finish_all, job, jobs
from tests.store.leasing import Shared, shared

STEP_S = 0.1


async def work_off(world: Shared, redis: Redis, rounds: int, step_s: float = STEP_S) -> None:
    """What leaders and workers do while jobs wait in all queues."""
    for _ in range(rounds):
        world.clock.advance(step_s)
        for at, queue in enumerate(world.queues):
            await world.exchange(at)
            while await world.hear(at, redis):
                pass
            await queue.store.refill()
            await finish_all(queue.store, await claim(queue.store))


async def seconds_each(world: Shared, at: int = 0) -> float | None:
    """How long a queue tells a newcomer to wait for one token."""
    return (await world.queues[at].store.take("take:who asks", f"{world.limit.name}=1", "1|a line of its own")).wait_s


async def test_a_queue_tells_the_pace_that_it_has_counted(redis: Redis, redis_url: str) -> None:
    async with shared(redis, redis_url, Clock(), TokenBucket("api", rate="10/s", burst=30), queues=2) as world:
        for queue in world.queues:
            queue.costs = "20x1"
            await queue.store.submit(jobs(400, needs=["api"]))
        await work_off(world, redis, 30, step_s=0.001)
        await work_off(world, redis, 140)
        for at in (0, 1):
            each_s = await seconds_each(world, at)
            assert each_s is not None
            assert 0.17 < each_s < 0.24  # of 10/s each has a half, and the burst of before is not counted
        waiting = next(one for one in await world.queues[0].store.get(["j399"]) if one is not None)
        assert waiting.position is not None
        assert waiting.eta_s is not None
        assert abs(waiting.eta_s - waiting.position / 5) < waiting.position / 5 / 5
        assert waiting.shared is not None
        assert waiting.shared.queues == 2
        (row,) = (await world.queues[0].store.overview()).limits
        assert row.buckets[0].clears_us is not None
        assert abs(row.buckets[0].clears_us / 1e6 - waiting.eta_s) < waiting.eta_s / 10
        assert waiting.shared.per_second is not None
        assert 4.2 < waiting.shared.per_second < 6


async def test_a_queue_that_has_counted_nothing_tells_its_equal_part(redis: Redis, redis_url: str) -> None:
    async with shared(redis, redis_url, Clock(), TokenBucket("api", rate="10/s", burst=3), queues=2) as world:
        assert await seconds_each(world) == 0.1  # it knows of nobody else
        for at in (0, 1):
            world.queues[at].costs = "20x1"
            await world.queues[at].store.submit(jobs(3, needs=["api"]))
        for at in (1, 0):
            await world.exchange(at)
        assert await seconds_each(world) == 0.2


async def test_of_a_shared_quota_nobody_tells_when_a_token_comes(redis: Redis, redis_url: str) -> None:
    async with shared(redis, redis_url, Clock(), Quota("api", 3, per="hour"), queues=1) as world:
        assert await seconds_each(world) is None


async def test_a_refusal_tells_who_is_missed(redis: Redis, redis_url: str) -> None:
    async with shared(redis, redis_url, Clock(), TokenBucket("api", rate="10/s", burst=3), queues=1) as world:
        (queue,) = world.queues

        async def reason() -> str:
            return (await queue.store.take("take:who asks", "api=1", "1|a line of its own")).reason

        assert await reason() == "unled"
        await redis.set(queue.store.keys.leader, "w:1", px=60_000)
        assert await reason() == "tokens"
        await queue.store.submit(jobs(90, needs=["api"]))
        await work_off(world, redis, 40)
        assert await reason() == "tokens"
        for _ in range(5):  # the leader looks, and the home says nothing
            world.clock.advance(1)
            await world.look(0)
        assert await reason() == "away"
        (waiting,) = await queue.store.get(["j60"])
        assert waiting is not None
        assert (waiting.reason, waiting.eta_s) == ("tokens", None)
        assert waiting.shared is not None
        assert waiting.shared.is_away
        await world.exchange(0)
        assert await reason() == "tokens"


async def test_a_job_that_would_come_while_nobody_waits_is_told_what_this_queue_has_not_used(redis: Redis, redis_url: str) -> None:
    async with shared(redis, redis_url, Clock(), TokenBucket("api", rate="1/s", burst=3), queues=1) as world:
        (queue,) = world.queues
        queue.costs = "20x1"
        found = await queue.store.foresee(job("new", needs=["api"]))
        assert found.estimate is not None
        assert found.estimate.eta_us == 0
        await queue.store.submit(jobs(3, needs=["api"]))
        await work_off(world, redis, 30)
        queue.costs = ""
        await work_off(world, redis, 1)
        found = await queue.store.foresee(job("new", needs=[("api", 3)]))
        assert found.estimate is not None
        assert found.estimate.eta_us is not None
        assert 0 <= found.estimate.eta_us <= 3_000_000
        assert found.earliest.wait_us == 0  # an estimate is no bound


async def test_a_deadline_is_not_held_against_an_estimate(redis: Redis, redis_url: str) -> None:
    async with shared(redis, redis_url, Clock(), TokenBucket("api", rate="1/min", burst=1), queues=1) as world:
        (queue,) = world.queues
        await queue.store.submit(jobs(5, needs=["api"]))
        late = job("late", needs=["api"])._replace(deadline_us=1_000_000)
        assert await queue.store.out_of_reach([late]) == {}
