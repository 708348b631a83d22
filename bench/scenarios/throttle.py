"""throttle: a backlog behind a rate. Are all permitted starts used, none beyond them, in order, and does the cost depend on the backlog?"""

import asyncio
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis

from bench.program import workers
from bench.redis_load import RedisLoad
from bench.scenario import Repetition, Scenario, percentiles
from bench.start_log import Start, latenesses_us, most_in_window, order_inversions, worst_excess
from bench.workload import QUEUE, build
from runner import Settings, TokenBucket
from runner.clock import MICROSECONDS
from runner.store.keys import Keys

_POLL_S = 0.01
_FIRST_START_S = 5.0
_CHUNK = 50_000


@dataclass(frozen=True, slots=True)
class Options:
    """`backlog` jobs behind a bucket, measured for `seconds` from the first start. `kill_leader`: kill -9 at half of that time."""

    backlog: int = 20_000
    rate: int = 100
    burst: int = 10
    seconds: int = 8
    workers: int = 1
    kill_leader: bool = False


async def _until_first_start(redis: Redis, starts: str) -> None:
    async with asyncio.timeout(_FIRST_START_S):
        while not await redis.xlen(starts):  # noqa: ASYNC110 - Redis announces nothing
            await asyncio.sleep(_POLL_S)


async def _used_memory(redis: Redis) -> int:
    return int((await redis.info("memory"))["used_memory"])


async def _kill_leader(redis: Redis, keys: Keys) -> None:
    """The process that leads ends without a word; its id carries its process id."""
    leader = cast("bytes", await redis.get(keys.leader)).decode().rpartition(":")[0]
    os.kill(int(leader.rsplit("-", 2)[1]), signal.SIGKILL)


async def _read_starts(redis: Redis, keys: Keys, place: dict[str, int]) -> list[Start]:
    """The log of starts, with what each handler returned if it has ended."""
    rows: list[dict[bytes, bytes]] = [fields for _, fields in cast("Any", await redis.xrange(keys.starts))]
    ids = [row[b"job"].decode() for row in rows]
    async with redis.pipeline(transaction=False) as pipeline:
        for job_id in ids:
            pipeline.hget(keys.job(job_id), "result")
        results = await pipeline.execute()
    return [
        Start(place[job_id], int(row[b"now"]), None if result is None else int(result))
        for job_id, row, result in zip(ids, rows, results, strict=True)
    ]


async def measure(url: str, options: Options) -> Repetition:
    limit = TokenBucket("metered", rate=f"{options.rate}/s", burst=options.burst)
    settings = Settings(redis_url=url, record_starts=True)
    app = build(QUEUE, settings, limit)
    keys = Keys(QUEUE)
    redis = Redis.from_url(url, protocol=2)
    try:
        async with workers([QUEUE] * options.workers, settings, limit) as started:
            task = app.tasks["metered"]
            empty = await _used_memory(redis)
            places: dict[str, int] = {}
            for start in range(0, options.backlog, _CHUNK):
                jobs = [task.prepare() for _ in range(start, min(start + _CHUNK, options.backlog))]
                places |= {handle.id: start + place for place, handle in enumerate(await app.submit_many(jobs))}
            bytes_a_job = (await _used_memory(redis) - empty) / options.backlog
            before = await RedisLoad.now(redis)
            for worker in started:
                worker.go()
            await _until_first_start(redis, keys.starts)
            if options.kill_leader:
                await asyncio.sleep(options.seconds / 2)
                await _kill_leader(redis, keys)
                await asyncio.sleep(options.seconds / 2)
            else:
                await asyncio.sleep(options.seconds)
            count = await redis.xlen(keys.starts)
            load = (await RedisLoad.now(redis)).since(before)
            worker_cpu_s = sum(worker.cpu_s() for worker in started if worker.runs)
        starts = await _read_starts(redis, keys, places)
    finally:
        await redis.aclose()
        await app.close()
    figures = _figures(limit, options, starts) | {
        "worker_cpu_us_per_start": worker_cpu_s * MICROSECONDS / count,
        "redis_cpu_us_per_start": load.cpu_s * MICROSECONDS / count,
        "redis_commands_per_start": load.calls / count - 1,  # less the log of starts, which is off in production
        "redis_bytes_per_waiting_job": bytes_a_job,
    }
    if options.kill_leader:
        del figures["worker_cpu_us_per_start"]  # the killed one's is not known
    return Repetition(figures, load.per(count))


def _figures(limit: TokenBucket, options: Options, log: Sequence[Start]) -> dict[str, float]:
    starts = [start for start in log if start.at_us <= log[0].at_us + options.seconds * MICROSECONDS]
    permitted = min(limit.bound(options.seconds), options.backlog)
    to_claim, to_handler = latenesses_us(limit, starts)
    return {
        "starts_of_permitted_percent": 100 * len(starts) / permitted,
        "starts": len(starts),
        "permitted_starts": permitted,
        "most_starts_in_1s": most_in_window(starts, MICROSECONDS),
        "bound_of_1s_starts": limit.bound(1.0),
        "worst_window_beyond_bound_starts": worst_excess(limit, log),
        "order_inversions": order_inversions(starts),
        **percentiles([late / 1_000 for late in to_claim], "ms", "token_to_claim_"),
        **percentiles([late / 1_000 for late in to_handler], "ms", "token_to_handler_"),
    }


SCENARIO = Scenario(
    name="throttle",
    unit="start",
    description="100 starts a second with jobs in line, by backlog, by workers, and with the leader killed",
    cases={
        "waiting-1k": Options(backlog=1_000),
        "waiting-20k": Options(),
        "waiting-1m": Options(backlog=1_000_000),
        "workers-2": Options(workers=2),
        "workers-4": Options(workers=4),
        "leader-killed": Options(workers=2, kill_leader=True),
    },
    quick={"backlog": 200, "seconds": 1},
    measure=measure,
    repetitions={"waiting-1m": 1},
)
