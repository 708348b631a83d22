"""The worst that the leader's duties can meet."""

import asyncio
import json
from collections.abc import Sequence
from itertools import cycle

from bench.script_time.stopwatch import Act
from bench.script_time.workshop import WORKER, Workshop, worst_case
from runner.jobs import Ending, Outcome, Priority
from runner.limits import TokenBucket
from runner.store.portions import portions
from tests.store.builders import job


@worst_case("promote", "three_limits")
async def _(at: Workshop) -> Act:
    await at.ready(1, limits=3)
    await at.submit(at.keyed(at.size, ("a", "b", "c"), delay=1))
    at.clock.advance(2)

    async def act() -> object:
        return (await at.store.promote())[0]

    return act


@worst_case("promote", "pairs")
async def _(at: Workshop) -> Act:
    """Each waits for a limit of its own key and a shared one, without tokens."""
    await at.publish(TokenBucket("own", rate="1/d", key="{k}"), TokenBucket("shared", rate="1/d"))
    await at.store.take("take:shared", "shared=1", "shared")
    await at.pairs(at.size, delay=1)
    at.clock.advance(2)

    async def act() -> object:
        return (await at.store.promote())[0]

    return act


@worst_case("expire", "waiting")
async def _(at: Workshop) -> Act:
    """Jobs that wait at as many buckets, each to become a dead letter."""
    await at.submit(at.keyed(at.size, ("k",), max_wait=1, on_expiry="fail"))
    at.clock.advance(2)

    async def act() -> object:
        return (await at.store.expire())[0]

    return act


@worst_case("reclaim", "three_limits")
async def _(at: Workshop) -> Act:
    """A worker that ran a lot is lost."""
    await at.running(at.size // 2, limits=3)
    await at.redis.zadd(at.store.keys.workers, {WORKER: 1})

    async def act() -> object:
        return await at.store.reclaim()

    return act


@worst_case("reclaim", "workers")
async def _(at: Workshop) -> Act:
    """Many workers are lost at once."""
    for n in range(at.size // 100):
        await at.enlist(f"w{n}")
    at.clock.advance(3600)

    async def act() -> object:
        return (await at.store.reclaim())[0]

    return act


def _look_at(at: Workshop, ids: Sequence[str]) -> Act:
    """One call for so many jobs after the other."""
    parts = cycle(portions(ids))

    async def act() -> object:
        await at.store._run("orphans", next(parts))  # noqa: SLF001 - what follows a page of SCAN, whose length varies
        return True

    return act


@worst_case("orphans", "running")
async def _(at: Workshop) -> Act:
    """All jobs run, and their worker is lapsed: each is looked up."""
    started = await at.running(at.size // 2, limits=0)
    await at.redis.zadd(at.store.keys.workers, {WORKER: 1})
    return _look_at(at, [one.id for one in started])


@worst_case("orphans", "three_limits")
async def _(at: Workshop) -> Act:
    """A worker that ran a lot is lost, and so are the entries of its jobs."""
    started = await at.running(at.size // 2, limits=3)
    await at.redis.delete(*map(at.store.keys.stream, Priority))
    await at.redis.delete(at.store.keys.workers)
    return _look_at(at, [one.id for one in started])


@worst_case("trim", "dead_letters")
async def _(at: Workshop) -> Act:
    """Five times as many dead letters as waiting jobs."""
    for begin in range(0, 5 * at.size, 1_000):
        await at.redis.zadd(at.store.keys.failed, {f"f{n}": n for n in range(begin, begin + 1_000)})

    async def act() -> object:
        return await at.store.trim()

    return act


@worst_case("trim", "buckets")
async def _(at: Workshop) -> Act:
    await at.buckets("k", min(at.size // 10, 2_000))

    async def act() -> object:
        return await at.store.trim()

    return act


@worst_case("trim", "lines")
async def _(at: Workshop) -> Act:
    await at.lines(at.size // 5, "x")

    async def act() -> object:
        return await at.store.trim()

    return act


async def _versions(at: Workshop) -> None:
    """Workers of many versions of an app live, each of which serves hundreds of tasks that are not asked about."""
    for n in range(50):
        await at.store.enlist(f"v{n}", "{}", [f"t:other-{n}-{task}" for task in range(300)])


@worst_case("sweep", "versions")
async def _(at: Workshop) -> Act:
    await at.store.publish({f"task-{n}": '{"limits":[]}' for n in range(1_000)}, [])
    at.clock.advance(at.store.settings.catalog_ttl_s - 1)
    await _versions(at)

    async def act() -> object:
        return len((await at.store.sweep(0)).tasks)

    return act


@worst_case("sweep", "old")
async def _(at: Workshop) -> Act:
    await _versions(at)
    tasks = {f"task-{n}": json.dumps({"schema": "x" * 4_000, "limits": []}) for n in range(1_000)}

    async def act() -> object:
        await at.store.publish(tasks, [])
        at.clock.advance(at.store.settings.catalog_ttl_s + 1)
        return len((await at.store.sweep(0)).tasks)

    return act


@worst_case("repair", "marks")
async def _(at: Workshop) -> Act:
    """Unique jobs whose records are gone."""
    fields = {f"work/{n}": f"0 gone-{n}" for n in range(at.size)}
    for page in portions(fields.items(), 1_000):
        await at.redis.hset(at.store.keys.unique, mapping=dict(page))

    async def act() -> object:
        return (await at.store.repair())[0]

    return act


@worst_case("unhold", "three_limits")
async def _(at: Workshop) -> Act:
    """A worker comes for a task without one, whose jobs need three limits each."""
    jobs = await at.running(at.size // 50, limits=3)
    for begin in range(0, len(jobs), 20):
        await at.store.finish(WORKER, [Outcome(job, Ending.unknown) for job in jobs[begin : begin + 20]])
    await at.store.enlist("v", "{}", ["t:work"])

    async def act() -> object:
        return await at.store.unhold()

    return act


@worst_case("unhold", "versions")
async def _(at: Workshop) -> Act:
    await at.submit([job(f"u{n}", task=f"nobody-{n}") for n in range(1_000)])
    await at.enlist()
    while started := await at.claim(100):
        await at.store.finish(WORKER, [Outcome(one, Ending.unknown) for one in started])
    await _versions(at)

    async def act() -> object:
        at.clock.advance(0.001)
        return await at.store.unhold()

    return act


@worst_case("lead", "workers")
async def _(at: Workshop) -> Act:
    await asyncio.gather(*(at.enlist(f"w{n}") for n in range(at.size // 100)))

    async def act() -> object:
        return (await at.store.lead(WORKER, 0))[0]

    return act


@worst_case("remaining", "tasks")
async def _(at: Workshop) -> Act:
    """Jobs of many tasks wait for a worker that serves them, and many are delayed."""
    for begin in range(0, at.size, 1_000):
        await at.redis.zadd(at.store.keys.scheduled, {f"d{n}": at.clock.now_us + n for n in range(begin, begin + 1_000)})
    for n in range(at.size // 100):
        await at.redis.zadd(at.store.keys.held(f"task-{n}"), {f"h{n}": 1})
        await at.redis.zadd(at.store.keys.unserved, {f"task-{n}": 1})

    async def act() -> object:
        return (await at.store.remaining(600.0)).soon

    return act


@worst_case("calendar", "hours")
async def _(at: Workshop) -> Act:
    """All its instants are new."""

    async def act() -> object:
        at.clock.advance(90 * 86_400)
        await at.store.extend_calendar("hour:Europe/Berlin")
        return await at.redis.zcard(at.store.keys.periods("hour:Europe/Berlin"))

    return act


@worst_case("retime", "buckets")
async def _(at: Workshop) -> Act:
    """A limit changes at which many buckets wait."""
    await at.buckets("k", at.size)
    await at.publish(TokenBucket("k", rate="1000/s", burst=1, key="{k}"))

    async def act() -> object:
        return await at.store.retime()

    return act


@worst_case("adapt", "limits")
async def _(at: Workshop) -> Act:
    """Many limits are lowered at once, each with a line and with all earlier policies that it can remember."""
    names = [f"a{number}" for number in range(500)]
    await at.publish(*(TokenBucket(name, rate="40/s", burst=40, adapt=True) for name in names))
    await at.redis.hset(at.store.keys.adapting, mapping=dict.fromkeys(names, "1"))

    async def act() -> object:
        await at.redis.hset(at.store.keys.adapting, mapping=dict.fromkeys(names, "1"))
        return len((await at.store.adapt()).changed)

    return act


@worst_case("rouse", "buckets")
async def _(at: Workshop) -> Act:
    """Many buckets sleep until an event."""
    await at.due_buckets()
    await at.store.pause("k", on=True, reason="a try")
    for _ in range(at.size):
        if not await at.store.retime() and (await at.store.refill())[1] != 0:
            break

    async def act() -> object:
        return await at.store.rouse(0)

    return act
