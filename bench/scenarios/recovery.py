"""recovery: kill -9 of one of two workers, until the jobs it ran run again in the other."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from bench.program import Program, workers
from bench.redis_load import RedisLoad
from bench.scenario import Repetition, Scenario
from bench.workload import QUEUE, build
from runner import Runner, Settings
from runner.clock import MICROSECONDS, wall_us
from runner.store.keys import Keys

_POLL_S = 0.02
_MARGIN_S = 20.0
_GROUP = 20


@dataclass(frozen=True, slots=True)
class Options:
    """The victim runs at least so many `jobs` when it is killed; it is the worker that leads, or the other one."""

    jobs: int = 50
    leader: bool = True
    lease_s: float = 10.0


async def measure(url: str, options: Options) -> Repetition:
    # Proportions of the defaults: a lease is renewed three times, and lapsed ones are looked for five times in it.
    settings = Settings(redis_url=url, lease_s=options.lease_s, renew_s=options.lease_s * 0.3, reclaim_s=options.lease_s * 0.2)
    app = build(QUEUE, settings)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(app.close)
        redis = await stack.enter_async_context(Redis.from_url(url, protocol=2))
        first, second = await stack.enter_async_context(workers([QUEUE, QUEUE], settings))
        victim = first if options.leader else second
        async with asyncio.timeout(2 * settings.lease_s + _MARGIN_S):
            first.go()
            await _until_led(redis)
            second.go()
            held = await _held_by(redis, app, victim, options.jobs)
            # At any moment between two renewals of its lease.
            await asyncio.sleep(random.uniform(0, settings.renew_s))
            before, killed_us = await RedisLoad.now(redis), wall_us()
            await victim.kill()
            again_us = await _starts_again(redis, held)
            load = (await RedisLoad.now(redis)).since(before)
    after_s = [(started_us - killed_us) / MICROSECONDS for started_us in again_us]
    figures = {
        "killed_to_last_rerun_s": max(after_s),
        "killed_to_first_rerun_s": min(after_s),
        "jobs_rerun": len(held),
        "redis_cpu_us_per_job": load.cpu_s * MICROSECONDS / len(held),
    }
    return Repetition(figures, load.per(len(held)))


async def _until_led(redis: Redis) -> None:
    while not await redis.exists(Keys(QUEUE).leader):  # noqa: ASYNC110 - Redis announces nothing
        await asyncio.sleep(_POLL_S)


async def _held_by(redis: Redis, app: Runner, victim: Program, wanted: int) -> list[str]:
    """The jobs the victim runs: those that come to it stay there; the other worker's end at once."""
    ids: list[str] = []
    held: list[str] = []
    while len(held) < wanted:
        handles = await app.submit_many([app.tasks["held"].prepare(victim.pid) for _ in range(_GROUP)])
        ids += [handle.id for handle in handles]
        rows = await _rows(redis, ids)
        while any(row[0] == b"queued" for row in rows):
            await asyncio.sleep(_POLL_S)
            rows = await _rows(redis, ids)
        held = [job_id for job_id, row in zip(ids, rows, strict=True) if row[0] == b"running" and _pid_of(row[1]) == victim.pid]
    return held


async def _starts_again(redis: Redis, held: Sequence[str]) -> list[int]:
    """When each of these jobs started that was accepted at last, by Redis's clock."""
    while True:
        rows = await _rows(redis, held)
        if all(row[0] == b"succeeded" for row in rows):
            return [int(row[2]) for row in rows]
        await asyncio.sleep(_POLL_S)


async def _rows(redis: Redis, ids: Sequence[str]) -> list[Any]:
    async with redis.pipeline(transaction=False) as pipeline:
        for job_id in ids:
            pipeline.hmget(Keys(QUEUE).job(job_id), "state", "worker", "started")
        return await pipeline.execute()


def _pid_of(worker: bytes) -> int:
    """A worker's id carries its process id."""
    return int(worker.decode().rsplit("-", 2)[1])


SCENARIO = Scenario(
    name="recovery",
    unit="job run again",
    description="from kill -9 of a worker to the new start of the jobs it ran",
    cases={
        "worker-killed": Options(leader=False),
        "leader-killed": Options(),
        "short-lease": Options(lease_s=2.0),
    },
    quick={"jobs": 5, "lease_s": 1.0},
    measure=measure,
    repetitions={"worker-killed": 2, "leader-killed": 2},
)
