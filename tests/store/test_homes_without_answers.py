"""A home that knows nothing of a shared limit, whatever is published there: the leader asks again, and not all the time."""

import asyncio

from redis.asyncio import Redis
from typing_extensions import override

from runner.clock import monotonic_s
from runner.limits import TokenBucket, home_of
from runner.settings import Settings
from runner.store import Ask, Hand, Home, JobStore, LeaseAnswer, Told
from runner.worker.exchange import Exchange
from tests.eventually import eventually
from tests.leftovers import keys_of
from tests.store.builders import job, publish
from tests.topologies import queue_name


class Forgetful(Home):
    """Has no answer for any bucket."""

    published = asked = 0

    @override
    async def publish(self, *words: object, **more: object) -> object:  # type: ignore[override] # it only counts
        self.published += 1
        return await super().publish(*words, **more)  # type: ignore[arg-type]

    @override
    async def lease(self, partition: str, weight: int, hands: list[Hand], asks: list[Ask] = []) -> LeaseAnswer:  # type: ignore[override] # noqa: B006
        self.asked += 1
        return LeaseAnswer(0, [None] * len(hands), {})


async def test_a_home_without_an_answer_is_told_of_the_limit_again_a_few_times_a_second(
    redis: Redis, redis_url: str, store: JobStore
) -> None:
    limit = TokenBucket("api", rate="10/s", burst=5, shared=queue_name())
    await publish(store, limit)
    await store.submit([job("j", needs=["api"])])
    home = Forgetful(redis_url, limit.shared or "", Settings())
    exchange = Exchange(store, home, {"api": limit}, 1, 0, lambda: None)
    exchange._note(Told("api", None, False))  # something has changed, said the home: come at once
    running = asyncio.create_task(exchange.run())
    try:
        began_s = monotonic_s()
        await eventually(lambda: home.published >= 5 or home.asked > 100)
        assert home.asked <= 100
        assert monotonic_s() - began_s > 1.0  # a busy machine takes longer, and none less
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await home.close()
        if keys := await keys_of(redis, home_of(limit.shared or "")):
            await redis.delete(*keys)
