"""Workers that meet jobs of tasks they do not have: what they take comes back exactly, and after the first they take nothing."""

import asyncio

import pytest
from redis.asyncio import Redis

from runner import Concurrency, TakeRefused, TokenBucket
from runner.store.keys import Keys
from tests.eventually import eventually
from tests.worker.conftest import Crew, MakeApp

PAY = TokenBucket("pay", rate="1/h", burst=40)
ROOM = Concurrency("room", 30)
JOBS = 20


async def test_an_idle_old_worker_takes_tokens_for_one_batch_at_most_however_long_the_new_one_is_busy(
    make_app: MakeApp, redis: Redis, queue: str, crew: Crew
) -> None:
    old, new = make_app(concurrency=5), make_app(concurrency=1)
    free = asyncio.Event()

    @old.task(limits=[PAY, ROOM])
    async def charge() -> str:
        return "charged"

    @new.task(limits=[PAY, ROOM])
    async def refund(number: int) -> int:
        await free.wait()
        return number

    await crew.start(old)
    await crew.start(new)
    jobs = [await refund.submit(number) for number in range(JOBS)]
    keys = [Keys(queue).job(job.id) for job in jobs]

    async def bounces() -> list[int]:
        return [int(await redis.hget(key, "bounced") or 0) for key in keys]

    async def were_met_often() -> bool:
        return sorted(await bounces())[1] >= 4  # all but the one that runs

    await eventually(were_met_often)
    attempts = sum([int(await redis.hget(key, "attempt") or 0) for key in keys])
    assert attempts <= 1 + old.settings.concurrency, "what is met again takes nothing"
    assert await (await charge.submit()).result(timeout=5) == "charged"
    free.set()

    assert [await job.result(timeout=30) for job in jobs] == list(range(JOBS))
    assert {(await job.status()).failures for job in jobs} == {0}
    assert await redis.zcard(Keys(queue).holders("room")) == 0
    # Of 40 tokens 20 refunds and a charge have taken one each, and none besides.
    await new.take(PAY, cost=40 - JOBS - 1)
    with pytest.raises(TakeRefused):
        await new.take(PAY)
