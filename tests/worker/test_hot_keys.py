"""One key with thousands of jobs in line: jobs of other keys do not wait for them."""

import asyncio
from statistics import median

import pytest
from redis.asyncio import Redis

from runner import Runner, TokenBucket
from runner.store.keys import Keys
from tests.pace import Pace
from tests.worker.conftest import Crew

HOT, COLD = 5_000, 50


@pytest.mark.fault("F27")
async def test_fifty_cold_keys_start_at_once_alongside_a_hot_one_with_five_thousand_in_line(
    app: Runner, redis: Redis, queue: str, crew: Crew, pace: Pace
) -> None:
    begun_s: dict[str, float] = {}

    @app.task(limits=[TokenBucket("tenant", rate="10/s", burst=5, key="{tenant}")])
    async def call(tenant: str) -> None:
        begun_s[tenant] = pace.now_s
        await asyncio.sleep(0.01)

    await crew.start(app)
    await crew.start(app)
    hot = await app.submit_many([call.prepare("hot") for _ in range(HOT)])
    submitted_s = pace.now_s
    cold = await app.submit_many([call.prepare(f"cold{number}") for number in range(COLD)])
    await asyncio.gather(*(job.result(timeout=30) for job in cold))

    waits_s = [begun_s[f"cold{number}"] - submitted_s for number in range(COLD)]
    assert median(waits_s) < 1.0
    assert max(waits_s) < 3.0  # after the jobs of the hot key they would start in minutes
    last = await hot[-1].status()
    assert (last.state, last.reason) == ("waiting", "tokens")
    await crew.stop_all()
    await redis.delete(*(Keys(queue).job(job.id) for job in hot))
