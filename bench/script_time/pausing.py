"""The worst that pauses can meet: as many as there may be, and many jobs that have stepped aside for them."""

from bench.script_time.stopwatch import Act
from bench.script_time.workshop import Workshop, worst_case
from runner.jobs import Pausable
from runner.store import PauseRefusal
from tests.store.builders import job

_MOST = 1_000


async def _many(at: Workshop) -> None:
    """All but a few of the pauses that there may be."""
    for n in range(_MOST - 10):
        await at.store.set_pause(Pausable.task, f"task-{n}", "repair", 0)


async def _parked(at: Workshop) -> None:
    """Jobs of a paused task that have stepped aside."""
    await at.store.set_pause(Pausable.task, "t", "repair", 0)
    await at.submit([job(f"p{n}", task="t") for n in range(at.size // 20)])
    await at.enlist()
    for _ in range(at.size // 20 // 50):
        await at.claim(100)


@worst_case("set_pause", "many")
async def _(at: Workshop) -> Act:
    await _many(at)

    async def act() -> object:
        answer = await at.store.set_pause(Pausable.task, f"more-{at.number()}", "repair", 1_000)
        return not isinstance(answer, PauseRefusal)

    return act


@worst_case("end_pause", "parked")
async def _(at: Workshop) -> Act:
    await _parked(at)

    async def act() -> object:
        ended = await at.store.end_pause(Pausable.task, "t")
        await at.store.set_pause(Pausable.task, "t", "repair", 0)
        return ended is not None

    return act


@worst_case("list_pauses", "many")
async def _(at: Workshop) -> Act:
    await _many(at)

    async def act() -> object:
        return len(await at.store.list_pauses())

    return act


@worst_case("unpause", "over")
async def _(at: Workshop) -> Act:
    """As many have come to their end as there may be."""

    async def act() -> object:
        for n in range(_MOST):
            await at.store.set_pause(Pausable.task, f"task-{n}", "repair", 1_000_000)
        at.clock.advance(2)
        while await at.store.unpause() == 0:
            pass
        return True

    return act


@worst_case("unpause", "parked")
async def _(at: Workshop) -> Act:
    await _parked(at)
    await at.store.end_pause(Pausable.task, "t")

    async def act() -> object:
        return await at.store.unpause() >= -1

    return act
