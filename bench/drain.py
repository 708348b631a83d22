"""drain: how fast workers finish a backlog of jobs that do nothing. The instants are Redis's own, of the first start and the last end."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from redis.asyncio import Redis

from bench.redis_load import RedisLoad
from bench.scenario import Repetition, Scenario, option
from bench.worker_process import WorkerProcess, worker_processes
from bench.workload import NEVER_BINDS, build
from runner import Settings, TokenBucket
from runner.keys import Keys, Priority
from runner.limits import MICROSECONDS

_QUEUE = "bench"
_POLL_S = 0.02
_READ_AT_ONCE = 1_000
_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Options:
    jobs: int = option(20_000, "jobs submitted beforehand")
    slots: int = option(100, "slots of each worker")
    workers: int = option(1, "worker processes")
    payload: int = option(0, "bytes of argument in each job")
    limit: bool = option(False, "put each job behind a limit that never binds")
    sync: bool = option(False, "run plain functions in threads instead of coroutines")


def task_name(*, limit: bool, sync: bool = False) -> str:
    """The task of the workload that does nothing in this way."""
    return ("limited" if limit else "noop") + ("_sync" if sync else "")


async def _all_gone(redis: Redis, keys: Keys) -> bool:
    """Whether no job waits, is ready or runs: at each instant a job has one entry, on a stream or in its line."""
    async with redis.pipeline(transaction=True) as pipeline:
        for priority in Priority:
            pipeline.xlen(keys.stream(priority))
        pipeline.zcard(keys.line(NEVER_BINDS.name))
        return not any(await pipeline.execute())


async def _run_until_empty(redis: Redis, workers: Sequence[WorkerProcess]) -> None:
    for worker in workers:
        worker.go()
    async with asyncio.timeout(_TIMEOUT_S):
        while not await _all_gone(redis, Keys(_QUEUE)):
            for worker in workers:
                worker.check()
            await asyncio.sleep(_POLL_S)


async def _duration_s(redis: Redis, ids: Sequence[str]) -> float:
    """From the first start to the last accepted outcome, by Redis's clock. Raises RuntimeError unless every job has succeeded."""
    keys = Keys(_QUEUE)
    starts, ends = [], []
    for begin in range(0, len(ids), _READ_AT_ONCE):
        async with redis.pipeline(transaction=False) as pipeline:
            for job_id in ids[begin : begin + _READ_AT_ONCE]:
                pipeline.hmget(keys.job(job_id), "state", "started", "finished")
            for job_id, (state, started, finished) in zip(ids[begin:], await pipeline.execute(), strict=False):
                if state != b"succeeded":
                    message = f"job {job_id} ended as {state}"
                    raise RuntimeError(message)
                starts.append(int(started))
                ends.append(int(finished))
    return (max(ends) - min(starts)) / MICROSECONDS


async def measure(url: str, options: Options) -> Repetition:
    settings = Settings(redis_url=url, concurrency=options.slots)
    app = build(_QUEUE, settings, TokenBucket("metered", rate="1/s"))
    task = app.tasks[task_name(limit=options.limit, sync=options.sync)]
    redis = Redis.from_url(url, protocol=2)
    try:
        async with worker_processes(options.workers, _QUEUE, settings) as workers:
            handles = await app.submit_many([task.prepare("x" * options.payload) for _ in range(options.jobs)])
            before = await RedisLoad.now(redis)
            await _run_until_empty(redis, workers)
            load = (await RedisLoad.now(redis)).since(before)
            worker_cpu_s = sum(worker.cpu_s() for worker in workers)
        seconds = await _duration_s(redis, [handle.id for handle in handles])
    finally:
        await redis.aclose()
        await app.close()
    figures = {
        "jobs_per_s": options.jobs / seconds,
        "duration_s": seconds,
        "worker_cpu_s": worker_cpu_s,
        "redis_cpu_s": load.cpu_s,
        "worker_cpu_us_per_job": worker_cpu_s * MICROSECONDS / options.jobs,
        "redis_cpu_us_per_job": load.cpu_s * MICROSECONDS / options.jobs,
        "redis_commands_per_job": load.calls / options.jobs,
    }
    return Repetition(figures, load.per(options.jobs))


SCENARIO = Scenario("drain", "job", Options, measure, "finish a backlog of jobs that do nothing")
