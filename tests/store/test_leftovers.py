"""The check for keys without a TTL must be able to fail."""

from redis.asyncio import Redis

from tests.leftovers import immortal_keys


async def test_an_unnamed_key_without_a_ttl_is_found(redis: Redis, queue: str) -> None:
    await redis.hset(f"runner:{{{queue}}}:bucket:stripe", "used", "1")

    assert await immortal_keys(redis, queue) == [f"runner:{{{queue}}}:bucket:stripe"]

    await redis.delete(f"runner:{{{queue}}}:bucket:stripe")


async def test_a_named_key_and_a_key_with_a_ttl_may_stay(redis: Redis, queue: str) -> None:
    await redis.set(f"runner:{{{queue}}}:seq", 1)
    await redis.set(f"runner:{{{queue}}}:stream:high", 1)
    await redis.set(f"runner:{{{queue}}}:bucket:stripe", 1, px=60_000)

    assert await immortal_keys(redis, queue) == []


async def test_a_job_needs_a_ttl_once_it_is_final(redis: Redis, queue: str) -> None:
    await redis.hset(f"runner:{{{queue}}}:job:a", "state", "running")
    await redis.hset(f"runner:{{{queue}}}:job:b", "state", "succeeded")

    assert await immortal_keys(redis, queue) == [f"runner:{{{queue}}}:job:b"]

    await redis.pexpire(f"runner:{{{queue}}}:job:b", 60_000)


async def test_a_bucket_may_stay_while_a_job_holds_of_it(redis: Redis, queue: str) -> None:
    bucket, holders = f"runner:{{{queue}}}:bucket:x", f"runner:{{{queue}}}:holders:x"
    await redis.hset(bucket, "used", "1")
    await redis.zadd(holders, {"1:a#1": 2**53 - 1})

    assert await immortal_keys(redis, queue) == []

    await redis.zadd(holders, {"1:a#1": 4_000_000_000_000_000})
    assert await immortal_keys(redis, queue) == [bucket, holders]
    await redis.delete(bucket, holders)
