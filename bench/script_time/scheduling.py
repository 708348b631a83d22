"""The worst that schedules can meet: many of them, due at the same instant."""

from bench.script_time.stopwatch import Act
from bench.script_time.workshop import Workshop, worst_case
from runner.client.schedules import put_of
from runner.jobs import make_schedule
from tests.store.builders import job
from tests.store.schedule_builders import publish_task, put, ticker

_RUNS = 100


async def _many(at: Workshop) -> int:
    """Schedules of one task, and how many there are."""
    await publish_task(at.store)
    count = at.size // 50
    for n in range(count):
        await put(at.store, f"s{n}", every=3_600, overlap="allow")
    return count


@worst_case("due", "at_once")
async def _(at: Workshop) -> Act:
    await _many(at)
    at.clock.advance(3_600)

    async def act() -> object:
        return len((await at.store.due())[2])

    return act


@worst_case("fire", "at_once")
async def _(at: Workshop) -> Act:
    await _many(at)
    leader = ticker(at.store)

    async def act() -> object:
        at.clock.advance(3_600)
        while await leader.tick() == 0.0:
            pass
        return True

    return act


@worst_case("fire", "missed")
async def _(at: Workshop) -> Act:
    """Each makes as many runs at once as it may."""
    await publish_task(at.store)
    for n in range(20):
        await put(at.store, f"s{n}", every=1, overlap="allow", missed="all")
    leader = ticker(at.store)

    async def act() -> object:
        at.clock.advance(_RUNS)
        while await leader.tick() == 0.0:
            pass
        return True

    return act


@worst_case("schedule", "large")
async def _(at: Workshop) -> Act:
    """One with large arguments beside many others."""
    await _many(at)

    async def act() -> object:
        spec = make_schedule(f"large-{at.number()}", "work", {"data": "x" * 30_000}, every=3_600)
        now_us, (known,) = await at.store.known_schedules([spec.name])
        return await at.store.change_schedule(put_of(spec, spec.to_json(), known, now_us))

    return act


@worst_case("schedules", "names")
async def _(at: Workshop) -> Act:
    await _many(at)

    async def act() -> object:
        return len(await at.store.schedule_names())

    return act


@worst_case("schedules", "some")
async def _(at: Workshop) -> Act:
    count = await _many(at)

    async def act() -> object:
        return len((await at.store.known_schedules([f"s{n}" for n in range(min(count, 200))]))[1])

    return act


@worst_case("trigger", "many")
async def _(at: Workshop) -> Act:
    await _many(at)

    async def act() -> object:
        return await at.store.trigger("s0", job(f"s0:by-hand-{at.number()}", task="work")) is not None

    return act


@worst_case("drowse", "dormant")
async def _(at: Workshop) -> Act:
    """Nobody declares them, and each call looks at the next page."""
    await publish_task(at.store)
    for n in range(at.size // 50):
        spec = make_schedule(f"s{n}", "work", every=1)
        now_us, (known,) = await at.store.known_schedules([spec.name])
        await at.store.change_schedule(put_of(spec, spec.to_json(), known, now_us)._replace(in_code=True))
    at.clock.advance(2)
    while (await at.store.due())[1] == 0:
        pass

    async def act() -> object:
        passed = 0
        while (passed := (await at.store.drowse(passed))[0]) != 0:
            pass
        return True

    return act
