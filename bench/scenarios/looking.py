"""looking: what each view of the dashboard takes of the service and of Redis, on a queue with very many jobs, buckets and workers."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from redis.asyncio import Redis

from bench.program import Program, program
from bench.redis_load import RedisLoad
from bench.scenario import Repetition, Scenario
from bench.workload import QUEUE
from runner import Settings, TokenBucket
from runner.clock import monotonic_us
from runner.store import JobStore
from tests.store.builders import job

_AT_ONCE = 1_000
_OTHERS = 20
"""Limits beside the one with most jobs and the one with a key."""
_LONG_S = 1_800.0
_SETTLED_S = 3.0
_SCRIPTS = ("evalsha", "eval", "fcall")
_WORKER = json.dumps({"host": "h", "pid": 1, "slots": 100, "tasks": ["work"]})

View = tuple[str, Sequence[tuple[str, float]]]
"""What the stream of a view watches, and what the view asks beside it, each every so many seconds."""
_VIEWS: dict[str, View] = {
    "limits": ("overview", ()),
    "limit": ("limit:big", (("/v1/limits/big/history?range=1h", 30),)),
    "limit_with_a_key": ("limit:tenant", (("/v1/limits/tenant/buckets", 2), ("/v1/limits/tenant/history?range=1h", 30))),
    "jobs": ("overview", (("/v1/jobs?state=waiting&most=100", 3),)),
    "workers": ("overview", (("/v1/workers", 2), ("/v1/pools", 5), ("/v1/server", 10))),
    "events": ("overview", (("/v1/audit?most=500", 10),)),
}


@dataclass(frozen=True, slots=True)
class Options:
    """Of the jobs half wait at one limit, four tenths at `buckets` buckets of a limit with a key, the others at 20 limits."""

    jobs: int
    buckets: int = 100_000
    workers: int = 200
    streams: int = 1
    seconds: float = 12


async def measure(url: str, options: Options) -> Repetition:
    settings = Settings(redis_url=url, lease_s=_LONG_S)
    await _fill(settings, options)
    figures = dict[str, float]()
    async with program("watched_service", settings=settings) as api, Redis.from_url(url, protocol=2) as redis:
        for name, view in _VIEWS.items():
            figures |= {f"{name}_{figure}": value for figure, value in (await _look(api, redis, view, options)).items()}
    return Repetition(figures)


async def _fill(settings: Settings, options: Options) -> None:
    big, keyed = options.jobs // 2, options.jobs * 2 // 5
    names = ["big"] * big + [f"tenant/t{n % options.buckets}" for n in range(keyed)]
    names += [f"other-{n % _OTHERS}" for n in range(options.jobs - big - keyed)]
    store = JobStore(settings.redis_url or "", QUEUE, settings)
    try:
        for begin in range(0, len(names), _AT_ONCE):
            await store.submit([job(f"j{begin + n}", needs=[name]) for n, name in enumerate(names[begin : begin + _AT_ONCE])])
        limits = [TokenBucket("big", rate="10/s"), TokenBucket("tenant", rate="1/s", key="{t}")]
        await store.publish({}, [*limits, *(TokenBucket(f"other-{n}", rate="1/s") for n in range(_OTHERS))])
        while await store.retime():
            pass
        for number in range(options.workers):
            await store.enlist(f"w-{number}", _WORKER)
    finally:
        await store.close()


async def _look(api: Program, redis: Redis, view: View, options: Options) -> dict[str, float]:
    """So many readers of one view, for so long: what it takes a second."""
    told, times_ms = [0], list[float]()
    watch, asked = view
    async with (
        httpx.AsyncClient(base_url=api.said, timeout=60, limits=httpx.Limits(max_connections=None)) as http,
        _streams(http, watch, options.streams, told),
        asyncio.TaskGroup() as group,
    ):
        await asyncio.sleep(min(_SETTLED_S, options.seconds))  # the whole was told
        told[0] = 0
        before, cpu_s = await RedisLoad.now(redis), api.cpu_s()
        asking = [group.create_task(_ask(http, path, every_s, told, times_ms)) for path, every_s in asked for _ in range(options.streams)]
        await asyncio.sleep(options.seconds)
        load, cpu_s = (await RedisLoad.now(redis)).since(before), api.cpu_s() - cpu_s
        for one in asking:
            one.cancel()
    scripts = sum(use.calls for name, use in load.commands.items() if name in _SCRIPTS)
    return {
        "bytes_per_s": told[0] / options.seconds / options.streams,
        "slowest_answer_ms": max(times_ms, default=0.0),
        "redis_scripts_per_s": scripts / options.seconds,
        "redis_cpu_ms_per_s": 1_000 * load.cpu_s / options.seconds,
        "api_cpu_ms_per_s": 1_000 * cpu_s / options.seconds,
    }


@asynccontextmanager
async def _streams(http: httpx.AsyncClient, watch: str, number: int, told: list[int]) -> AsyncIterator[None]:
    async def follow() -> None:
        async with http.stream("GET", "/v1/events", params={"watch": watch}) as answer:
            answer.raise_for_status()
            async for data in answer.aiter_raw():
                told[0] += len(data)

    tasks = [asyncio.create_task(follow()) for _ in range(number)]
    try:
        yield
        if broken := [task for task in tasks if task.done()]:
            await broken[0]
            raise RuntimeError(f"the stream {watch} ended")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _ask(http: httpx.AsyncClient, path: str, every_s: float, told: list[int], times_ms: list[float]) -> None:
    while True:
        began_us = monotonic_us()
        answer = (await http.get(path)).raise_for_status()
        times_ms.append((monotonic_us() - began_us) / 1_000)
        told[0] += len(answer.content)
        await asyncio.sleep(every_s)


SCENARIO = Scenario(
    name="looking",
    unit="look",
    description="what each view of the dashboard takes, on a queue with very many jobs, buckets and workers",
    cases={"million": Options(1_000_000), "million-20": Options(1_000_000, streams=20)},
    quick={"jobs": 200, "buckets": 20, "workers": 3, "seconds": 1.5},
    measure=measure,
    repetitions={"million": 1, "million-20": 1},
)
