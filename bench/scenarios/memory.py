"""memory: what a waiting and a finished job take in Redis besides their payload, and what a worker process holds as jobs pass through."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from bench.backlog import Backlog, drain, submit
from bench.program import resident_bytes, workers
from bench.scenario import Repetition, Scenario
from bench.workload import QUEUE
from runner import Settings
from runner.store.keys import Keys

_MEGABYTE = 1_000_000
_START_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Options:
    """`passing`: a worker's memory as the jobs pass through it, looked at once after `first` of them; otherwise that of Redis."""

    jobs: int = 100_000
    first: int = 20_000
    task: str = "noop"
    passing: bool = False


async def measure(url: str, options: Options) -> Repetition:
    return await (_of_worker if options.passing else _of_redis)(url, options)


async def _of_redis(url: str, options: Options) -> Repetition:
    settings = Settings(redis_url=url)
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(Redis.from_url(url, protocol=2))
        (worker,) = await stack.enter_async_context(workers([QUEUE], settings))
        empty = await _used_bytes(redis)
        places = await submit(settings, Backlog(options.jobs, options.task))
        waiting = await _used_bytes(redis)
        payload = int(await redis.hstrlen(Keys(QUEUE).job(places[0][1]), "args"))
        await drain(redis, [worker], places)
        finished = await _used_bytes(redis)
    return Repetition(
        {
            "redis_bytes_per_waiting_job": (waiting - empty) / options.jobs - payload,
            "redis_bytes_per_finished_job": (finished - empty) / options.jobs - payload,
            "payload_bytes": payload,
        }
    )


async def _of_worker(url: str, options: Options) -> Repetition:
    settings = Settings(redis_url=url)
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(Redis.from_url(url, protocol=2))
        (worker,) = await stack.enter_async_context(workers([QUEUE], settings))
        at_start = worker.resident_bytes()
        await drain(redis, [worker], await submit(settings, Backlog(options.first, options.task)))
        after_first = worker.resident_bytes()
        await drain(redis, [worker], await submit(settings, Backlog(options.jobs - options.first, options.task)))
        after_all = worker.resident_bytes()
    return Repetition(
        {
            "worker_mb_after_all": after_all / _MEGABYTE,
            "worker_mb_after_first": after_first / _MEGABYTE,
            "worker_mb_at_start": at_start / _MEGABYTE,
            "worker_growth_percent": 100 * (after_all - after_first) / after_first,
            "command_mb_at_start": await _command_bytes(url) / _MEGABYTE,
        }
    )


async def _command_bytes(url: str) -> int:
    """Memory of `python -m runner worker` once it works: with the command line's own imports."""
    words = [sys.executable, "-m", "runner", "worker", "--app", "bench.programs.app:app", "--redis-url", url, "--json"]
    process = await asyncio.create_subprocess_exec(*words, stdout=PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_START_TIMEOUT_S):
            while json.loads(await process.stdout.readline())["event"] != "working":
                pass
        return resident_bytes(process.pid)
    finally:
        process.terminate()
        await process.communicate()


async def _used_bytes(redis: Redis) -> int:
    """Less what is on its way: buffers of the append-only file and of clients."""
    memory: dict[str, Any] = await redis.info("memory")
    return int(memory["used_memory"]) - int(memory["mem_aof_buffer"]) - int(memory["mem_clients_normal"])


SCENARIO = Scenario(
    name="memory",
    unit="job",
    description="bytes of Redis a waiting and a finished job, and memory of a worker process",
    cases={
        "redis": Options(),
        "redis-limit": Options(task="limits_1"),
        "worker": Options(jobs=200_000, passing=True),
    },
    quick={"jobs": 200, "first": 100},
    measure=measure,
    repetitions={"redis": 2, "redis-limit": 2, "worker": 2},
)
