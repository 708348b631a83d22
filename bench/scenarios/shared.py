"""shared: one limit of several queues. Is it used to the full, exceeded never, divided fairly, and what does a start cost and wait for?"""

import asyncio
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis

from bench.redis_load import RedisLoad
from bench.scenario import Repetition, Scenario, percentiles
from runner import TokenBucket
from runner.clock import MICROSECONDS, monotonic_s
from runner.jobs import Submission
from runner.limits import Need, encode_needs
from runner.settings import Settings
from runner.store import ClaimRequest, Home, JobStore, Look
from runner.worker.exchange import Exchange

_NAME = "metered"
_WORKER = "bench"
_PER_CLAIM = 100
_LONGEST_WAIT_S = 0.5
_WARM_S = 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """`queues` with jobs enough share `rate` a minute for `seconds`. most_cost: jobs cost 1 to so many tokens, evenly by their logarithm."""

    queues: int = 4
    rate: int = 6_000
    burst: int = 10
    most_cost: int = 1
    seconds: int = 8


class _Queue:
    """What the leader of one queue does for a shared limit: its exchange, and a claim when tokens have come. Its jobs end where they start."""

    def __init__(self, url: str, name: str, limit: TokenBucket) -> None:
        settings = Settings(record_starts=True, record_history=False)
        self.store = JobStore(url, name, settings)
        self.home = _CountedHome(url, limit.shared or "", settings)
        self._come = asyncio.Event()
        self._exchange = Exchange(self.store, self.home, {_NAME: limit}, 1, 0, self._come.set)
        self._limit = limit

    async def fill(self, jobs: int, most_cost: int, rng: random.Random) -> None:
        """Jobs, more than can start."""
        await self.store.publish({}, [self._limit])
        await self.store.enlist(_WORKER, "{}")
        for first in range(0, jobs, _PER_CLAIM):
            batch = []
            for number in range(first, min(first + _PER_CLAIM, jobs)):
                cost = int(math.exp(rng.uniform(0, math.log(most_cost)))) if most_cost > 1 else 1
                limits, line = encode_needs([Need(_NAME, cost, given_back=False)])
                batch.append(Submission(f"j{number}", b"{}", "bench", limits, line))
            await self.store.submit(batch)

    async def run(self) -> None:
        exchanging = asyncio.create_task(self._exchange.run())
        try:
            while True:
                self._come.clear()
                claimed = await self.store.claim(_WORKER, ClaimRequest(_PER_CLAIM, look=Look.yes, read_more=True))
                if claimed.jobs:
                    self._exchange.wake()
                if claimed.jobs and claimed.next_wake_us == 0:
                    continue
                try:
                    async with asyncio.timeout(_LONGEST_WAIT_S if claimed.next_wake_us != 0 else 0.001):
                        await self._come.wait()
                except TimeoutError:
                    pass
        finally:
            exchanging.cancel()
            await asyncio.gather(exchanging, return_exceptions=True)

    async def close(self) -> None:
        await self.store.close()
        await self.home.close()


class _CountedHome(Home):
    calls = 0

    async def lease(self, *words: object) -> object:  # type: ignore[override] # it only counts
        self.calls += 1
        return await super().lease(*words)  # type: ignore[arg-type]


async def measure(url: str, options: Options) -> Repetition:
    limit = TokenBucket(_NAME, rate=f"{options.rate}/min", burst=options.burst, shared=True)
    rng = random.Random(7)
    queues = [_Queue(url, f"shared-{number}", limit) for number in range(options.queues)]
    redis = Redis.from_url(url, protocol=2)
    mean_cost = 1 if options.most_cost == 1 else options.most_cost / math.log(options.most_cost)
    jobs = int(1.5 * (limit.bound(options.seconds + 2) / mean_cost) / options.queues) + 4 * _PER_CLAIM
    try:
        for queue in queues:
            await queue.fill(jobs, options.most_cost, rng)
        trip_s = await _round_trip_s(redis)
        before = await RedisLoad.now(redis)
        running = [asyncio.create_task(queue.run()) for queue in queues]
        await asyncio.sleep(options.seconds)
        load = (await RedisLoad.now(redis)).since(before)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        log = await _log(redis, queues)
    finally:
        for queue in queues:
            await queue.close()
        await redis.aclose()
    calls = sum(queue.home.calls for queue in queues) / len(log)
    load_us = load.cpu_s * MICROSECONDS / len(log)
    more = {"home_calls_per_start": calls, "redis_cpu_us_per_start": load_us, "redis_commands_per_start": load.calls / len(log) - 1}
    return Repetition(_figures(limit, options.queues, log) | more | {"round_trip_ms": 1_000 * trip_s}, load.per(len(log)))


async def _round_trip_s(redis: Redis) -> float:
    trips = []
    for _ in range(50):
        asked_s = monotonic_s()
        await redis.ping()
        trips.append(monotonic_s() - asked_s)
    return sorted(trips)[len(trips) // 2]


async def _log(redis: Redis, queues: Sequence[_Queue]) -> list[tuple[int, int, int]]:
    """Of all queues: instant, tokens, number of the queue."""
    found: list[tuple[int, int, int]] = []
    for number, queue in enumerate(queues):
        rows: list[dict[bytes, bytes]] = [row for _, row in cast("Any", await redis.xrange(queue.store.keys.starts))]
        found += [(int(row[b"now"]), int(row[b"limits"].rpartition(b"=")[2]), number) for row in rows]
    return sorted(found)


def _figures(limit: TokenBucket, queues: int, log: Sequence[tuple[int, int, int]]) -> dict[str, float]:
    """As one bucket that all starts together would have used: how full it was beyond what a start took is for how long its tokens had been there."""
    deficit, worst, last_us, first_us, waits = 0.0, float("-inf"), log[0][0], log[0][0], []
    a_token_us = limit.every_us / limit.refill
    of_each = [0] * queues
    for at_us, cost, number in log:
        deficit = max(0.0, deficit - (at_us - last_us) / a_token_us)
        if at_us - first_us > _WARM_S * MICROSECONDS:
            waits.append(max(limit.capacity - deficit - cost, 0.0) * a_token_us / 1_000)
        deficit += cost
        worst, last_us = max(worst, deficit - limit.capacity), at_us
        of_each[number] += cost
    used, span_us = sum(of_each), log[-1][0] - first_us
    return {
        "used_of_permitted_percent": 100 * used / (limit.capacity + span_us / a_token_us),
        "worst_window_beyond_bound_tokens": worst,
        "starts": len(log),
        "fairness_percent": 100 * used**2 / (queues * sum(each**2 for each in of_each)),
        **percentiles(waits or [0.0], "ms", "token_to_start_"),
    }


def _cases() -> dict[str, Options]:
    cases = {f"slow-{queues}": Options(queues=queues) for queues in (1, 4, 16)}
    cases |= {f"fast-{queues}": Options(queues=queues, rate=600_000, burst=1_000) for queues in (1, 4, 16)}
    return cases | {
        f"costs-{queues}": Options(queues=queues, rate=2_000_000, burst=200_000, most_cost=100_000, seconds=20) for queues in (1, 4, 16)
    }


SCENARIO = Scenario(
    name="shared",
    unit="start",
    description="one limit of 1, 4 and 16 queues on one server: 100 a second, 10,000 a second, 2 million tokens a minute",
    cases=_cases(),
    quick={"seconds": 1, "queues": 2, "rate": 6_000, "burst": 20, "most_cost": 3},
    measure=measure,
)
