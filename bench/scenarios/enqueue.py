"""enqueue: how fast one process submits through the library: one job after the other, many at the same time, and 500 a call."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass

from redis.asyncio import Redis

from bench.redis_load import RedisLoad
from bench.scenario import Repetition, Scenario, percentiles
from bench.workload import QUEUE, build
from runner import Runner, Settings
from runner.clock import MICROSECONDS, monotonic_us


@dataclass(frozen=True, slots=True)
class Options:
    """`batch` jobs a call, each of `task` with `payload` bytes of argument, from so many `coroutines`; `warm_up` jobs beforehand."""

    jobs: int = 20_000
    batch: int = 500
    task: str = "noop"
    payload: int = 0
    coroutines: int = 1
    warm_up: int = 1_000


async def measure(url: str, options: Options) -> Repetition:
    app = build(QUEUE, Settings(redis_url=url))
    try:
        async with Redis.from_url(url, protocol=2) as redis:
            await _calls_ms(app, options, options.warm_up)
            before, cpu_before_s, begun_us = await RedisLoad.now(redis), _cpu_s(), monotonic_us()
            calls_ms = await _calls_ms(app, options, options.jobs)
            seconds = (monotonic_us() - begun_us) / MICROSECONDS
            cpu_s, load = _cpu_s() - cpu_before_s, (await RedisLoad.now(redis)).since(before)
    finally:
        await app.close()
    figures = {
        "jobs_per_s": options.jobs / seconds,
        **percentiles(calls_ms, "ms", "call_"),
        "producer_cpu_us_per_job": cpu_s * MICROSECONDS / options.jobs,
        "redis_cpu_us_per_job": load.cpu_s * MICROSECONDS / options.jobs,
        "redis_commands_per_job": load.calls / options.jobs,
    }
    return Repetition(figures, load.per(options.jobs))


async def _calls_ms(app: Runner, options: Options, jobs: int) -> list[float]:
    """Milliseconds of each call, checking and encoding the arguments included."""
    times: list[float] = []
    counts = iter([min(options.batch, jobs - start) for start in range(0, jobs, options.batch)])
    await asyncio.gather(*(_submit(app, options, counts, times) for _ in range(options.coroutines)))
    return times


async def _submit(app: Runner, options: Options, counts: Iterator[int], times: list[float]) -> None:
    """One coroutine: call after call, until all that share the counts have made them."""
    task, data = app.tasks[options.task], "x" * options.payload
    for count in counts:
        begun_us = monotonic_us()
        if options.batch == 1:
            await task.submit(data)
        else:
            await app.submit_many([task.prepare(data) for _ in range(count)])
        times.append((monotonic_us() - begun_us) / 1_000)


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system


SCENARIO = Scenario(
    name="enqueue",
    unit="job",
    description="submit jobs one by one and in bulk",
    cases={
        "single": Options(jobs=4_000, batch=1),
        "concurrent": Options(batch=1, coroutines=100),
        "single-limit": Options(jobs=4_000, batch=1, task="limits_1"),
        "bulk": Options(jobs=50_000),
        "bulk-limit": Options(jobs=50_000, task="limits_1"),
        "bulk-payload-1k": Options(payload=1_000),
    },
    quick={"jobs": 200, "warm_up": 10},
    measure=measure,
)
