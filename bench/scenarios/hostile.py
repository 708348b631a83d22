"""hostile: the worst that one caller can do to the service, and what it does to others: blocks, memory, and answers meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from redis.asyncio import Redis

from bench.program import Program, program, resident_bytes
from bench.scenario import Repetition, Scenario, percentiles
from bench.workload import QUEUE, build
from runner import Runner, Settings, Worker
from runner.clock import monotonic_us

_MEGABYTE = 1_000_000
_PAUSE_S = 0.02
_WARM_UP_S = 1.0
_LOGGED_FROM_US = 500


@dataclass(frozen=True, slots=True)
class Options:
    """What is sent over so many connections, and how large it is: thousands of bytes of a job, or values. The caller has one key, and the others
    another one; without keys everybody is a stranger."""

    attack: str
    connections: int = 8
    size: int = 1
    seconds: float = 10
    keys: int = 1


async def measure(url: str, options: Options) -> Repetition:
    async with (
        _served(url, options.keys) as (api, app, own, others),
        Redis.from_url(url, protocol=2) as redis,
        httpx.AsyncClient(base_url=api.said, headers=others) as http,
    ):
        job = {"url": api.said, "attack": options.attack, "connections": options.connections, "size": options.size, "headers": own}
        job |= await _jobs(app, options.size)
        pid = (await redis.info("server"))["process_id"]
        await _ask(http, min(_WARM_UP_S, options.seconds))
        async with program("attacker", json.dumps(job)) as attacker:
            await redis.config_set("slowlog-log-slower-than", _LOGGED_FROM_US)
            await redis.slowlog_reset()
            await _longest_blocks(api)
            memory = asyncio.create_task(_most_memory(api.pid, pid))
            attacker.go()
            times_ms, refused = await _ask(http, options.seconds)
            blocked_ms, worked_ms = await _longest_blocks(api)
            attacker.check()
            memory.cancel()
        slowest = [entry["duration"] / 1_000 for entry in await redis.slowlog_get(128)]
    api_bytes, redis_bytes = await _result(memory)
    return Repetition(
        {
            "redis_block_max_ms": max(slowest, default=_LOGGED_FROM_US / 1_000),
            "loop_block_max_ms": blocked_ms,
            "loop_block_cpu_max_ms": worked_ms,
            **percentiles(times_ms, "ms", "others_answer_"),
            "others_refused": refused,
            "api_memory_max_mb": api_bytes / _MEGABYTE,
            "redis_memory_max_mb": redis_bytes / _MEGABYTE,
        }
    )


@asynccontextmanager
async def _served(url: str, keys: int) -> AsyncIterator[tuple[Program, Runner, dict[str, str], dict[str, str]]]:
    """The service, its app, and the headers of the caller and of the others."""
    settings = Settings(redis_url=url)
    app = build(QUEUE, settings)
    try:
        await app.submit_many([])  # publishes its tasks
        made = [(await app.client.keys.create(name, preset="producer")).secret for name in ("hostile", "others") if keys]
        own, others = [{"Authorization": f"Bearer {secret}"} for secret in made] or [{}, {}]
        async with program("watched_service", settings=settings) as served:
            yield served, app, own, others
    finally:
        await app.close()


async def _jobs(app: Runner, size: int) -> dict[str, str]:
    """One that has ended, with a result of so many values, and one that waits for as long as it takes."""
    worker = Worker(app)
    running = asyncio.create_task(worker.run())
    ended = await app.tasks["sized"].submit(size)
    await ended.result(60)
    worker.stop()
    await running
    return {"job_id": ended.id, "waiting_id": (await app.tasks["noop"].submit()).id}


async def _longest_blocks(api: Program) -> tuple[float, float]:
    """Of the event loop, since it was asked before: by the clock, and of processor time."""
    api.go()
    by_clock, of_processor = (await api.answer()).split()
    return float(by_clock), float(of_processor)


async def _ask(http: httpx.AsyncClient, seconds: float) -> tuple[list[float], int]:
    """A caller that submits a job and looks at it, again and again: how long each answer took, and how many were none."""
    until_us = monotonic_us() + round(seconds * 1_000_000)
    times_ms, refused, path = list[float](), 0, ""
    while monotonic_us() < until_us or not times_ms:
        sent_us = monotonic_us()
        try:
            answer = await (http.get(path) if path else http.post("/v1/jobs", json={"task": "noop"}))
            refused += not answer.is_success
            path = "" if path or not answer.is_success else f"/v1/jobs/{answer.json()['id']}"
        except httpx.TransportError:
            refused, path = refused + 1, ""
        times_ms.append((monotonic_us() - sent_us) / 1_000)
        await asyncio.sleep(_PAUSE_S)
    return times_ms, refused


async def _most_memory(api: int, redis: int) -> tuple[int, int]:
    """Until it is cancelled."""
    most = (0, 0)
    try:
        while True:
            most = max(most[0], resident_bytes(api)), max(most[1], resident_bytes(redis))
            await asyncio.sleep(_PAUSE_S)
    except asyncio.CancelledError:
        return most


async def _result(task: "asyncio.Task[Any]") -> tuple[int, int]:
    found: tuple[int, int] = await task
    return found


SCENARIO = Scenario(
    name="hostile",
    unit="answer",
    description="the worst that one caller can do to the service: longest blocks of Redis and of the event loop, memory, answers to others",
    cases={
        "large-batch": Options("large-batch", size=7),
        "many-values": Options("many-values", size=45_000),
        "empty-objects": Options("empty-objects"),
        "one-job-often": Options("one-job-often"),
        "large-results": Options("large-results", connections=30, size=320_000),
        "largest-result": Options("large-results", connections=30, size=5_000_000),
        "slow-bodies": Options("slow-bodies", connections=100, seconds=20),
        "slow-heads": Options("slow-heads", connections=3_000, seconds=20),
        "idle": Options("idle", connections=3_000, seconds=20),
        "polls": Options("polls", connections=3_000),
        "polls-without-keys": Options("polls", connections=3_000, keys=0),
        "heads": Options("heads", connections=50),
        "media-types": Options("media-types", connections=50),
    },
    quick={"connections": 4, "seconds": 0.5, "size": 10},
    measure=measure,
)
