"""What is measured of each peer, in the same manner: submit one by one, at the same time and in bulk, drain, idle latency; and starts behind a rate."""

import asyncio
import random
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from bench.peers.process import PeerFailed, PeerProcess, peer_process
from bench.redis_load import RedisLoad

_SUBMIT_TIMEOUT_S = 60.0
_SETTLE_S = 0.3
_RESULT_TIMEOUT_S = 10.0
_FIRST_START_TIMEOUT_S = 10.0
_WINDOW_S = 0.95
"""A second less what a handler may be late after its job was let through, so that lateness alone shows no excess."""
_MICROSECONDS = 1_000_000
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of each. Of a drain the first twentieth is not counted, of the paced jobs the first tenth: that is warming up."""

    jobs: int = 20_000
    batch: int = 500
    coroutines: int = 100
    concurrency: int = 100
    drain_timeout_s: float = 45.0
    paced_jobs: int = 300
    pause_s: float = 0.015
    backlog: int = 20_000
    throttle_s: float = 8.0

    @property
    def single_jobs(self) -> int:
        return self.jobs // 10

    @property
    def warm_up(self) -> int:
        return self.jobs // 20


@dataclass(frozen=True, slots=True)
class Rate:
    """`bucket`: so many a second, and `burst` of them saved up; `window`: so many in any second."""

    kind: str
    starts: int
    burst: int

    def permitted(self, seconds: float) -> float:
        """Most starts in a half-open time that begins with a start."""
        return self.burst + self.starts * seconds if self.kind == "bucket" else self.starts * ceil(seconds)


async def drained(url: str, program: Sequence[str | Path], sizes: Sizes) -> dict[str, float]:
    """Figures of one run on an empty server. Raises PeerFailed."""
    given = {"url": url, "concurrency": sizes.concurrency, "rate": None}
    redis = Redis.from_url(url, protocol=2)
    try:
        async with peer_process(program, role="submit", **given) as submitter, peer_process(program, role="work", **given) as worker:
            figures = await _submitted(submitter, sizes)
            before = await RedisLoad.now(redis)
            worker.go()
            end = await worker.ask(sizes.drain_timeout_s + 5, do="until", starts=sizes.jobs, within_s=sizes.drain_timeout_s)
            if not end["reached"]:
                raise PeerFailed(f"stalled: {end['starts']:,} of {sizes.jobs:,} jobs after {sizes.drain_timeout_s:.0f} s")
            await asyncio.sleep(_SETTLE_S)
            load = (await RedisLoad.now(redis)).since(before)
            await _check_results(submitter, sizes)
            log = (await worker.ask(_SUBMIT_TIMEOUT_S, do="log", begin=0))["log"]
            latencies = await _latencies_ms(submitter, worker, sizes, len(log))
    finally:
        await redis.aclose()
    instants = [at_ns for _, at_ns in log[sizes.warm_up : sizes.jobs]]
    return figures | {
        "drain_jobs_per_s": (len(instants) - 1) * _NANOSECONDS / (instants[-1] - instants[0]),
        "worker_cpu_us_per_job": end["cpu_s"] * _MICROSECONDS / sizes.jobs,
        "redis_cpu_us_per_job": load.cpu_s * _MICROSECONDS / sizes.jobs,
        "redis_commands_per_job": load.calls / sizes.jobs,
        "latency_p50_ms": _rank(latencies, 0.50),
        "latency_p99_ms": _rank(latencies, 0.99),
    }


async def _submitted(submitter: PeerProcess, sizes: Sizes) -> dict[str, float]:
    single = await submitter.ask(_SUBMIT_TIMEOUT_S, do="submit", begin=1, jobs=sizes.single_jobs)
    figures = {
        "single_jobs_per_s": sizes.single_jobs / single["seconds"],
        "single_cpu_us_per_job": single["cpu_s"] * _MICROSECONDS / sizes.single_jobs,
    }
    begin = sizes.single_jobs + 1
    together = await submitter.ask(_SUBMIT_TIMEOUT_S, do="together", begin=begin, jobs=sizes.single_jobs, coroutines=sizes.coroutines)
    if "cannot" not in together:
        begin += sizes.single_jobs
        figures["concurrent_jobs_per_s"] = sizes.single_jobs / together["seconds"]
        figures["concurrent_cpu_us_per_job"] = together["cpu_s"] * _MICROSECONDS / sizes.single_jobs
    rest: dict[str, Any] = {"begin": begin, "jobs": sizes.jobs + 1 - begin}
    bulk = await submitter.ask(_SUBMIT_TIMEOUT_S, do="bulk", batch=sizes.batch, **rest)
    if "cannot" in bulk:
        await submitter.ask(_SUBMIT_TIMEOUT_S, do="submit", **rest)
    else:
        figures["bulk_jobs_per_s"] = rest["jobs"] / bulk["seconds"]
        figures["bulk_cpu_us_per_job"] = bulk["cpu_s"] * _MICROSECONDS / rest["jobs"]
    return figures


async def _check_results(submitter: PeerProcess, sizes: Sizes) -> None:
    """By the peer's own interface: a run that keeps no results is not the same workload."""
    answer = await submitter.ask(2 * _RESULT_TIMEOUT_S + 5, do="results", begin=0, jobs=0, within_s=_RESULT_TIMEOUT_S)
    if answer["results"][1] != sizes.jobs or None in answer["results"]:
        raise PeerFailed(f"results of a middle job and of the last, number {sizes.jobs}: {answer['results']}")


async def _latencies_ms(submitter: PeerProcess, worker: PeerProcess, sizes: Sizes, so_far: int) -> list[float]:
    """From the call of submit to the handler, at random pauses. Both clocks are the machine's monotonic one."""
    pauses = [random.uniform(0, 2 * sizes.pause_s) for _ in range(sizes.paced_jobs)]
    timeout_s = sizes.paced_jobs * (sizes.pause_s + 0.1)
    submitted = dict(
        (await submitter.ask(timeout_s, do="paced", begin=sizes.jobs + 1, jobs=sizes.paced_jobs, pauses_s=pauses))["submitted"]
    )
    end = await worker.ask(timeout_s, do="until", starts=so_far + sizes.paced_jobs, within_s=_RESULT_TIMEOUT_S)
    if not end["reached"]:
        raise PeerFailed(f"idle: {end['starts'] - so_far} of {sizes.paced_jobs} jobs after {_RESULT_TIMEOUT_S:.0f} s")
    log = (await worker.ask(_SUBMIT_TIMEOUT_S, do="log", begin=so_far))["log"]
    counted = sizes.jobs + sizes.paced_jobs // 10
    return sorted((at_ns - submitted[number]) / 1_000_000 for number, at_ns in log if number > counted)


async def throttled(url: str, program: Sequence[str | Path], sizes: Sizes, rate: Rate) -> dict[str, float]:
    """A backlog behind the peer's own limiter. Raises PeerFailed."""
    given = {"url": url, "concurrency": sizes.concurrency, "rate": asdict(rate)}
    redis = Redis.from_url(url, protocol=2)
    try:
        async with peer_process(program, role="submit", **given) as submitter, peer_process(program, role="work", **given) as worker:
            await submitter.ask(_SUBMIT_TIMEOUT_S, do="bulk", begin=1, jobs=sizes.backlog, batch=sizes.batch)
            worker.go()
            first = await worker.ask(_FIRST_START_TIMEOUT_S + 5, do="until", starts=1, within_s=_FIRST_START_TIMEOUT_S)
            if not first["reached"]:
                raise PeerFailed(f"no start within {_FIRST_START_TIMEOUT_S:.0f} s")
            before = await RedisLoad.now(redis)
            end = await worker.ask(sizes.throttle_s + 5, do="until", starts=sizes.backlog, within_s=sizes.throttle_s)
            load = (await RedisLoad.now(redis)).since(before)
            log = (await worker.ask(_SUBMIT_TIMEOUT_S, do="log", begin=0))["log"]
    finally:
        await redis.aclose()
    begun_ns = log[0][1]
    instants = [at_ns for _, at_ns in log if at_ns <= begun_ns + sizes.throttle_s * _NANOSECONDS]
    return {
        "throttle_starts": len(instants),
        "throttle_starts_of_permitted_percent": 100 * len(instants) / rate.permitted(sizes.throttle_s),
        "throttle_most_in_950_ms": most_in_window(instants, int(_WINDOW_S * _NANOSECONDS)),
        "throttle_allowed_in_950_ms": rate.permitted(_WINDOW_S),
        "throttle_redis_commands_per_start": load.calls / max(end["starts"] - first["starts"], 1),
        "throttle_worker_cpu_s": end["cpu_s"] - first["cpu_s"],
        "throttle_redis_cpu_s": load.cpu_s,
    }


def most_in_window(instants: Sequence[int], length: int) -> int:
    """Most instants, which are in order, in any half-open window of this length."""
    return max((bisect_left(instants, at + length) - index for index, at in enumerate(instants)), default=0)


def _rank(ordered: Sequence[float], part: float) -> float:
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)]
