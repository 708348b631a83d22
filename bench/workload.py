"""The app that is measured: tasks that do nothing, so that all the time is the runner's."""

from runner import Runner, Settings, TokenBucket
from runner.clock import monotonic_us, wall_us

NEVER_BINDS = TokenBucket("never-binds", rate="1000000/s")


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


def build(queue: str, settings: Settings, metered: TokenBucket) -> Runner:
    """The app of one queue. Only `metered` jobs wait for the bucket `metered`."""
    app = Runner(queue, settings=settings)
    app.task(noop)
    app.task(noop_sync)
    app.task(name="limited", limits=[NEVER_BINDS])(noop)
    app.task(name="limited_sync", limits=[NEVER_BINDS])(noop_sync)
    app.task(monotonic_instant)
    app.task(name="metered", limits=[metered])(wall_instant)
    return app
