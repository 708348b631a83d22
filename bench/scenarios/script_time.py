"""script-time: how long one call of each script takes in the server, whatever there is a lot of. Redis does nothing else meanwhile."""

from dataclasses import dataclass

from redis.asyncio import Redis

from bench.scenario import Repetition, Scenario
from bench.script_time import (
    bulk,
    claiming,
    controlling,
    counting,
    flowing,
    leading,
    listing,
    pausing,
    pooling,
    producing,
    releasing,
    scheduling,
    sharing,
    working,
)
from bench.script_time.stopwatch import Stopwatch, Times
from bench.script_time.workshop import WORST_CASES, Prepare, Workshop
from bench.workload import QUEUE
from tests.store.builders import Clock, make_store

_PATIENCE_S = 30.0
PREPARED_IN = (
    bulk,
    flowing,
    producing,
    claiming,
    working,
    releasing,
    leading,
    controlling,
    counting,
    pooling,
    pausing,
    scheduling,
    listing,
    sharing,
)


@dataclass(frozen=True, slots=True)
class Options:
    """`size` is what there is a lot of; of each worst case the longest calls of `runs` runs are looked at."""

    script: str
    size: int = 100_000
    runs: int = 7
    only: str = ""


async def measure(url: str, options: Options) -> Repetition:
    """The worst case comes first."""
    times = {
        name: await _times(url, options, prepare) for name, prepare in WORST_CASES[options.script].items() if options.only in ("", name)
    }
    figures: dict[str, float] = {}
    for name, its in sorted(times.items(), key=lambda item: -item[1].least_ms):
        figures |= {f"{name}_ms": its.least_ms, f"{name}_median_ms": its.median_ms, f"{name}_most_ms": its.most_ms}
    return Repetition(figures)


async def _times(url: str, options: Options, prepare: Prepare) -> Times:
    clock = Clock()
    store = make_store(url, QUEUE, clock, command_timeout_s=_PATIENCE_S)
    async with Redis.from_url(url, protocol=2) as redis:
        await redis.flushall()
        stopwatch = Stopwatch(url, options.script)
        try:
            stopwatch.load_all()
            act = await prepare(Workshop(url, redis, store, stopwatch, clock, options.size))
            stopwatch.watch(store.redis)
            return await stopwatch.times(act, options.runs)
        finally:
            stopwatch.close()
            await store.close()


SCENARIO = Scenario(
    name="script-time",
    unit="call",
    description="the longest call of each script, as the server counts it, at its worst",
    cases={script: Options(script) for script in sorted(WORST_CASES)},
    quick={"size": 5_000, "runs": 2},
    measure=measure,
    repetitions=dict.fromkeys(WORST_CASES, 1),
)
