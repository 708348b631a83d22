"""Producers that die between any two calls of what they plan, and are started again: what was planned is there once, and nothing stays half made."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests import invariants
from tests.eventually import eventually
from tests.leftovers import keys_of
from tests.process.apps import PATIENT
from tests.process.nursery import Nursery, nursery_of
from tests.process.planned_app import PlannedApp
from tests.process.planner import LATER, MEMBERS, PARENTS
from tests.process.scenes import DIED, RECOVERY_S, SHORT
from tests.recovery import Recovery, Watch

AT_ONCE = 3


class Scene:
    """A queue on which a worker works, and a planner dies at a place."""

    def __init__(self, redis: Redis, queue: str, app: PlannedApp) -> None:
        self.redis, self.queue, self.app = redis, queue, app
        self.prefix = f"runner:{{{queue}}}:"

    async def unfinished(self, *numbers: int) -> list[str]:
        return await invariants.unfinished(self.redis, self.queue, [f"j{number}" for number in numbers])

    async def flow(self) -> list[str]:
        """What is wrong once the flow was planned."""
        runs = Counter({f"j{number}": 1 for number in (*range(PARENTS), 200, 201)})
        return await self.unfinished(*range(PARENTS), 200, 201) or [f"it ran {self.app.runs()}"] * (self.app.runs() != runs)

    async def batch(self) -> list[str]:
        members = range(300, 300 + MEMBERS)
        progress = await self.app.runner.batch("b").progress()
        is_well = progress.has_ended and progress.total == progress.succeeded == MEMBERS
        runs = Counter({f"j{number}": 1 for number in (*members, 400)})
        return await self.unfinished(*members, 400) or [f"{progress}, {self.app.runs()}"] * (not is_well or self.app.runs() != runs)

    async def newest(self) -> list[str]:
        runs = self.app.runs()
        marks = await self.redis.exists(self.prefix + "unique")
        is_well = (
            runs["j502"] == 1 and runs.total() <= 2 and not marks
        )  # on a slow machine the first job does not wait for the second planner
        return [f"it ran {runs}, {marks} marks"] * (not is_well)

    async def many(self) -> list[str]:
        left = [number for number in range(600, 600 + LATER) if await self.redis.exists(f"{self.prefix}job:j{number}")]
        acting = [bulk.id for bulk in await self.app.runner.client.bulk.all() if bulk.phase == "acting"]
        return [f"jobs {left} are there, {acting} go on"] if left or acting else []

    async def control(self) -> list[str]:
        client = self.app.runner.client
        there = [*await client.pauses.list(), *(each for each in await client.schedules.list() if each.name == "hourly")]
        naps = Counter({f"j{number}": 1 for number in range(700, 705)})
        called = self.app.runs()["j800"]
        is_well = not there and self.app.runs() - Counter({"j800": called}) == naps and called in (1, 2)
        return await self.unfinished(*range(700, 705)) or [f"{there}, {self.app.runs()}"] * (not is_well)


PLACES = {
    "flow": ["submit@1", "submit@2", "link@1", "seal@1"],
    "batch": ["open@1", "submit@1", "submit@3", "seal@1"],
    "newest": ["submit@1", "submit@2", "submit@3"],
    "many": ["bulk_begin@1", "bulk_confirm@1", "bulk@3", "bulk_confirm@2"],
    "control": ["set_pause@1", "end_pause@1", "schedule@1", "trigger@1", "schedule@2"],
}


ALL_FORGOTTEN = "bulk_confirm:after=exit@2"
"""Jobs are deleted from here on, and one whose id is said again after that is another job, with an end of its own."""


@pytest.mark.fault("F10", bound_s=2 * RECOVERY_S)
@pytest.mark.parametrize("plan", PLACES)
async def test_a_planner_that_dies_between_two_calls_and_says_it_all_again_has_planned_it_once(
    redis: Redis, redis_url: str, queue: str, tmp_path: Path, recovery: Recovery, plan: str
) -> None:
    room = asyncio.Semaphore(AT_ONCE)
    deaths = [place.replace("@", f":{when}=exit@") for place in PLACES[plan] for when in ("before", "after")]
    async with nursery_of(redis_url, tmp_path) as nursery, asyncio.TaskGroup() as group:

        async def scene(number: int, death: str) -> None:
            async with room:
                try:
                    await die_and_say_it_again(plan, death, nursery, redis, redis_url, f"{queue}-{number}", tmp_path, recovery)
                except Exception as error:
                    error.add_note(f"the planner died at {death}")
                    raise

        for number, death in enumerate(deaths):
            group.create_task(scene(number, death))


async def die_and_say_it_again(
    plan: str, death: str, nursery: Nursery, redis: Redis, url: str, queue: str, folder: Path, recovery: Recovery
) -> None:
    app = PlannedApp(url, queue, folder / queue, **SHORT, **PATIENT)
    wrong: Callable[[], Awaitable[list[str]]] = getattr(Scene(redis, queue, app), plan)

    async def is_well() -> bool:
        return not await wrong()

    planner = {"program": "planner", "plan": plan, **SHORT, **PATIENT}
    try:
        worker = await nursery.spawn(queue, app="PlannedApp", **SHORT)
        assert await nursery.ended(await nursery.spawn(queue, run=1, failpoints=death, **planner)) == DIED
        watch = Watch()
        assert await nursery.ended(await nursery.spawn(queue, run=2, **planner)) == 0
        try:
            await eventually(is_well)
        except AssertionError as error:
            raise AssertionError(await wrong()) from error
        recovery.took(watch)
        if death != ALL_FORGOTTEN:
            assert await invariants.settled_twice(redis, queue) == []
        assert await redis.exists(f"runner:{{{queue}}}:held", f"runner:{{{queue}}}:flow:ended") == 0
        await nursery.kill(worker)
    finally:
        await app.runner.close()
        if keys := await keys_of(redis, queue):
            await redis.delete(*keys)
