"""The app that is measured: tasks that do nothing, so that all the time is the runner's."""

import asyncio
import os

from runner import Runner, Settings, TokenBucket
from runner.clock import monotonic_us, wall_us

QUEUE = "bench"
NEVER_BIND = [TokenBucket(f"never-binds-{number}", rate="1000000/s") for number in range(1, 4)]
NEVER_BINDS_BY_KEY = TokenBucket("never-binds-by-key", rate="1000000/s", key="{data}")
_FOR_EVER_S = 3_600.0


async def noop(data: str = "") -> None:
    """Nothing."""


def noop_sync(data: str = "") -> None:
    """Nothing, in a thread."""


async def monotonic_instant() -> int:
    """When the handler started, on the clock that all processes of a machine share."""
    return monotonic_us()


async def wall_instant() -> int:
    """When the handler started, on the clock that Redis reads on the same machine."""
    return wall_us()


async def held(pid: int) -> None:
    """In this process it runs until that is killed; anywhere else it does nothing."""
    if os.getpid() == pid:
        await asyncio.sleep(_FOR_EVER_S)


def build(queue: str, settings: Settings, metered: TokenBucket) -> Runner:
    """The app of one queue. Only `metered` jobs ever wait, for the bucket `metered`; `limits_2` are jobs behind two limits, and so on."""
    app = Runner(queue, settings=settings)
    for function in (noop, noop_sync, monotonic_instant, held):
        app.task(function)
    for count in range(1, len(NEVER_BIND) + 1):
        app.task(name=f"limits_{count}", limits=NEVER_BIND[:count])(noop)
    app.task(name="keyed", limits=[NEVER_BINDS_BY_KEY])(noop)
    app.task(name="metered", limits=[metered])(wall_instant)
    return app
