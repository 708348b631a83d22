"""enqueue: how fast one process submits through the library, a job a call and 500 a call."""

from dataclasses import dataclass

from redis.asyncio import Redis

from bench.drain import task_name
from bench.redis_load import RedisLoad
from bench.scenario import Repetition, Scenario, option, percentiles
from bench.workload import build
from runner import Runner, Settings, TokenBucket
from runner.clock import monotonic_us
from runner.limits import MICROSECONDS

_WARM_UP_JOBS = 500


@dataclass(frozen=True, slots=True)
class Options:
    jobs: int = option(20_000, "jobs submitted in bulk; a tenth of them also one by one")
    batch: int = option(500, "jobs in each bulk call")
    payload: int = option(0, "bytes of argument in each job")
    limit: bool = option(False, "put each job behind a limit that never binds")


async def _one_by_one(app: Runner, options: Options) -> list[float]:
    """Milliseconds of each call."""
    task, data = app.tasks[task_name(limit=options.limit)], "x" * options.payload
    times = []
    for _ in range(max(options.jobs // 10, 1)):
        begun_us = monotonic_us()
        await task.submit(data)
        times.append((monotonic_us() - begun_us) / 1_000)
    return times


async def _in_bulk(app: Runner, options: Options, jobs: int) -> float:
    """Seconds for all jobs, checking and encoding their arguments included."""
    task, data = app.tasks[task_name(limit=options.limit)], "x" * options.payload
    begun_us = monotonic_us()
    for start in range(0, jobs, options.batch):
        await app.submit_many([task.prepare(data) for _ in range(min(options.batch, jobs - start))])
    return (monotonic_us() - begun_us) / MICROSECONDS


async def measure(url: str, options: Options) -> Repetition:
    settings = Settings(redis_url=url)
    app = build("bench", settings, TokenBucket("metered", rate="1/s"))
    redis = Redis.from_url(url, protocol=2)
    try:
        await _in_bulk(app, options, _WARM_UP_JOBS)
        single_ms = await _one_by_one(app, options)
        before = await RedisLoad.now(redis)
        bulk_s = await _in_bulk(app, options, options.jobs)
        load = (await RedisLoad.now(redis)).since(before)
    finally:
        await redis.aclose()
        await app.close()
    figures = {
        "bulk_jobs_per_s": options.jobs / bulk_s,
        "single_jobs_per_s": len(single_ms) * 1_000 / sum(single_ms),
        **percentiles(single_ms, "ms", "single_"),
        "bulk_redis_cpu_us_per_job": load.cpu_s * MICROSECONDS / options.jobs,
        "bulk_redis_commands_per_job": load.calls / options.jobs,
    }
    return Repetition(figures, load.per(options.jobs))


SCENARIO = Scenario("enqueue", "job submitted in bulk", Options, measure, "submit jobs one by one and in bulk")
