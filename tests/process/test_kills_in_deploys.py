"""Workers that die, or lose a reply, between any two calls of what a deploy needs: the queue is consistent, and the next one completes it."""

from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import Client, Level, Runner, Settings, TokenBucket
from runner.connection.client import command
from tests import invariants
from tests.app_internals import publish, store_of
from tests.process.apps import FAST, LIMITS, PATIENT, App
from tests.process.crew import final
from tests.process.scenes import RECOVERY_S, SHORT, Scene, names_in, places, play
from tests.process.wide_app import TASKS, WIDE_LIMITS
from tests.recovery import Recovery

OLD = [f"old-{number}" for number in range(150)]
DECLARED = {f"t:{name}" for name in TASKS} | {f"l:{limit.name}" for limit in WIDE_LIMITS}


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
