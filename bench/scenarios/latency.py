"""latency: from the call of submit to the first line of the handler, one job at a time, in a worker that is idle or half busy."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from bench.backlog import Backlog, drain, submit
from bench.program import Program, program, workers
from bench.redis_load import RedisLoad
from bench.scenario import Repetition, Scenario, percentiles
from bench.workload import QUEUE, build
from runner import Settings
from runner.clock import monotonic_us

_RESULT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Options:
    """`jobs` at random pauses of `pause_ms` in the mean, beside a load of so many percent of what this worker drained of `calibration` jobs just before."""

    jobs: int = 500
    pause_ms: int = 15
    load_percent: int = 0
    warm_up: int = 20
    calibration: int = 20_000


async def measure(url: str, options: Options) -> Repetition:
    settings = Settings(redis_url=url)
    app = build(QUEUE, settings)
    task = app.tasks["monotonic_instant"]
    submitted_us, returned_us, handles = [], [], []
    async with AsyncExitStack() as stack:
        stack.push_async_callback(app.close)
        redis = await stack.enter_async_context(Redis.from_url(url, protocol=2))
        (worker,) = await stack.enter_async_context(workers([QUEUE], settings))
        rate = await _rate(redis, settings, worker, options)
        async with _load(settings, rate) as load_rates:
            for _ in range(options.warm_up):
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
    to_start_ms = [(start - begun) / 1_000 for start, begun in zip(started_us, submitted_us, strict=True)]
    call_ms = [(end - begun) / 1_000 for end, begun in zip(returned_us, submitted_us, strict=True)]
    figures = percentiles(to_start_ms, "ms") | percentiles(call_ms, "ms", "submit_call_")
    if rate:
        return Repetition(figures | {"load_wanted_per_s": rate, "load_made_per_s": load_rates[0]})
    return Repetition(figures | {"redis_commands_per_job": load.calls / options.jobs}, load.per(options.jobs))


async def _rate(redis: Redis, settings: Settings, worker: Program, options: Options) -> int:
    """Jobs a second that are this part of what the worker does at most; lets it go."""
    if not options.load_percent:
        worker.go()
        return 0
    drained = await drain(redis, [worker], await submit(settings, Backlog(jobs=options.calibration)))
    return round(drained.jobs / drained.seconds * options.load_percent / 100)


@asynccontextmanager
async def _load(settings: Settings, rate: int) -> AsyncIterator[list[int]]:
    """Jobs at this rate from a process of its own; afterwards the list has the rate that was made."""
    made: list[int] = []
    if not rate:
        yield made
        return
    async with program("producer", str(rate), settings=settings) as producer:
        producer.go()
        yield made
        producer.go()
        made.append(int(await producer.answer()))


SCENARIO = Scenario(
    name="latency",
    unit="job",
    description="from submit to the start of the handler",
    cases={"idle": Options(), "half-load": Options(load_percent=50)},
    quick={"jobs": 20, "warm_up": 2, "calibration": 200},
    measure=measure,
)
