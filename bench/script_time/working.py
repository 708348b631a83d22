"""The worst that a worker can ask for, with as many slots as there is a lot of."""

import asyncio
import json

from bench.script_time.stopwatch import Act
from bench.script_time.workshop import WORKER, Workshop, worst_case
from runner.jobs import Ending, Outcome, Reported
from runner.limits import Concurrency, Quota, TokenBucket
from runner.store import MOST_PER_CALL, Observation, fitting_outcomes
from tests.store.builders import job, slot, succeeded


async def _finish(at: Workshop, outcomes: list[Outcome]) -> object:
    """As a worker delivers them."""
    count = 0
    while rest := outcomes[count:]:
        count += len(await at.store.finish(WORKER, rest[: fitting_outcomes(rest)]))
    return count


@worst_case("finish", "succeeded")
async def _(at: Workshop) -> Act:
    await at.ready(at.size, limits=0)
    await at.enlist()

    async def act() -> object:
        return await _finish(at, [succeeded(one) for one in await at.claim(MOST_PER_CALL)])

    return act


@worst_case("progress", "many")
async def _(at: Workshop) -> Act:
    """All that one call takes, with notes of the longest kind."""
    await at.ready(at.size, limits=0)
    await at.enlist()
    started = await at.claim(MOST_PER_CALL)

    async def act() -> object:
        await at.store.progress(WORKER, [(one.id, one.attempt, Reported(1, 2, "x" * 200).encoded(one.attempt)) for one in started])
        return len(started)

    return act


@worst_case("observe", "buckets")
async def _(at: Workshop) -> Act:
    """As many words as one call brings, each of a bucket of its own."""
    await at.publish(TokenBucket("c", rate="1000/s", burst=1_000, key="{k}"))
    await at.enlist()
    names = [f"c/{number}" for number in range(12)]
    left = 990

    async def act() -> object:
        nonlocal left
        left -= 20  # each word lowers its bucket a little, and leaves tokens for the next job
        await at.submit([job(f"o{at.number()}", needs=[name]) for name in names])
        started = await at.claim(MOST_PER_CALL)
        words = [Observation(one.limits.partition("=")[0], one.id, one.attempt, left, 1_000_000) for one in started]
        return len(await at.store.observe(words))

    await act()  # the first word of a limit only sees to it that later ones count
    return act


@worst_case("take_ends", "many")
async def _(at: Workshop) -> Act:
    """As many ended jobs as one call takes, of a task whose list is full."""
    await at.store.take_ends(["work"], announce=True)
    await at.redis.rpush(at.store.keys.ends("work"), *(f"{'x' * 30}-{number}" for number in range(min(at.size, 10_000))))

    async def act() -> object:
        return len(await at.store.take_ends(["work"], announce=True))

    return act


@worst_case("warnings", "many")
async def _(at: Workshop) -> Act:
    """As many warnings as one call takes, and as many that were told."""
    await at.publish(Quota("plan", 10, per="day", key="{t}", warn_at=(0.2, 0.4, 0.6, 0.8, 1)))
    await at.enlist()

    async def act() -> object:
        await at.submit([job(f"w{at.number()}", needs=[(f"plan/{at.number()}", 10)]) for _ in range(2 * MOST_PER_CALL // 5)])
        await at.claim(MOST_PER_CALL)
        told = await at.store.warnings(has_hooks=True)
        return len(await at.store.warnings(has_hooks=True, told=told))

    return act


@worst_case("finish", "three_limits")
async def _(at: Workshop) -> Act:
    """Each gives two slots back and settles a third limit, all of its own key, where another job waits."""
    await at.publish(Concurrency("a", 1, key="{k}"), Concurrency("b", 1, key="{k}"), TokenBucket("c", rate="1000/s", burst=10, key="{k}"))
    await at.enlist()

    async def act() -> object:
        numbers = [at.number() for _ in range(MOST_PER_CALL)]
        for part in ("x", "y"):
            await at.submit([job(f"{part}{n}", needs=[slot(f"a/{n}"), slot(f"b/{n}"), (f"c/{n}", 2)]) for n in numbers])
        started = [one for _ in range(20) for one in await at.claim(MOST_PER_CALL)]
        outcomes = [Outcome(one, Ending.succeeded, b"1", 0, 60_000, f"{one.limits.rpartition(';')[2][:-2]}=1") for one in started]
        return await _finish(at, outcomes)

    return act


@worst_case("finish", "put_back")
async def _(at: Workshop) -> Act:
    """The provider said wait: each job goes back to a line, and freezes its bucket."""
    await at.ready(at.size // 5, limits=3)
    await at.enlist()

    async def act() -> object:
        started = await at.claim(MOST_PER_CALL)
        return await _finish(
            at, [Outcome(one, Ending.throttled, b"{}", 3_600_000_000, 60_000, freeze=one.limits.partition("=")[0]) for one in started]
        )

    return act


@worst_case("finish", "pairs")
async def _(at: Workshop) -> Act:
    """Each gives a slot of its own key and one of a shared limit back, where many lines wait for both."""
    await at.publish(Concurrency("own", 1, key="{k}"), Concurrency("shared", MOST_PER_CALL, key="{k}"))
    await at.enlist()

    async def act() -> object:
        shared, numbers = f"shared/{at.number()}", [at.number() for _ in range(MOST_PER_CALL)]
        for part in ("x", "y"):
            await at.submit([job(f"{part}{n}", needs=[slot(f"own/{n}"), slot(shared)]) for n in numbers])
        started = [one for _ in range(20) for one in await at.claim(MOST_PER_CALL)]
        return await _finish(at, [succeeded(one) for one in started])

    return act


@worst_case("finish", "payloads")
async def _(at: Workshop) -> Act:
    await at.ready(at.size // 5, limits=0)
    await at.enlist()
    payload = b'"' + b"x" * (8_000_000 // MOST_PER_CALL) + b'"'

    async def act() -> object:
        return await _finish(at, [succeeded(one, payload) for one in await at.claim(MOST_PER_CALL)])

    return act


@worst_case("heartbeat", "stopping")
async def _(at: Workshop) -> Act:
    """All slots are taken by attempts that should have stopped."""
    started = await at.running(at.size, limits=0)

    async def act() -> object:
        lease = at.lease()  # another one would tell nothing twice
        await asyncio.to_thread(lease.renew, WORKER, len(started), started)
        lease.close()
        return len(started)

    return act


@worst_case("workers", "page")
async def _(at: Workshop) -> Act:
    """More than one page of workers, each with two hundred tasks."""
    details = json.dumps({"tasks": [f"app.tasks.task-{n}" for n in range(200)], "slots": 100})
    for n in range(600):
        await at.store.enlist(f"w{n}", details)

    async def act() -> object:
        return len(await at.store.workers())

    return act


@worst_case("heartbeat", "cancelled")
async def _(at: Workshop) -> Act:
    """The jobs of all slots were asked to stop."""
    await at.enlist()
    ids = [f"job-{n}" for n in range(at.size)]
    await at.redis.sadd(at.store.keys.cancels(WORKER), *ids)
    async with at.redis.pipeline(transaction=False) as pipeline:
        for one in ids:
            pipeline.hset(at.store.keys.job(one), mapping={"state": "running", "worker": WORKER})
        await pipeline.execute()
    lease = at.lease()

    async def act() -> object:
        return len(await asyncio.to_thread(lease.renew, WORKER))

    return act


@worst_case("reconcile", "in_hand")
async def _(at: Workshop) -> Act:
    """The worker runs all that Redis says."""
    started = await at.running(at.size, limits=0)

    async def act() -> object:
        return await at.store.reconcile(WORKER, started)

    return act


@worst_case("reconcile", "lost")
async def _(at: Workshop) -> Act:
    """The worker knows of none of what it holds: each goes back with three limits of its own."""
    await at.ready(at.size // 5, limits=3)
    await at.enlist()

    async def act() -> object:
        for _ in range(4):
            await at.claim(MOST_PER_CALL)
        return await at.store.reconcile(WORKER, [])

    return act
