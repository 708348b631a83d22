"""The worst that a release of waiting jobs can meet."""

from bench.script_time.stopwatch import Act
from bench.script_time.workshop import Workshop, worst_case
from runner.limits import TokenBucket
from tests.store.builders import job


async def _released(at: Workshop) -> object:
    """Release what is due; the jobs are started, so that the next call finds room."""
    released = (await at.store.refill_and_watch()).jobs
    await at.claim(released or 1)
    return released


@worst_case("refill", "line")
async def _(at: Workshop) -> Act:
    await at.line("x", at.size)
    await at.let_go("x")
    await at.enlist()
    return lambda: _released(at)


@worst_case("refill", "lines")
async def _(at: Workshop) -> Act:
    await at.lines(at.size // 5, "x")
    await at.let_go("x")
    await at.enlist()
    return lambda: _released(at)


@worst_case("refill", "buckets")
async def _(at: Workshop) -> Act:
    await at.due_buckets()
    await at.enlist()
    return lambda: _released(at)


async def _moved(at: Workshop) -> object:
    """How many lines move on."""
    key = at.store.keys.lines_waiting("y")
    before = await at.redis.zcard(key)
    await at.store.refill_and_watch()
    return await at.redis.zcard(key) - before


@worst_case("refill", "lines_move")
async def _(at: Workshop) -> Act:
    """Each line has its turn, lacks tokens of another bucket, and goes to wait there."""
    await at.lines(at.size // 5, "x", "y")
    await at.publish(TokenBucket("y", rate="1/d", burst=1))
    await at.store.take("take:y", "y=1", "y")
    await at.let_go("x")
    return lambda: _moved(at)


@worst_case("refill", "lines_of_buckets_move")
async def _(at: Workshop) -> Act:
    """The same with forty lines at each of many buckets."""
    made = [job(f"m{n}", needs=[f"x/{n // 40}", "y"], share=f"t{n}") for n in range(at.size)]
    await at.submit(made)
    await at.publish(TokenBucket("y", rate="1/d", burst=1))
    await at.store.take("take:y", "y=1", "y")
    await at.let_go("x", key="{k}")
    return lambda: _moved(at)


@worst_case("refill", "pairs")
async def _(at: Workshop) -> Act:
    """Many lines of a limit of their own key and a shared one, with tokens of all."""
    await at.pairs(at.size // 5)
    await at.let_go("own", key="{k}")
    await at.let_go("shared")
    await at.enlist()
    return lambda: _released(at)


@worst_case("refill", "pairs_move")
async def _(at: Workshop) -> Act:
    """They have tokens of their own and the shared limit has none: they have their turn, and go on to wait there or make a claim."""
    await at.pairs(at.size // 5)
    await at.publish(TokenBucket("shared", rate="1/d", burst=1))
    await at.store.take("take:shared", "shared=1", "shared")
    await at.let_go("own", key="{k}")

    async def act() -> object:
        return (await at.store.refill())[1]

    return act


@worst_case("refill", "records_gone")
async def _(at: Workshop) -> Act:
    """The jobs of a line were deleted by hand."""
    await at.line("x", at.size)
    async for key in at.redis.scan_iter(match=at.store.keys.job("*"), count=1_000):
        await at.redis.delete(key)
    await at.let_go("x")
    await at.enlist()
    return lambda: _released(at)


@worst_case("refill", "clock_goes_back")
async def _(at: Workshop) -> Act:
    await at.buckets("k", at.size)

    async def act() -> object:
        at.clock.advance(3600)
        await at.store.refill()
        at.clock.advance(-3600)
        return [await at.store.refill() for _ in range(2)][-1][0]

    return act
