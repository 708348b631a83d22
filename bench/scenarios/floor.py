"""floor: what the server can do at most, without the runner around it, and the runner's share of that in the same run.

The least work there is: the same scripts with the same batches from a bare client, and a bare FastAPI endpoint that checks the same body.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from redis.asyncio import Redis

from bench import backlog
from bench.backlog import Backlog, Drained
from bench.http_load import Request, Served, load
from bench.program import Program, program
from bench.redis_load import RedisLoad
from bench.scenario import Repetition, Scenario
from bench.scenarios import enqueue, http
from runner import Settings
from runner.clock import MICROSECONDS


@dataclass(frozen=True, slots=True)
class Options:
    """`what` is compared: drain, submit, or the requests post or batch of the scenario http."""

    what: str
    jobs: int = 20_000
    batch: int = 500
    connections: int = 64
    seconds: float = 4
    warm_up: float = http.WARM_UP_S


async def measure(url: str, options: Options) -> Repetition:
    return await _MEASURES[options.what](url, options)


async def _drain(url: str, options: Options) -> Repetition:
    """The runner goes first: its mean batch is that of the bare client."""
    settings = Settings(redis_url=url)
    ours = await backlog.measure(url, Backlog(options.jobs))
    calls = ours.commands["evalsha"].calls
    batch = min(max(round(2 / calls), 1), settings.concurrency)  # each job was in one claim and in one finish
    async with Redis.from_url(url, protocol=2) as redis:
        await redis.flushall()
        places = await backlog.submit(settings, Backlog(options.jobs))
        async with program("bare_worker", str(options.jobs), str(batch), settings=settings) as bare:
            drained = await backlog.drain(redis, [bare], places)
    return Repetition(_compared("jobs_per_s", ours.figures["jobs_per_s"], drained.jobs / drained.seconds) | _costs(ours, drained, batch))


def _costs(ours: Repetition, bare: Drained, batch: int) -> dict[str, float]:
    figures = bare.repetition().figures
    return {
        "cpu_share_percent": _share(figures["redis_cpu_us_per_job"], ours.figures["redis_cpu_us_per_job"]),
        "batch_jobs": batch,
        "redis_cpu_us_per_job": ours.figures["redis_cpu_us_per_job"],
        "bare_redis_cpu_us_per_job": figures["redis_cpu_us_per_job"],
        "bare_client_cpu_us_per_job": figures["worker_cpu_us_per_job"],
        "redis_busy_percent": ours.figures["redis_busy_percent"],
        "bare_redis_busy_percent": figures["redis_busy_percent"],
    }


async def _submit(url: str, options: Options) -> Repetition:
    ours = await enqueue.measure(url, enqueue.Options(options.jobs, options.batch))
    async with Redis.from_url(url, protocol=2) as redis:
        await redis.flushall()
        async with program("bare_producer", str(options.jobs), str(options.batch), settings=Settings(redis_url=url)) as bare:
            before = await RedisLoad.now(redis)
            bare.go()
            seconds = float(await bare.answer())
            used = (await RedisLoad.now(redis)).since(before)
    figures = _compared("jobs_per_s", ours.figures["jobs_per_s"], options.jobs / seconds)
    redis_cpu_us = used.cpu_s * MICROSECONDS / options.jobs
    figures |= {
        "cpu_share_percent": _share(redis_cpu_us, ours.figures["redis_cpu_us_per_job"]),
        "batch_jobs": options.batch,
        "redis_cpu_us_per_job": ours.figures["redis_cpu_us_per_job"],
        "bare_redis_cpu_us_per_job": redis_cpu_us,
        "bare_redis_busy_percent": 100 * used.cpu_s / seconds,
    }
    return Repetition(figures)


async def _requests(url: str, options: Options) -> Repetition:
    async with http.service(url) as (api, app):
        request = await http.request_of(app, http.Options(options.what, options.batch))
        ours, cpu_us = await _served(api, request, options)
    async with program("bare_service") as bare:
        bares, bare_cpu_us = await _served(bare, request, options)
    unit, jobs = ("jobs_per_s", options.batch) if options.what == "batch" else ("requests_per_s", 1)
    figures = _compared(unit, ours.per_s * jobs, bares.per_s * jobs)
    figures |= {
        "cpu_share_percent": _share(bare_cpu_us, cpu_us),
        "service_cpu_us_per_request": cpu_us,
        "bare_service_cpu_us_per_request": bare_cpu_us,
        "request_p99_ms": ours.p99_ms,
        "bare_request_p99_ms": bares.p99_ms,
    }
    return Repetition(figures)


async def _served(service: Program, request: Request, options: Options) -> tuple[Served, float]:
    """The answers, and the µs of processor time for one."""
    await load(service.said, request, connections=options.connections, seconds=options.warm_up)
    service.go()
    served = await load(service.said, request, connections=options.connections, seconds=options.seconds)
    return served, service.cpu_s() * MICROSECONDS / served.requests


def _share(part: float, whole: float) -> float:
    return 100 * part / whole if whole else 0.0


def _compared(unit: str, ours: float, bare: float) -> dict[str, float]:
    return {"share_percent": _share(ours, bare), unit: ours, f"bare_{unit}": bare}


_MEASURES: dict[str, Callable[[str, Options], Awaitable[Repetition]]] = {
    "drain": _drain,
    "submit": _submit,
    "post": _requests,
    "batch": _requests,
}

SCENARIO = Scenario(
    name="floor",
    unit="job",
    description="the runner's share of what its server can do at most",
    cases={
        "drain": Options("drain"),
        "submit": Options("submit", jobs=50_000),
        "post": Options("post"),
        "batch": Options("batch", connections=8),
    },
    quick={"jobs": 200, "batch": 50, "connections": 4, "seconds": 0.3, "warm_up": 0.1},
    measure=measure,
)
