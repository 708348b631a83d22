"""commands: what a start behind a limit costs Redis, by what waits and by workers. Counts only, so the machine does not matter."""

import asyncio
from dataclasses import dataclass

from redis.asyncio import Redis

from bench.program import workers
from bench.redis_load import RedisLoad
from bench.scenario import Repetition, Scenario
from bench.workload import QUEUE, build, by_key
from runner import Settings, TokenBucket
from runner.clock import MICROSECONDS, wall_us
from runner.store.keys import Keys
from tests.store.builders import Clock, make_store

_TASKS = {"one": "metered", "keyed": "metered_by_key", "pairs": "metered_by_both"}
_POLL_S = 0.05
_FIRST_START_S = 30.0
_READY_S = 8.0
_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Options:
    """`waits`: jobs wait for `one` bucket, each line for one of its own key (`keyed`), or for one of its own key and a shared one (`pairs`).

    All limits together give `rate` starts a second, at even distances. There are `lines` with a key of their own, of `jobs` each, which
    get `spare` times their even part of the rate. Counted for `seconds` from the first start.
    """

    waits: str
    workers: int
    lines: int = 2_000
    jobs: int = 2
    rate: int = 100
    spare: int = 1
    seconds: int = 10


async def measure(url: str, options: Options) -> Repetition:
    every_s = options.lines / options.rate / options.spare
    metered = TokenBucket("metered", rate=f"{options.rate}/s", burst=1)
    settings = Settings(redis_url=url, record_starts=True)
    app = build(QUEUE, settings, metered, every_s)
    redis = Redis.from_url(url, protocol=2)
    starts = Keys(QUEUE).starts
    try:
        async with workers([QUEUE] * options.workers, settings, metered, every_s) as started:
            if options.waits != "one":
                await _take_tokens(url, options, every_s)
            task = app.tasks[_TASKS[options.waits]]
            made = [task.prepare(f"key-{n}") for _ in range(options.jobs) for n in range(options.lines)]
            for begin in range(0, len(made), _AT_ONCE):
                await app.submit_many(made[begin : begin + _AT_ONCE])
            for worker in started:
                worker.go()
            async with asyncio.timeout(_FIRST_START_S + _READY_S):
                while await redis.xlen(starts) < options.rate // 10:  # noqa: ASYNC110 - Redis announces nothing
                    await asyncio.sleep(_POLL_S)
            before, counted = await RedisLoad.now(redis), await redis.xlen(starts)
            await asyncio.sleep(options.seconds)
            load, count = (await RedisLoad.now(redis)).since(before), await redis.xlen(starts) - counted
    finally:
        await redis.aclose()
        await app.close()
    return Repetition(
        {
            "redis_commands_per_start": load.calls / count - 1,  # less the log of starts, which is off in production
            "scripts_per_start": load.commands["evalsha"].calls / count,
            "starts": count,
            "starts_of_permitted_percent": 100 * count / (options.rate * options.seconds),
        },
        load.per(count),
    )


async def _take_tokens(url: str, options: Options, every_s: float) -> None:
    """Each bucket with a key has given its token, one after the other, so that the next ones land one after the other too."""
    clock = Clock()
    store = make_store(url, QUEUE, clock)
    first_us = wall_us() + round((_READY_S + 2 * options.lines / _AT_ONCE) * MICROSECONDS)
    clock.now_us = first_us - round(every_s * MICROSECONDS)
    try:
        await store.publish({}, [by_key(every_s)])
        for n in range(options.lines):
            await store.take(f"take:{n}", f"metered-by-key/key-{n}=1", f"1|metered-by-key/key-{n}")
            clock.advance(every_s / options.lines)
    finally:
        await store.close()


SCENARIO = Scenario(
    name="commands",
    unit="start",
    description="Redis commands of a start behind limits, with 1, 4 and 8 workers, by what waits",
    cases={f"{waits}-{workers}": Options(waits, workers) for waits in _TASKS for workers in (1, 4, 8)},
    quick={"lines": 20, "seconds": 1, "rate": 20},
    measure=measure,
)
