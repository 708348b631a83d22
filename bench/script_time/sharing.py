"""What limits cost that several queues share: at a queue, and at their home."""

from itertools import count

from bench.script_time.stopwatch import Act
from bench.script_time.workshop import Workshop, worst_case
from runner import TokenBucket

_RUNS = 20
"""More than a measurement makes."""


def _asked(bucket: str, costs: str) -> list[str | int]:
    """What a queue says that has used nothing, as lease.lua takes it."""
    return [bucket, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "", costs]


async def _lease(at: Workshop, bucket: str, queue: int, costs: str) -> list[object]:
    """What one of the queues calls that want tokens of a bucket; a store of any queue can be a home."""
    answer: list[object] = await at.store._run("lease", _asked(bucket, costs), partition=f"q{queue}:x", weight=1, asks=0)  # noqa: SLF001 - see above
    return answer


async def _at_own_buckets(at: Workshop, *, burst: int, queues: int, costs: str, later_s: int) -> Act:
    """So many queues want tokens, and a while later one of them calls: at a bucket of its own in each run, as a call changes what the next one finds."""
    await at.publish(TokenBucket("s", rate="1000/s", burst=burst, key="{run}"))
    for run in range(_RUNS):
        for queue in range(queues):
            await _lease(at, f"s/{run}", queue, costs)
    at.clock.advance(later_s)
    runs = count()

    async def act() -> object:
        return await _lease(at, f"s/{next(runs)}", 0, costs)

    return act


@worst_case("exchange", "buckets")
async def _(at: Workshop) -> Act:
    """Jobs wait at many buckets of a limit that other queues share."""
    await at.publish(TokenBucket("k", rate="1/s", burst=1, key="{k}", shared=True))
    await at.submit(at.keyed(at.size, ("k",)))

    async def act() -> object:
        return await at.store.exchange("x", ["k"])

    return act


@worst_case("exchange", "sets")
async def _(at: Workshop) -> Act:
    """The same, and each job needs another shared limit too."""
    await at.publish(
        TokenBucket("k", rate="1/s", burst=1, key="{k}", shared=True), TokenBucket("s", rate="1/s", burst=1, key="{k}", shared=True)
    )
    await at.submit(at.keyed(at.size, ("k", "s")))

    async def act() -> object:
        return await at.store.exchange("x", ["k", "s"])

    return act


@worst_case("lease", "queues")
async def _(at: Workshop) -> Act:
    """Many queues wait at a bucket, and tokens for all of them land."""
    return await _at_own_buckets(at, burst=10_000, queues=64, costs="9000x1", later_s=1)


@worst_case("lease", "joint")
async def _(at: Workshop) -> Act:
    """Many queues wait for jobs that need three limits, and tokens for all of them land. A set of buckets of its own in each run."""
    await at.publish(*(TokenBucket(name, rate="1000/s", burst=10_000, key="{run}") for name in "abc"))

    async def ask(run: int, queue: int) -> list[object]:
        names = [f"{name}/{run}" for name in "abc"]
        rows = [";".join(names), "9000x1+1+1", *(word for name in names for word in _asked(name, ""))]
        _, *answer, (place, _) = await at.store._run("lease", rows, partition=f"q{queue}:x", weight=1, asks=1)  # noqa: SLF001 - the same
        return [*answer, place]  # without the names of its buckets

    for run in range(_RUNS):
        for queue in range(64):
            await ask(run, queue)
    at.clock.advance(1)
    runs = count()

    async def act() -> object:
        return await ask(next(runs), 0)

    return act


@worst_case("lease", "lapsed")
async def _(at: Workshop) -> Act:
    """Many queues are gone that held tokens."""
    return await _at_own_buckets(at, burst=100_000, queues=500, costs="10x1", later_s=3)


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
        await _lease(at, "s", number, "10x1")

    async def act() -> object:
        return await at.store._run("sharers", bucket="s")  # noqa: SLF001 - the same

    return act
