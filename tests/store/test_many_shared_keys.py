"""Shared limits with many keys: each look of the leader sees a part of their buckets, and in the end all of them."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from runner.limits import TokenBucket, home_of
from runner.settings import Settings
from runner.store import ClaimRequest, Home, JobStore, Look
from runner.worker.exchange import Exchange
from tests.eventually import eventually
from tests.leftovers import keys_of
from tests.store.builders import Clock, job, make_store, publish
from tests.topologies import queue_name

TENANTS = [f"t{number:03}" for number in range(70)]


@pytest.fixture
def limit() -> TokenBucket:
    return TokenBucket("tenant", rate="2/s", burst=2, key="{t}", shared=queue_name())


@pytest.fixture(autouse=True)
async def home_key_space(redis: Redis, limit: TokenBucket) -> AsyncIterator[None]:
    yield
    if keys := await keys_of(redis, home_of(limit.shared or "")):
        await redis.delete(*keys)


async def test_every_key_is_seen_in_one_of_a_few_looks(store: JobStore, limit: TokenBucket) -> None:
    await publish(store, limit)
    await store.submit([job(f"j{tenant}", needs=[f"tenant/{tenant}"]) for tenant in TENANTS])

    seen: set[str] = set()
    for look in range(5):
        found = await store.exchange("id", ["tenant"], look=look)
        assert found.is_partial
        assert len(found.hands) <= 24
        seen |= {hand.bucket for hand in found.hands}

    assert seen == {f"tenant/{tenant}" for tenant in TENANTS}
    named = await store.exchange("id", ["tenant", "tenant/t069"], look=0)
    assert "tenant/t069" in {hand.bucket for hand in named.hands}


async def test_a_few_keys_are_seen_in_each_look(store: JobStore, limit: TokenBucket) -> None:
    await publish(store, limit)
    await store.submit([job(f"j{tenant}", needs=[f"tenant/{tenant}"]) for tenant in TENANTS[:8]])

    for look in range(3):
        found = await store.exchange("id", ["tenant"], look=look)
        assert (len(found.hands), found.is_partial) == (8, False)


async def test_a_tenant_late_in_the_alphabet_starts_beside_many_who_never_run_dry(redis_url: str, queue: str, limit: TokenBucket) -> None:
    store = make_store(redis_url, queue, Clock(0))
    store._now_us = lambda: 0  # the time of the server: an exchange keeps its own
    home = Home(redis_url, limit.shared or "", Settings())
    started: set[str] = set()
    come = asyncio.Event()
    exchange = Exchange(store, home, {"tenant": limit}, 1, 0, come.set)
    await publish(store, limit)
    await store.enlist("w", "{}")
    for tenant in TENANTS:
        await store.submit([job(f"{tenant}-{number}", needs=[f"tenant/{tenant}"]) for number in range(100)])

    async def work() -> None:
        while True:
            claimed = await store.claim("w", ClaimRequest(100, look=Look.yes, read_more=True))
            started.update(one.id.partition("-")[0] for one in claimed.jobs)
            if claimed.jobs:
                exchange.wake()
            await asyncio.sleep(0.005)

    running = [asyncio.create_task(exchange.run()), asyncio.create_task(work())]
    try:
        await eventually(lambda: started == set(TENANTS), within_s=30)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await home.close()
        await store.close()
