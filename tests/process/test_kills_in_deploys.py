"""Workers that die, or lose a reply, between any two calls of what a deploy needs: the queue is consistent, and the next one completes it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import Client, Level, Runner, Settings, TokenBucket
from runner.connection.client import command
from runner.store.keys import Keys
from tests import invariants
from tests.app_internals import publish, store_of
from tests.eventually import eventually
from tests.leftovers import immortal_keys, keys_of
from tests.process.apps import FAST, LIMITS, PATIENT, App
from tests.process.crew import final, worker_ids
from tests.process.nursery import Nursery, nursery_of
from tests.process.wide_app import TASKS, WIDE_LIMITS
from tests.recovery import Recovery, Watch

SHORT = {"lease_s": 1.0, "renew_s": 0.2, "reclaim_s": 0.3, "block_s": 0.3, "max_crashes": 100}
RECOVERY_S = 6.0
AT_ONCE = 4
DIED = 70
OLD = [f"old-{number}" for number in range(150)]
DECLARED = {f"t:{name}" for name in TASKS} | {f"l:{limit.name}" for limit in WIDE_LIMITS}


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
        """Whatever was published so far: no task is there without its limits."""
        limits = await names_in(self.redis.hkeys(self.keys.limits))
        entries: dict[Any, Any] = await self.redis.hgetall(self.keys.specs)
        for name, text in entries.items():
            needed = {limit for limit in text.split(b"\n")[0].decode().split(" ")[3].split(",") if limit}
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


@pytest.mark.fault("F10", bound_s=RECOVERY_S)
async def test_jobs_whose_needs_are_put_right_run_once_and_with_them(
    redis: Redis, redis_url: str, queue: str, tmp_path: Path, recovery: Recovery
) -> None:
    """A producer of the version before submits jobs without limits; the worker amends them."""

    async def scene_of(scene: Scene) -> None:
        before = Runner(scene.queue, settings=Settings.model_validate({**FAST, **SHORT, **PATIENT, "redis_url": scene.url}))
        for name in ("counted", "metered"):

            @before.task(name=name)
            async def bare(number: int, seconds: float = 0.0) -> None: ...

        jobs = [before.tasks[("counted", "metered")[n % 2]].with_options(id=f"j{n}").prepare(n, 0.01) for n in range(12)]
        ids = [job.id for job in await before.submit_many(jobs)]
        after = App(scene.url, scene.queue, scene.folder, **SHORT, **PATIENT)
        await scene.fail()

        async def wrong() -> list[str]:
            return await invariants.violations(redis, scene.queue, ids, limits=LIMITS, runs=after.runs(), live=await scene.live())

        await scene.is_put_right(wrong)
        assert await invariants.ran_too_often(redis, scene.queue, ids, after.runs(), faults=1) == []
        for number, name in enumerate(ids):
            limits = await redis.hget(scene.keys.job(name), "limits") or b""
            assert all(limit.name.encode() in limits for limit in (LIMITS if number % 2 == 0 else LIMITS[:1])), (name, limits)
        await before.close()
        await after.runner.close()

    points = [*places("claim", "finish", most=3), *(place for place in places("attempt", most=2) if "exit" in place)]
    await play(points, scene_of, redis, redis_url, queue, tmp_path, recovery)


@pytest.mark.fault("F10", bound_s=RECOVERY_S)
async def test_what_takes_many_calls_to_be_published_is_whole_once_another_worker_has_started(
    redis: Redis, redis_url: str, queue: str, tmp_path: Path, recovery: Recovery
) -> None:
    async def scene_of(scene: Scene) -> None:
        await scene.fail(app="WideApp")

        async def wrong() -> list[str]:
            published = {f"t:{name}" for name in await names_in(redis.hkeys(scene.keys.specs))}
            published |= {f"l:{name}" for name in await names_in(redis.hkeys(scene.keys.limits))}
            (worker,) = await scene.live()
            digest = await command(redis, "HGET", scene.keys.worker(worker), "serves")
            served = await names_in(redis.smembers(scene.keys.serves(digest.decode())))
            return sorted(DECLARED - published) + sorted(DECLARED - served)

        await scene.is_put_right(wrong)
        async with Client(scene.queue, settings=Settings.model_validate({"redis_url": scene.url, **PATIENT})) as client:
            for number, name in enumerate((TASKS[0], TASKS[-1])):
                assert await (await client.submit(name, {"number": number})).result(timeout=20) == number
            (finding,) = [finding for finding in await client.examine() if finding.check == "tasks"]
            assert finding.level is Level.ok

    points = [*places("publish", most=5), *places("serve", most=3)]
    await play(points, scene_of, redis, redis_url, queue, tmp_path, recovery)


@pytest.mark.fault("F10", bound_s=RECOVERY_S)
async def test_a_sweep_that_is_broken_off_is_completed_and_takes_nothing_that_is_served(
    redis: Redis, redis_url: str, queue: str, tmp_path: Path, recovery: Recovery
) -> None:
    async def scene_of(scene: Scene) -> None:
        app = App(scene.url, scene.queue, scene.folder, **SHORT, **PATIENT)
        await publish(app.runner)
        await store_of(app.runner).publish(dict.fromkeys(OLD, "{}"), [TokenBucket(name, rate="1/s", burst=1) for name in OLD])
        long_ago: dict[Any, Any] = {f"{what}:{name}": 1 for what in "tl" for name in OLD}
        await redis.hset(scene.keys.seen, mapping=long_ago)
        await scene.fail()

        async def wrong() -> list[str]:
            kept = await names_in(redis.hkeys(scene.keys.specs)) | await names_in(redis.hkeys(scene.keys.limits))
            seen = await names_in(redis.hkeys(scene.keys.seen))
            left = [name for name in OLD if name in kept or f"t:{name}" in seen or f"l:{name}" in seen]
            missing = {*app.runner.tasks, *app.runner.limits} - kept
            return [*left, *missing]

        await scene.is_put_right(wrong)
        await final(redis, scene.queue, await app.submit(app.counted, range(3)))
        await app.runner.close()

    await play(places("sweep", most=3), scene_of, redis, redis_url, queue, tmp_path, recovery)
