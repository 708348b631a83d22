"""limits: are limits kept and used up, by one worker or four, with the leader killed, and does any of it depend on the backlog?"""

from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from bench import throttle
from bench.scenario import Repetition, Scenario, option

_FIGURES = (
    "starts",
    "permitted_starts",
    "starts_of_permitted_percent",
    "worst_window_beyond_bound_starts",
    "order_inversions",
    "token_to_handler_p50_ms",
    "token_to_handler_p99_ms",
    "redis_commands_per_start",
    "redis_bytes_per_waiting_job",
)


@dataclass(frozen=True, slots=True)
class Options:
    backlog: int = option(20_000, "waiting jobs while workers are varied")
    small: int = option(1_000, "the smallest backlog")
    large: int = option(1_000_000, "the largest backlog")
    rate: int = option(100, "starts a second")
    burst: int = option(10, "capacity of the bucket")
    seconds: int = option(12, "how long each case is measured")


def _cases(options: Options) -> dict[str, throttle.Options]:
    """What is varied, by name; a small backlog is measured for as long as it lasts."""

    def case(workers: int, backlog: int, *, kill_leader: bool = False) -> throttle.Options:
        lasts = (backlog - options.burst) * 9 // (10 * options.rate)
        return throttle.Options(backlog, options.rate, options.burst, max(min(options.seconds, lasts), 1), workers, kill_leader)

    return {
        f"{options.small:,} waiting": case(1, options.small),
        f"{options.backlog:,} waiting": case(1, options.backlog),
        f"{options.large:,} waiting": case(1, options.large),
        "two workers": case(2, options.backlog),
        "four workers": case(4, options.backlog),
        "leader killed": case(2, options.backlog, kill_leader=True),
    }


async def measure(url: str, options: Options) -> Repetition:
    """Every case in turn, each on an emptied server."""
    figures: dict[str, float] = {}
    commands: dict[str, Any] = {}
    for name, case in _cases(options).items():
        redis = Redis.from_url(url, protocol=2)
        await redis.flushall()
        await redis.aclose()
        repetition = await throttle.measure(url, case)
        figures |= {f"{name}: {figure}": repetition.figures[figure] for figure in _FIGURES}
        commands = repetition.commands if case.backlog == options.backlog and case.workers == 1 else commands
    return Repetition(figures, commands)


SCENARIO = Scenario("limits", "start", Options, measure, "a rate limit, by number of workers, with the leader killed, and by backlog")
