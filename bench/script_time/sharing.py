"""What limits cost that several queues share: at a queue, and at their home."""

from bench.script_time.stopwatch import Act
from bench.script_time.workshop import Workshop, worst_case
from runner import TokenBucket


def _asked(bucket: str, costs: str) -> list[str | int]:
    """What a queue says that has used nothing, as lease.lua takes it."""
    return [bucket, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "", costs]


@worst_case("exchange", "buckets")
async def _(at: Workshop) -> Act:
    """Jobs wait at many buckets of a limit that other queues share."""
    await at.publish(TokenBucket("k", rate="1/s", burst=1, key="{k}", shared=True))
    await at.submit(at.keyed(at.size, ("k",)))

    async def act() -> object:
        return await at.store.exchange("x", ["k"])

    return act


@worst_case("lease", "queues")
async def _(at: Workshop) -> Act:
    """Many queues wait at a bucket, and tokens for all of them land."""
    await at.publish(TokenBucket("s", rate="1000/s", burst=10_000))
    for number in range(64):
        await at.store._run("lease", _asked("s", "9000x1"), partition=f"q{number}:x", weight=1)  # noqa: SLF001 - a store of any queue can be a home

    async def act() -> object:
        at.clock.advance(1)
        return await at.store._run("lease", _asked("s", "9000x1"), partition="q0:x", weight=1)  # noqa: SLF001 - the same

    return act


@worst_case("lease", "lapsed")
async def _(at: Workshop) -> Act:
    """Many queues are gone that held tokens."""
    await at.publish(TokenBucket("s", rate="1000/s", burst=100_000))
    for number in range(500):
        await at.store._run("lease", _asked("s", "10x1"), partition=f"q{number}:x", weight=1)  # noqa: SLF001 - the same

    async def act() -> object:
        at.clock.advance(3)
        return await at.store._run("lease", _asked("s", "10x1"), partition="q0:x", weight=1)  # noqa: SLF001 - the same

    return act


@worst_case("recall", "buckets")
async def _(at: Workshop) -> Act:
    """Queues hold tokens of many buckets of a limit."""
    await at.publish(TokenBucket("k", rate="1/s", burst=1, key="{k}"))
    for number in range(min(at.size, 20_000)):
        await at.redis.zadd(f"{at.store.keys.prefix}alive:k/{number}", {"q:x": 1})

    async def act() -> object:
        return await at.store._run("recall", bucket="k")  # noqa: SLF001 - the same

    return act


@worst_case("sharers", "queues")
async def _(at: Workshop) -> Act:
    """Many queues hold tokens of a bucket."""
    await at.publish(TokenBucket("s", rate="1000/s", burst=100_000))
    for number in range(200):
        await at.store._run("lease", _asked("s", "10x1"), partition=f"q{number}:x", weight=1)  # noqa: SLF001 - the same

    async def act() -> object:
        return await at.store._run("sharers", bucket="s")  # noqa: SLF001 - the same

    return act
