"""The worst that scripts about pools can meet."""

from bench.script_time.stopwatch import Act
from bench.script_time.workshop import Workshop, worst_case
from runner import TokenBucket
from runner.jobs import Priority
from runner.limits import in_pool
from tests.store.builders import job


async def _aside(at: Workshop, pools: int) -> None:
    """A fifth as many lines as there is a lot of, all of which have stepped aside; nothing lies on the streams of their pools any more."""
    await at.publish(TokenBucket("x", rate="1000/s", burst=1_000_000))
    for number in range(pools):
        stream = at.store.keys.stream(Priority.low, f"p{number}")
        await at.redis.xadd(stream, {"id": "lies"}, id="1-1")
    jobs = [job(f"g{n}", needs=["x"], share=f"t{n}") for n in range(at.size // 5)]
    await at.submit([one._replace(line=in_pool(one.line, f"p{n % pools}")) for n, one in enumerate(jobs)])
    for number in range(pools):
        await at.redis.xdel(at.store.keys.stream(Priority.low, f"p{number}"), "1-1")


@worst_case("open_pools", "lines")
async def _(at: Workshop) -> Act:
    await _aside(at, 1)

    async def act() -> object:
        return (await at.store.open_pools()).lines

    return act


@worst_case("pools", "lines")
async def _(at: Workshop) -> Act:
    await _aside(at, 32)

    async def act() -> object:
        return len(await at.store.pools())

    return act
