"""Scenes: a worker that fails at a place between two of its calls, each on a queue of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from runner.store.keys import Keys
from tests.eventually import eventually
from tests.leftovers import immortal_keys, keys_of
from tests.process.crew import worker_ids
from tests.process.nursery import Nursery, nursery_of
from tests.recovery import Recovery, Watch

SHORT = {"lease_s": 1.0, "renew_s": 0.2, "reclaim_s": 0.3, "block_s": 0.3, "max_crashes": 100}
RECOVERY_S = 6.0
AT_ONCE = 4
DIED = 70


async def names_in(reply: Any) -> set[str]:
    return {name.decode() for name in await reply}


def places(*points: str, most: int) -> list[str]:
    """A death before and after each of the first calls of a kind, and the loss of each of their replies."""
    numbers = range(1, most + 1)
    deaths = [f"{point}:{when}=exit@{nth}" for point in points for when in ("before", "after") for nth in numbers]
    return deaths + [f"{point}:after=lose@{nth}" for point in points for nth in numbers]


class Scene:
    """A queue of its own, on which a worker fails at a place. `victim` starts it, and `is_well` is awaited once another has followed."""

    def __init__(self, redis: Redis, url: str, queue: str, folder: Path, nursery: Nursery, recovery: Recovery, place: str) -> None:
        self.redis, self.url, self.queue, self.folder, self.place = redis, url, queue, folder / queue, place
        self.keys = Keys(queue)
        self._nursery = nursery
        self._recovery = recovery

    async def fail(self, **settings: object) -> None:
        """Start a worker that fails here, wait until it has died, and start another; one that only loses a reply goes on itself."""
        self._pid = await self._nursery.spawn(self.queue, failpoints=self.place, **SHORT, **settings)
        self._watch = Watch()
        if "=exit" in self.place:
            assert await self._nursery.ended(self._pid) == DIED
            self._watch = Watch()
            assert {key.rpartition("}:")[2] for key in await immortal_keys(self.redis, self.queue)} <= {"starts"}
            await self.check_limits_of_tasks()
            self._pid = await self._nursery.spawn(self.queue, **SHORT, **settings)

    async def check_limits_of_tasks(self) -> None:
        """Whatever was published so far: no task is there without its limits; `format:3` is none, but what its submission takes."""
        limits = await names_in(self.redis.hkeys(self.keys.limits))
        entries: dict[Any, Any] = await self.redis.hgetall(self.keys.specs)
        for name, text in entries.items():
            needed = {limit for limit in text.split(b"\n")[0].decode().split(" ")[3].split(",") if limit and ":" not in limit}
            assert needed <= limits, (name, needed - limits)

    async def live(self) -> list[str]:
        """The follower, if it works and the one that died is no more."""
        ids = await worker_ids(self.redis, self.queue)
        return list(ids.values()) if list(ids) == [self._pid] else []

    async def is_put_right(self, wrong: Callable[[], Awaitable[list[str]]]) -> None:
        """Wait until a worker works and nothing is wrong: the recovery is from the failure until then."""

        async def found() -> list[str]:
            return await wrong() if await self.live() else ["nobody works"]

        async def is_well() -> bool:
            return not await found()

        try:
            await eventually(is_well)
        except AssertionError as error:
            raise AssertionError(await found()) from error
        self._recovery.took(self._watch)

    async def end(self) -> None:
        await self._nursery.kill(self._pid)


async def play(
    points: list[str],
    scene_of: Callable[[Scene], Awaitable[None]],
    redis: Redis,
    url: str,
    queue: str,
    folder: Path,
    recovery: Recovery,
) -> None:
    """One scene for each place, some at once."""
    room = asyncio.Semaphore(AT_ONCE)
    async with nursery_of(url, folder) as nursery, asyncio.TaskGroup() as group:

        async def one(number: int, place: str) -> None:
            async with room:
                scene = Scene(redis, url, f"{queue}-{number}", folder, nursery, recovery, place)
                try:
                    await scene_of(scene)
                    await scene.end()
                except Exception as error:
                    error.add_note(f"the worker failed at {place}")
                    raise
                finally:
                    if keys := await keys_of(redis, scene.queue):
                        await redis.delete(*keys)

        for number, place in enumerate(points):
            group.create_task(one(number, place))
