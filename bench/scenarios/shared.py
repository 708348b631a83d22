"""shared: limits of several queues. Are they used to the full, exceeded never, divided fairly, and what does a start cost and wait for?"""

import asyncio
import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from redis.asyncio import Redis

from bench.redis_load import RedisLoad
from bench.scenario import Repetition, Scenario, percentiles
from runner import TokenBucket
from runner.clock import MICROSECONDS, monotonic_s
from runner.jobs import Submission
from runner.limits import Need, decode_needs, encode_needs
from runner.settings import Settings
from runner.store import ClaimRequest, Home, JobStore, Look
from runner.worker.exchange import Exchange

_METERED, _REQUESTS = "metered", "requests"
_WORKER = "bench"
_PER_CLAIM = 100
_LONGEST_WAIT_S = 0.5
_WARM_S = 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """`queues` with jobs enough share `rate` a minute for `seconds`. A job costs least_cost to most_cost tokens, evenly by their logarithm.

    requests: of a second limit, of which each job takes 1 to requests_most_cost tokens: so many a minute; 0 for none.
    """

    queues: int = 4
    rate: int = 6_000
    burst: int = 10
    least_cost: int = 1
    most_cost: int = 1
    requests: int = 0
    requests_burst: int = 1
    requests_most_cost: int = 1
    seconds: int = 8

    @property
    def limits(self) -> list[TokenBucket]:
        metered = TokenBucket(_METERED, rate=f"{self.rate}/min", burst=self.burst, shared=True)
        requests = TokenBucket(_REQUESTS, rate=f"{max(self.requests, 1)}/min", burst=self.requests_burst, shared=True)
        return [metered, requests] if self.requests else [metered]

    def costs_of(self, limit: TokenBucket) -> tuple[int, int]:
        """The least and the most that a job takes of it."""
        return (self.least_cost, self.most_cost) if limit.name == _METERED else (1, self.requests_most_cost)

    @property
    def jobs(self) -> int:
        """For each queue, more than can start."""
        most = min(limit.bound(self.seconds + 2) / _mean(*self.costs_of(limit)) for limit in self.limits)
        return int(1.5 * most / self.queues) + 4 * _PER_CLAIM


def _mean(least: int, most: int) -> float:
    return (most - least) / math.log(most / least) if most > least else most


def _drawn(least: int, most: int, rng: random.Random) -> int:
    """Evenly by the logarithm."""
    return int(math.exp(rng.uniform(math.log(least), math.log(most))))


@dataclass(frozen=True, slots=True)
class _Start:
    at_us: int
    tokens: Mapping[str, int]
    queue: int


class _Queue:
    """What the leader of one queue does for shared limits: its exchange, and a claim when tokens have come. Its jobs end where they start."""

    def __init__(self, url: str, name: str, limits: Sequence[TokenBucket]) -> None:
        settings = Settings(record_starts=True, record_history=False)
        self.store = JobStore(url, name, settings)
        self.home = _CountedHome(url, limits[0].shared or "", settings)
        self._come = asyncio.Event()
        self._exchange = Exchange(self.store, self.home, {limit.name: limit for limit in limits}, 1, 0, self._come.set)
        self._limits = limits

    async def fill(self, options: Options, rng: random.Random) -> None:
        await self.store.publish({}, self._limits)
        await self.store.enlist(_WORKER, "{}")
        for first in range(0, options.jobs, _PER_CLAIM):
            batch = []
            for number in range(first, min(first + _PER_CLAIM, options.jobs)):
                needs = [Need(limit.name, _drawn(*options.costs_of(limit), rng)) for limit in self._limits]
                limits, line = encode_needs(needs)
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
    rng = random.Random(7)
    queues = [_Queue(url, f"shared-{number}", options.limits) for number in range(options.queues)]
    redis = Redis.from_url(url, protocol=2)
    try:
        for queue in queues:
            await queue.fill(options, rng)
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
    return Repetition(_figures(options, log) | more | {"round_trip_ms": 1_000 * trip_s}, load.per(len(log)))


async def _round_trip_s(redis: Redis) -> float:
    trips = []
    for _ in range(50):
        asked_s = monotonic_s()
        await redis.ping()
        trips.append(monotonic_s() - asked_s)
    return sorted(trips)[len(trips) // 2]


async def _log(redis: Redis, queues: Sequence[_Queue]) -> list[_Start]:
    """Of all queues, in the order of their instants."""
    found: list[_Start] = []
    for number, queue in enumerate(queues):
        rows: list[dict[bytes, bytes]] = [row for _, row in cast("Any", await redis.xrange(queue.store.keys.starts))]
        for row in rows:
            tokens = {need.bucket: need.cost for need in decode_needs(row[b"limits"].decode())}
            found.append(_Start(int(row[b"now"]), tokens, number))
    return sorted(found, key=lambda start: start.at_us)


def _figures(options: Options, log: Sequence[_Start]) -> dict[str, float]:
    """What was used of the limit that was used most, and by whom; and how long the tokens of a start had been there, of the limit it waited for."""
    held = [_Held(limit, log) for limit in options.limits]
    shares = [max(limit.share_of(number) for limit in held) for number in range(options.queues)]
    since_us = log[0].at_us + _WARM_S * MICROSECONDS
    waits = [min(waits) for start, *waits in zip(log, *(limit.waits_ms for limit in held), strict=True) if start.at_us > since_us]
    used = [limit.used_percent for limit in held]
    return {
        "used_of_permitted_percent": max(used),
        **({"used_of_other_limit_percent": min(used)} if len(used) > 1 else {}),
        "worst_window_beyond_bound_tokens": max(limit.worst for limit in held),
        "starts": len(log),
        "fairness_percent": 100 * sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares)),
        **percentiles(waits or [0.0], "ms", "token_to_start_"),
    }


class _Held:
    """The starts of all queues against one limit: as one bucket that all of them together would have used."""

    def __init__(self, limit: TokenBucket, log: Sequence[_Start]) -> None:
        self._limit = limit
        self._of_queue: Counter[int] = Counter()
        a_token_us = limit.every_us / limit.refill
        deficit, last_us, self.worst = 0.0, log[0].at_us, float("-inf")
        self.waits_ms: list[float] = []
        """For how long the tokens of each start had been there."""
        for start in log:
            tokens = start.tokens[limit.name]
            deficit = max(0.0, deficit - (start.at_us - last_us) / a_token_us)
            self.waits_ms.append(max(limit.capacity - deficit - tokens, 0.0) * a_token_us / 1_000)
            deficit += tokens
            self.worst, last_us = max(self.worst, deficit - limit.capacity), start.at_us
            self._of_queue[start.queue] += tokens
        permitted = limit.capacity + (log[-1].at_us - log[0].at_us) / a_token_us
        self.used_percent = 100 * self._of_queue.total() / permitted

    def share_of(self, queue: int) -> float:
        return self._of_queue[queue] * self._limit.every_us / self._limit.refill


def _cases() -> dict[str, Options]:
    cases = {f"slow-{queues}": Options(queues=queues) for queues in (1, 4, 16)}
    cases |= {f"fast-{queues}": Options(queues=queues, rate=600_000, burst=1_000) for queues in (1, 4, 16)}
    tokens = Options(rate=2_000_000, burst=200_000, most_cost=100_000, seconds=20)
    cases |= {f"costs-{queues}": replace(tokens, queues=queues) for queues in (1, 4, 16)}
    two = replace(tokens, requests=10_000, requests_burst=500)
    for name, least, most in (("small", 1, 300), ("near", 1, 1_500), ("large", 100, 100_000)):
        cases |= {f"two-{name}-{queues}": replace(two, queues=queues, least_cost=least, most_cost=most) for queues in (1, 4, 16)}
    scarce = Options(most_cost=10, requests=6_000, requests_burst=10, requests_most_cost=10)
    return cases | {f"two-both-{queues}": replace(scarce, queues=queues) for queues in (1, 4, 16)}


SCENARIO = Scenario(
    name="shared",
    unit="start",
    description="limits of 1, 4 and 16 queues on one server: 100 a second, 10,000 a second, 2 million tokens a minute, and 10,000 requests besides",
    cases=_cases(),
    quick={"seconds": 1, "queues": 2, "rate": 6_000, "burst": 20, "least_cost": 1, "most_cost": 3},
    measure=measure,
)
