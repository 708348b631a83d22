"""The app that is measured: tasks that do nothing, so that all the time is the runner's."""

import asyncio
import os
from typing import Any

from runner import Runner, Settings, TokenBucket
from runner.clock import monotonic_us, wall_us

QUEUE = "bench"
NEVER_BIND = [TokenBucket(f"never-binds-{number}", rate="1000000/s") for number in range(1, 4)]
NEVER_BINDS_BY_KEY = TokenBucket("never-binds-by-key", rate="1000000/s", key="{data}")
UNUSED = TokenBucket("metered", rate="1/s")
"""The bucket `metered` of those whose jobs never wait."""
_FOR_EVER_S = 3_600.0


def by_key(every_s: float) -> TokenBucket:
    """A bucket for each argument of a job, which gives one token at a time."""
    return TokenBucket("metered-by-key", capacity=1, refill=1, every=every_s, key="{data}")


async def noop(data: str = "") -> None:
    """Nothing."""


def noop_sync(data: str = "") -> None:
    """Nothing, in a thread."""


async def anything(data: Any) -> None:
    """Nothing, whatever it is given."""


async def sized(values: int) -> list[dict[str, int]]:
    """A result of so many values."""
    return [{} for _ in range(values)]


async def monotonic_instant() -> int:
    """When the handler started, on the clock that all processes of a machine share."""
    return monotonic_us()


async def wall_instant(data: str = "") -> int:  # noqa: ARG001 - the key of a limit
    """When the handler started, on the clock that Redis reads on the same machine."""
    return wall_us()


async def held(pid: int) -> None:
    """In this process it runs until that is killed; anywhere else it does nothing."""
    if os.getpid() == pid:
        await asyncio.sleep(_FOR_EVER_S)


def build(queue: str, settings: Settings, metered: TokenBucket = UNUSED, every_s: float = 1.0) -> Runner:
    """The app of one queue. `limits_2` are jobs behind two limits, and so on. Only `metered` jobs ever wait: for the bucket `metered`, for
    one by the key of the job, which gives a token `every_s`, or for both.
    """
    app = Runner(queue, settings=settings)
    for function in (noop, noop_sync, anything, sized, monotonic_instant, held):
        app.task(function)
    for count in range(1, len(NEVER_BIND) + 1):
        app.task(name=f"limits_{count}", limits=NEVER_BIND[:count])(noop)
    app.task(name="keyed", limits=[NEVER_BINDS_BY_KEY])(noop)
    app.task(name="metered", limits=[metered])(wall_instant)
    app.task(name="metered_by_key", limits=[by_key(every_s)])(wall_instant)
    app.task(name="metered_by_both", limits=[by_key(every_s), metered])(wall_instant)
    return app
