"""The worst that a claim can meet, with as many slots as there is a lot of."""

from bench.script_time.stopwatch import Act
from bench.script_time.workshop import WINDOW_S, Workshop, window, worst_case
from runner.limits import Quota
from runner.store import Look
from tests.store.builders import job


@worst_case("claim", "ready")
async def _(at: Workshop) -> Act:
    """As many ready jobs as slots."""
    await at.ready(at.size, limits=0)
    await at.enlist()

    async def act() -> object:
        return len(await at.claim(at.size))

    return act


@worst_case("claim", "three_limits")
async def _(at: Workshop) -> Act:
    """The same, each with three buckets of its own."""
    await at.ready(at.size, limits=3)
    await at.enlist()

    async def act() -> object:
        return len(await at.claim(at.size))

    return act


@worst_case("claim", "budgets")
async def _(at: Workshop) -> Act:
    """The same, each of a budget of its own, of which all is spent at once: that is noted by task and key, and somebody is to be told five times."""
    await at.publish(Quota("plan", 10, per="day", key="{t}", unit="USD", warn_at=(0.2, 0.4, 0.6, 0.8, 1)))
    await at.submit([job(f"b{n}", needs=[(f"plan/{n}", 10)]) for n in range(at.size // 10)])
    await at.enlist()

    async def act() -> object:
        return len(await at.claim(at.size // 10))

    return act


@worst_case("claim", "line")
async def _(at: Workshop) -> Act:
    """One line, with tokens for all of it."""
    await at.line("x", at.size)
    await at.let_go("x")
    await at.enlist()

    async def act() -> object:
        return len(await at.claim(at.size, Look.yes))

    return act


@worst_case("claim", "lines")
async def _(at: Workshop) -> Act:
    """Many lines of one job, with tokens for all."""
    await at.lines(at.size // 5, "x")
    await at.let_go("x")
    await at.enlist()

    async def act() -> object:
        return len(await at.claim(at.size, Look.yes))

    return act


@worst_case("claim", "buckets")
async def _(at: Workshop) -> Act:
    """Every waiting bucket is due."""
    await at.due_buckets()
    await at.enlist()

    async def act() -> object:
        return len(await at.claim(at.size, Look.yes))

    return act


@worst_case("claim", "pairs")
async def _(at: Workshop) -> Act:
    """Many lines of a limit of their own key and a shared one, with tokens of all."""
    await at.pairs(at.size // 5)
    await at.let_go("own", key="{k}")
    await at.let_go("shared")
    await at.enlist()

    async def act() -> object:
        return len(await at.claim(at.size, Look.yes))

    return act


@worst_case("claim", "ended")
async def _(at: Workshop) -> Act:
    """The streams hold jobs that were cancelled."""
    made = [job(f"e{n}") for n in range(at.size // 5)]
    await at.submit(made)
    for one in made:
        await at.store.cancel(one.id)
    await at.enlist()

    async def act() -> object:
        return len(await at.claim(at.size))

    return act


@worst_case("claim", "windows_pass")
async def _(at: Workshop) -> Act:
    """Many sliding windows are left by all their starts at once."""
    buckets = [f"k/{n}" for n in range(20)]
    await at.publish(window("k", at.size // 20))
    await at.enlist()

    async def act() -> object:
        for bucket in buckets:
            await at.started_in_window(bucket, at.size // 20)
        await at.submit([job(f"x{at.number()}", needs=[bucket]) for bucket in buckets for _ in range(5)])
        at.clock.advance(WINDOW_S + 1)
        started = 0
        for _ in range(80):
            at.clock.advance(0.001)
            started += len(await at.claim(at.size, Look.yes))
        at.clock.advance(WINDOW_S + 1)
        await at.redis.delete(*(at.store.keys.taken(bucket) for bucket in buckets), *(at.store.keys.bucket(bucket) for bucket in buckets))
        return started

    return act
