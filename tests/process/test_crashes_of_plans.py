"""Workers that die between any two calls of what one job has to do with another: schedules, flows, unique jobs, pauses, retention."""

from pathlib import Path

import pytest
from redis.asyncio import Redis

from runner.connection.client import command
from runner.jobs import OnFailure
from tests import invariants
from tests.chaos.campaign.players.schedules import instants_of, unaccounted
from tests.process.apps import PATIENT
from tests.process.planned_app import PlannedApp
from tests.process.scenes import RECOVERY_S, SHORT, Scene, places, play
from tests.recovery import Recovery

MOST_S = 3.0
"""What runs and instants add to a recovery: the next instant of a schedule, and a run that goes on."""
FANNED = 45
AFTER: tuple[tuple[int, str, OnFailure], ...] = ((100, "j0", "cancel"), (200, "j1", "cancel"), (300, "j1", "run"))
"""More followers than one script lets go, and more than two."""


def app_of(scene: Scene, **settings: object) -> PlannedApp:
    return PlannedApp(scene.url, scene.queue, scene.folder, **SHORT, **PATIENT, **settings)


@pytest.mark.fault("F10", bound_s=RECOVERY_S + MOST_S)
async def test_a_leader_that_dies_between_any_two_calls_of_schedules_leaves_each_instant_in_one_count(
    redis: Redis, redis_url: str, queue: str, tmp_path: Path, recovery: Recovery
) -> None:
    async def scene_of(scene: Scene) -> None:
        app = app_of(scene)
        await scene.fail(app="PlannedApp")
        schedules = app.runner.client.schedules

        async def wrong() -> list[str]:
            return [f"{one.name} had {instants_of(one)} instants" for one in await schedules.list() if instants_of(one) < 4]

        await scene.is_put_right(wrong)
        statuses = [await schedules.pause(name) for name in ("skip", "queue", "allow")]
        assert [text for status in statuses for text in unaccounted(status, was_paused=False)] == []
        for status in statuses:
            ended, made = await jobs_of(scene, status.name), (await schedules.show(status.name)).made
            assert len(ended) == len(set(ended)) <= made
        await app.runner.close()

    points = [*places("fire", most=2), *places("due", "drowse", "rouse", most=1), "fire:after=exit@4", "lead:after=exit@4"]
    points += ["finish:before=exit@2", "finish:after=exit@2"]
    await play(points, scene_of, redis, redis_url, queue, tmp_path, recovery)


async def jobs_of(scene: Scene, schedule: str) -> list[str]:
    """Those of its jobs that have ended, once for each end."""
    rows = await command(scene.redis, "XRANGE", scene.keys.history, "-", "+")
    return [fields[b"job"].decode() for _, fields in rows if fields[b"job"].startswith(f"{schedule}:".encode())]


@pytest.mark.fault("F10", bound_s=RECOVERY_S + MOST_S)
async def test_a_worker_that_dies_as_jobs_are_let_go_leaves_none_held_and_runs_none_before_its_parents(
    redis: Redis, redis_url: str, queue: str, tmp_path: Path, recovery: Recovery
) -> None:
    """One job, many after it, and one after those; and as many of which the first one fails."""

    async def scene_of(scene: Scene) -> None:
        app = app_of(scene)
        ids = await app.submit(app.leaf, range(1))
        ids += await app.submit(app.leaf, range(1, 2), True)
        for first, parent, policy in AFTER:
            many = await app.submit(app.leaf.after(parent, on_failure=policy), range(first, first + FANNED))
            ids += [*many, *await app.submit(app.join.after(*many), range(first + FANNED, first + FANNED + 1))]
        await scene.fail(app="PlannedApp")

        async def wrong() -> list[str]:
            found = await invariants.unfinished(redis, scene.queue, ids)
            return found or await invariants.ran_too_often(redis, scene.queue, ids, app.runs(), faults=1)

        await scene.is_put_right(wrong)
        records = await invariants.records_of(redis, scene.queue, ids)
        states = {name: record.state for name, record in records.items()}
        expected = {"0": "succeeded", "1": "succeeded", "2": "cancelled", "3": "succeeded"}
        assert {name: state for name, state in states.items() if name != "j1" and len(name) == 4 and state != expected[name[1]]} == {}
        assert await invariants.settled_twice(redis, scene.queue) == []
        assert await redis.exists(scene.keys.prefix + "held", scene.keys.prefix + "flow:ended") == 0
        await app.runner.close()

    points = [*places("finish", most=2), *places("advance", most=2), *places("claim", most=1), "repair:after=exit", "attempt:after=exit@2"]
    await play(points, scene_of, redis, redis_url, queue, tmp_path, recovery)


@pytest.mark.fault("F10", bound_s=RECOVERY_S)
async def test_a_worker_that_dies_with_unique_jobs_and_parked_ones_leaves_no_mark_and_runs_the_newest_words(
    redis: Redis, redis_url: str, queue: str, tmp_path: Path, recovery: Recovery
) -> None:
    async def scene_of(scene: Scene) -> None:
        app = app_of(scene)
        await app.submit(app.newest.with_options(delay=0.3), range(0))  # its task is known before it is paused
        words = [await app.newest.with_options(id=f"n{number}", delay=0.3).submit("a", number) for number in range(3)]
        first = await app.alone.with_options(id="j7").submit("a", 7)
        second = await app.alone.with_options(id="j8").submit("a", 8)
        assert {word.id for word in words} == {"n0"}
        assert {first.id, second.id} == {"j7"}
        await app.runner.client.pauses.pause("task", "nap", duration=0.5)
        napping = await app.submit(app.nap, range(20, 26))
        await scene.fail(app="PlannedApp")
        ids = ["n0", "j7", *napping]

        async def wrong() -> list[str]:
            left = await invariants.marks_of_nobody(redis, scene.queue)
            return [*await invariants.unfinished(redis, scene.queue, ids), *left]

        await scene.is_put_right(wrong)
        assert await redis.hlen(scene.keys.unique) == 0
        assert await words[0].result() == 2
        assert app.runs()["j8"] == app.runs()["j0"] == app.runs()["j1"] == 0
        assert await invariants.settled_twice(redis, scene.queue) == []
        await app.runner.close()

    points = [*places("claim", "finish", most=2), *places("unhold", "unpause", "promote", most=1)]
    await play(points, scene_of, redis, redis_url, queue, tmp_path, recovery)
