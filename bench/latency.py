"""latency: from the call of submit to the first line of the handler, one job at a time, in an idle worker process."""

import asyncio
import random
from dataclasses import dataclass

from redis.asyncio import Redis

from bench.redis_load import RedisLoad
from bench.scenario import Repetition, Scenario, option, percentiles
from bench.worker_process import worker_processes
from bench.workload import build
from runner import Settings, TokenBucket
from runner.clock import monotonic_us

_QUEUE = "bench"
_WARM_UP_JOBS = 20
_RESULT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Options:
    jobs: int = option(500, "jobs submitted")
    pause_ms: int = option(15, "mean pause between two jobs, which is random")


async def measure(url: str, options: Options) -> Repetition:
    settings = Settings(redis_url=url)
    app = build(_QUEUE, settings, TokenBucket("metered", rate="1/s"))
    task = app.tasks["monotonic_instant"]
    redis = Redis.from_url(url, protocol=2)
    submitted_us, returned_us, handles = [], [], []
    try:
        async with worker_processes(1, _QUEUE, settings) as (worker,):
            worker.go()
            for _ in range(_WARM_UP_JOBS):
                await (await task.submit()).result(_RESULT_TIMEOUT_S)
            before = await RedisLoad.now(redis)
            for _ in range(options.jobs):
                # Random, so that submissions do not keep step with any timer.
                await asyncio.sleep(random.uniform(0.2, 1.8) * options.pause_ms / 1_000)
                submitted_us.append(monotonic_us())
                handles.append(await task.submit())
                returned_us.append(monotonic_us())
            # Results are fetched afterwards: waiting for each one would put more work beside what is measured.
            await handles[-1].result(_RESULT_TIMEOUT_S)
            load = (await RedisLoad.now(redis)).since(before)
            started_us = [await handle.result(_RESULT_TIMEOUT_S) for handle in handles]
    finally:
        await redis.aclose()
        await app.close()
    to_start_ms = [(start - begun) / 1_000 for start, begun in zip(started_us, submitted_us, strict=True)]
    call_ms = [(end - begun) / 1_000 for end, begun in zip(returned_us, submitted_us, strict=True)]
    figures = {
        **percentiles(to_start_ms, "ms"),
        **percentiles(call_ms, "ms", "submit_call_"),
        "redis_commands_per_job": load.calls / options.jobs,
    }
    return Repetition(figures, load.per(options.jobs))


SCENARIO = Scenario("latency", "job", Options, measure, "from submit to the start of the handler in an idle worker")
