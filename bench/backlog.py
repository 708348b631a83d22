"""A backlog of jobs that do nothing, finished by worker processes. What several scenarios vary; the instants are Redis's own."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from redis.asyncio import Redis

from bench.program import Program, workers
from bench.redis_load import RedisLoad
from bench.scenario import Repetition
from bench.workload import QUEUE, build
from runner import Runner, Settings, Submission
from runner.clock import MICROSECONDS
from runner.jobs.job import Priority
from runner.store.keys import Keys

_POLL_S = 0.02
_AT_ONCE = 1_000
_SAMPLE = 32
_SLOWEST_JOBS_PER_S = 200
_LEAST_TIMEOUT_S = 30.0

Place = tuple[str, str]
"""Where a job is: its queue and its id."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """`queues` share the jobs and the workers evenly. A job's argument has `payload` bytes, or is one of `keys` keys."""

    jobs: int = 20_000
    task: str = "noop"
    payload: int = 0
    keys: int = 0
    slots: int = 100
    workers: int = 1
    queues: int = 1


@dataclass(frozen=True, slots=True)
class Drained:
    """How a backlog was finished; `seconds` from the first start to the last accepted outcome."""

    jobs: int
    seconds: float
    worker_cpu_s: float
    load: RedisLoad

    def repetition(self) -> Repetition:
        figures = {
            "jobs_per_s": self.jobs / self.seconds,
            "duration_s": self.seconds,
            "worker_cpu_s": self.worker_cpu_s,
            "redis_cpu_s": self.load.cpu_s,
            "worker_cpu_us_per_job": self.worker_cpu_s * MICROSECONDS / self.jobs,
            "redis_cpu_us_per_job": self.load.cpu_s * MICROSECONDS / self.jobs,
            "redis_busy_percent": 100 * self.load.cpu_s / self.seconds,
            "redis_commands_per_job": self.load.calls / self.jobs,
        }
        return Repetition(figures, self.load.per(self.jobs))


async def measure(url: str, backlog: Backlog) -> Repetition:
    """Workers of their own for one backlog."""
    settings = Settings(redis_url=url, concurrency=backlog.slots)
    queues = _queues(backlog)
    async with AsyncExitStack() as stack:
        started = await stack.enter_async_context(workers([queues[n % len(queues)] for n in range(backlog.workers)], settings))
        places = await submit(settings, backlog)
        redis = await stack.enter_async_context(Redis.from_url(url, protocol=2))
        drained = await drain(redis, started, places)
    return drained.repetition()


async def submit(settings: Settings, backlog: Backlog) -> list[Place]:
    """Submit it all; a part to each queue."""
    places: list[Place] = []
    queues = _queues(backlog)
    for number, queue in enumerate(queues):
        app = build(queue, settings)
        for jobs in prepared(app, backlog, range(number, backlog.jobs, len(queues))):
            places += [(queue, handle.id) for handle in await app.submit_many(jobs)]
        await app.close()
    return places


def prepared(app: Runner, backlog: Backlog, numbers: Sequence[int]) -> Iterator[list[Submission]]:
    """The jobs with these numbers, in groups that memory can bear."""
    task = app.tasks[backlog.task]
    for begin in range(0, len(numbers), _AT_ONCE):
        group = numbers[begin : begin + _AT_ONCE]
        yield [task.prepare(f"key-{number % backlog.keys}" if backlog.keys else "x" * backlog.payload) for number in group]


async def drain(redis: Redis, started: Sequence[Program], places: Sequence[Place]) -> Drained:
    """Let the programs go and wait until every job is finished. Raises RuntimeError if one came to anything but success."""
    before = await RedisLoad.now(redis)
    for one in started:
        one.go()
    async with asyncio.timeout(max(_LEAST_TIMEOUT_S, len(places) / _SLOWEST_JOBS_PER_S)):
        while True:
            await _until_quiet(redis, started, places)
            load = (await RedisLoad.now(redis)).since(before)
            cpu_s = sum(one.cpu_s() for one in started)
            if await _all_finished(redis, places):
                return Drained(len(places), await duration_s(redis, places), cpu_s, load)


async def duration_s(redis: Redis, places: Sequence[Place]) -> float:
    """From the first start to the last accepted outcome, by Redis's clock. Raises RuntimeError unless every job has succeeded."""
    starts, ends = [], []
    for group in _groups(places):
        async with redis.pipeline(transaction=False) as pipeline:
            for queue, job_id in group:
                pipeline.hmget(Keys(queue).job(job_id), "state", "started", "finished")
            for (_, job_id), (state, begun, finished) in zip(group, await pipeline.execute(), strict=True):
                if state != b"succeeded":
                    raise RuntimeError(f"job {job_id} ended as {state}")
                starts.append(int(begun))
                ends.append(int(finished))
    return (max(ends) - min(starts)) / MICROSECONDS


async def _until_quiet(redis: Redis, started: Sequence[Program], places: Sequence[Place]) -> None:
    """Until no stream holds a job and a sample of the jobs is finished: the little that can be asked while workers are measured."""
    streams = [Keys(queue).stream(priority) for queue in {queue for queue, _ in places} for priority in Priority]
    sample = [*places[:: max(len(places) // _SAMPLE, 1)], places[-1]]
    while True:
        async with redis.pipeline(transaction=False) as pipeline:
            for stream in streams:
                pipeline.xlen(stream)
            if not any(await pipeline.execute()) and await _all_finished(redis, sample):
                return
        for one in started:
            one.check()
        await asyncio.sleep(_POLL_S)


async def _all_finished(redis: Redis, places: Sequence[Place]) -> bool:
    """Asked by a command that the engine never sends, so that it is not counted as the engine's."""
    for group in _groups(places):
        async with redis.pipeline(transaction=False) as pipeline:
            for queue, job_id in group:
                pipeline.hexists(Keys(queue).job(job_id), "finished")
            if not all(await pipeline.execute()):
                return False
    return True


def _groups(places: Sequence[Place]) -> Iterator[Sequence[Place]]:
    return (places[begin : begin + _AT_ONCE] for begin in range(0, len(places), _AT_ONCE))


def _queues(backlog: Backlog) -> list[str]:
    return [QUEUE if number == 0 else f"{QUEUE}-{number + 1}" for number in range(backlog.queues)]
