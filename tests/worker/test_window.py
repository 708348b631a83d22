"""A full window: one worker holds the released jobs and does not start them. The others wait without polling, and then go on."""

import pytest
from redis.asyncio import Redis

from runner import TokenBucket
from runner.store.job_store import JobStore
from tests.eventually import eventually
from tests.store.builders import read
from tests.worker.conftest import Crew, MakeApp

SLOW = TokenBucket("slow", capacity=100, refill=1, every=3600)


async def calls(redis: Redis) -> int:
    """How many scripts the server has run so far."""
    stats = await redis.info("commandstats")
    return sum(int(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"]) for name in ("eval", "evalsha"))


@pytest.mark.parametrize("leads", [True, False], ids=["leader", "no-leader"])
async def test_workers_do_not_spin_while_another_holds_the_whole_window(
    make_app: MakeApp, redis: Redis, redis_url: str, queue: str, crew: Crew, leads: bool
) -> None:
    app = make_app(window=2, concurrency=2)

    @app.task(limits=[SLOW])
    async def work() -> None: ...

    jobs = await app.submit_many([work.prepare() for _ in range(10)])
    silent = JobStore(redis_url, queue, app.settings)
    await silent.enlist("silent", "{}")
    assert len(await read(silent, "silent", 2, 1.0)) == 2
    if not leads:
        await redis.set(silent.keys.leader, "nobody:1", px=3000)
    worker = await crew.start(app)
    before = await calls(redis)
    await still_for(1.0)
    asked = await calls(redis) - before
    await silent.reconcile("silent", [], leave=True)
    await silent.close()

    assert asked < 100
    assert worker.id in crew.ids

    async def all_done() -> bool:
        return {(await job.status()).state for job in jobs} == {"succeeded"}

    await eventually(all_done)


async def still_for(seconds: float) -> None:
    """Let time pass; there is no condition to wait for."""
    with pytest.raises(AssertionError, match="not within"):
        await eventually(lambda: False, within_s=seconds)
