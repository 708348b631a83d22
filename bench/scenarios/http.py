"""http: requests to the service in a process of its own, over connections that are kept."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import httpx
from httpx import codes
from redis.asyncio import Redis

from bench.http_load import Request, Served, load
from bench.program import Program, program
from bench.redis_load import RedisLoad
from bench.scenario import Repetition, Scenario
from bench.workload import QUEUE, build
from runner import Runner, Settings
from runner.clock import MICROSECONDS

JOB = {"task": "noop", "args": {"data": "x" * 20}}
POST = Request("POST", "/v1/jobs", json.dumps(JOB))
WARM_UP_S = 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """`request`: post, key (post with a key, next to the same without), batch (of so many jobs) or get (the status of one job)."""

    request: str
    batch: int = 1
    connections: int = 64
    seconds: float = 4
    warm_up: float = WARM_UP_S


@asynccontextmanager
async def service(url: str) -> AsyncIterator[tuple[Program, Runner]]:
    """The service of a queue whose tasks are published, and a client of the same queue."""
    settings = Settings(redis_url=url)
    app = build(QUEUE, settings)
    try:
        await app.submit_many([])  # publishes its tasks
        async with program("service", settings=settings) as served:
            yield served, app
    finally:
        await app.close()


async def measure(url: str, options: Options) -> Repetition:
    async with service(url) as (api, app), Redis.from_url(url, protocol=2) as redis:
        request = await request_of(app, options)
        without, cpu_without_s = None, 0.0
        if options.request == "key":
            await load(api.said, request, connections=options.connections, seconds=options.warm_up)
            api.go()
            without = await load(api.said, request, connections=options.connections, seconds=options.seconds)
            cpu_without_s = api.cpu_s()
            request = replace(request, key=await _new_key(app, api.said))
        await load(api.said, request, connections=options.connections, seconds=options.warm_up)
        before = await RedisLoad.now(redis)
        api.go()
        served = await load(api.said, request, connections=options.connections, seconds=options.seconds)
        cpu_s, used = api.cpu_s(), (await RedisLoad.now(redis)).since(before)
    figures = _figures(served, cpu_s, used, options.batch)
    if without is not None:
        figures["rate_of_that_without_key"] = served.per_s / without.per_s
        figures["service_cpu_of_that_without_key"] = (cpu_s / served.requests) / (cpu_without_s / without.requests)
    return Repetition(figures, used.per(served.requests * options.batch))


async def _new_key(app: Runner, url: str) -> str:
    """A key, once the service asks for one: it looks for its first key every 5 s."""
    secret = (await app.client.keys.create("bench", preset="producer")).secret
    async with httpx.AsyncClient(base_url=url) as http, asyncio.timeout(10):
        while (await http.get("/v1/tasks")).status_code != codes.UNAUTHORIZED:  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.1)
    return secret


async def request_of(app: Runner, options: Options) -> Request:
    """What is sent over and over."""
    if options.request == "get":
        handle = await app.tasks["noop"].submit("x")
        return Request("GET", f"/v1/jobs/{handle.id}")
    if options.request == "batch":
        return Request("POST", "/v1/jobs/batch", json.dumps({"jobs": [JOB] * options.batch}))
    return POST


def _figures(served: Served, cpu_s: float, used: RedisLoad, batch: int) -> dict[str, float]:
    jobs = served.requests * batch
    return {
        ("jobs_per_s" if batch > 1 else "requests_per_s"): served.per_s * batch,
        "request_p50_ms": served.p50_ms,
        "request_p99_ms": served.p99_ms,
        "service_cpu_us_per_job": cpu_s * MICROSECONDS / jobs,
        "redis_cpu_us_per_job": used.cpu_s * MICROSECONDS / jobs,
        "redis_commands_per_job": used.calls / jobs,
    }


SCENARIO = Scenario(
    name="http",
    unit="job",
    description="requests to the HTTP service",
    cases={
        "post": Options("post"),
        "key": Options("key"),
        "get": Options("get"),
        "batch": Options("batch", batch=500, connections=8),
    },
    quick={"connections": 4, "seconds": 0.3, "warm_up": 0.1},
    measure=measure,
)
