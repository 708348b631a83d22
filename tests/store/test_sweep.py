"""Who wins in the catalog, and what leaves it: by hand, or once nobody has served or declared it for long."""

import pytest

from runner.jobs.task_spec import TaskSpec
from runner.limits import Concurrency, Limit, TokenBucket
from runner.store.declarations import Declarations
from runner.store.job_store import JobStore
from runner.store.portions import MOST_SWEPT
from runner.store.published import Published, Role
from tests.store.builders import Clock, claim, interval, job, publish
from tests.store.inside import bucket_state, scores

DAY_S = 86_400.0


def spec(name: str, priority: str = "normal", *limits: str) -> str:
    return TaskSpec(name, {}, limits, priority=priority).to_json()


async def declare(store: Declarations, priority: str, role: Role, revision: int = 0, since_us: int = 0) -> Published:
    """One task; the priority tells which version it is."""
    return await store.publish({"a": spec("a", priority)}, [], since_us, role=role, revision=revision)


async def stands(store: Declarations) -> str:
    (task,) = await store.tasks()
    assert task.spec is not None
    return task.spec.priority


@pytest.mark.parametrize("revision", [0, 9])
async def test_a_worker_stands_against_producers_whatever_their_revision_and_start(store: JobStore, clock: Clock, revision: int) -> None:
    await declare(store, "low", Role.worker)
    clock.advance(10)

    assert (await declare(store, "high", Role.producer, revision)).outdone == [("task", "a", "worker")]
    assert await stands(store) == "low"


async def test_a_worker_replaces_what_a_producer_has_declared(store: JobStore, clock: Clock) -> None:
    since_us = (await declare(store, "high", Role.producer, 9)).since_us
    await declare(store, "low", Role.worker)

    assert (await declare(store, "high", Role.producer, 9, since_us)).outdone == [("task", "a", "worker")]
    assert await stands(store) == "low"


async def test_the_same_from_a_worker_makes_it_the_workers(store: JobStore, clock: Clock) -> None:
    await declare(store, "low", Role.producer)
    await declare(store, "low", Role.worker)
    clock.advance(1)

    assert (await declare(store, "high", Role.producer)).outdone == [("task", "a", "worker")]


@pytest.mark.parametrize("role", Role)
async def test_of_equals_the_higher_revision_wins_and_then_the_last_to_start(store: JobStore, clock: Clock, role: Role) -> None:
    old_us = (await declare(store, "low", role, 1)).since_us
    clock.advance(1)
    new_us = (await declare(store, "high", role, 1)).since_us
    assert (await declare(store, "low", role, 1, old_us)).outdone == [("task", "a", "start")]
    await declare(store, "normal", role, 2, old_us)
    assert (await declare(store, "high", role, 1, new_us)).outdone == [("task", "a", "revision")]

    assert await stands(store) == "normal"


async def test_declarations_of_two_versions_do_not_flap(store: JobStore, clock: Clock) -> None:
    old_us = (await declare(store, "low", Role.worker)).since_us
    clock.advance(1)
    new_us = (await declare(store, "high", Role.worker)).since_us
    versions = set()
    for _ in range(5):
        clock.advance(3)
        for priority, since_us in (("low", old_us), ("high", new_us)):
            await declare(store, priority, Role.worker, 0, since_us)
            versions.add((await store.known("", ["a"])).version)

    assert len(versions) == 1
    assert await stands(store) == "high"


async def numbers(store: JobStore, capacity: int, role: Role) -> Published:
    return await store.publish({}, [interval("x", capacity=capacity)], role=role)


async def test_numbers_of_a_limit_are_the_workers_as_long_as_one_lives(store: JobStore, clock: Clock) -> None:
    await numbers(store, 2, Role.worker)
    await store.enlist("w", "{}", ["l:x"])
    clock.advance(1)
    assert (await numbers(store, 7, Role.producer)).outdone == [("limit", "x", "worker")]

    clock.advance(store.settings.lease_s)
    assert (await numbers(store, 7, Role.producer)).changed == ["x"]

    assert (await numbers(store, 3, Role.worker)).changed == ["x"]


async def test_a_limit_has_the_revision_of_its_app_unless_it_has_its_own(store: JobStore, clock: Clock) -> None:
    await store.publish({}, [interval("x", capacity=2), interval("y", capacity=2).revised(9)], revision=5)
    clock.advance(1)

    published = await store.publish({}, [interval("x", capacity=7), interval("y", capacity=7)], revision=4)
    assert published.outdone == [("limit", "x", "revision"), ("limit", "y", "revision")]
    assert (await store.publish({}, [interval("x", capacity=7), interval("y", capacity=7)], revision=8)).changed == ["x"]


# Removal


async def swept(store: JobStore) -> tuple[list[str], list[str]]:
    tasks: list[str] = []
    limits: list[str] = []
    cursor = 0
    while True:
        more, cursor, some_tasks, some_limits = await store.sweep(cursor)
        tasks, limits = tasks + some_tasks, limits + some_limits
        if not more:
            return sorted(tasks), sorted(limits)


async def names(store: JobStore) -> list[str]:
    return [task.name for task in await store.tasks()]


async def test_a_task_that_nobody_serves_or_declares_goes_after_a_week(store: JobStore, clock: Clock) -> None:
    await store.publish({"old": spec("old", "normal", "x"), "kept": spec("kept")}, [interval("x")])
    clock.advance(6 * DAY_S)
    assert await store.refresh({"kept": spec("kept")}, []) is False, "it is another app"
    await store.publish({"kept": spec("kept")}, [])
    clock.advance(1.1 * DAY_S)
    before = (await store.known("", ["old"])).version

    assert await swept(store) == (["old"], ["x"])

    assert await names(store) == ["kept"]
    known = await store.known(before, ["old"])
    assert (known.tasks, known.others) == ({"old": None}, ["kept"])
    assert await swept(store) == ([], [])


async def test_a_task_stays_as_long_as_a_live_worker_serves_it_and_a_week_after(store: JobStore, clock: Clock) -> None:
    await store.publish({"a": spec("a")}, [])
    for _ in range(10):
        clock.advance(DAY_S)
        await store.enlist("w", "{}", ["t:a"])
        assert await swept(store) == ([], [])
    clock.advance(20)
    assert await swept(store) == ([], [])
    (task,) = await store.tasks()
    assert task.served_until is not None
    assert round(clock.now_us / 1e6 - task.served_until) == 10

    clock.advance(6.9 * DAY_S)
    assert await swept(store) == ([], [])
    clock.advance(0.2 * DAY_S)
    assert await swept(store) == (["a"], [])


async def test_what_a_version_served_is_forgotten_after_its_workers(store: JobStore, clock: Clock) -> None:
    await store.publish({"a": spec("a")}, [])
    await store.enlist("w", "{}", ["t:a"])
    (digest,) = await scores(store, store.keys.serving)
    clock.advance(11)
    await store.sweep()
    assert await scores(store, store.keys.serving)

    await store.redis.execute_command("DEL", store.keys.serves(digest))
    await store.sweep()

    assert not await scores(store, store.keys.serving)
    assert (await store.tasks())[0].served_until is not None


@pytest.mark.parametrize("limit", [TokenBucket("x", rate="1/d", burst=5), Concurrency("x", 1)])
async def test_a_limit_of_which_something_is_spent_stays(store: JobStore, clock: Clock, limit: Limit) -> None:
    await publish(store, limit)
    clock.advance(8 * DAY_S)
    await store.take("take:t", "x=1!" if limit.gives_back else "x=1", "x", lapse_us=60_000_000)
    before = await bucket_state(store, "x")

    assert await swept(store) == ([], [])
    assert await bucket_state(store, "x") == before


@pytest.mark.parametrize("what", ["waited for", "overridden", "paused", "with a key"])
async def test_a_limit_that_is_still_of_use_stays(store: JobStore, clock: Clock, what: str) -> None:
    await publish(store, interval("x", every=1_000_000, key="{k}" if what == "with a key" else None))
    if what == "waited for":
        await store.submit([job("j1", needs=["x"]), job("j2", needs=["x"])])
        await claim(store)
        await store.redis.execute_command("DEL", store.keys.bucket("x"))
    if what == "overridden":
        await store.override("x", interval("x", capacity=3).to_json(), 0, "try")
    if what == "paused":
        await store.pause("x", on=True, reason="repair")
    clock.advance(8 * DAY_S)

    assert await swept(store) == ([], [])


async def test_a_catalog_that_is_new_to_the_sweep_has_a_week_from_then_on(store: JobStore, clock: Clock) -> None:
    await store.publish({"a": spec("a")}, [interval("x")])
    await store.redis.execute_command("DEL", store.keys.seen)
    clock.advance(8 * DAY_S)

    assert await swept(store) == ([], [])
    clock.advance(8 * DAY_S)
    assert await swept(store) == (["a"], ["x"])


async def test_a_large_catalog_is_swept_in_pages_and_none_is_passed_over(store: JobStore, clock: Clock) -> None:
    many = [f"t{number}" for number in range(5 * MOST_SWEPT + 3)]
    await store.publish({name: spec(name) for name in many}, [])
    await store.publish({"kept": spec("kept")}, [])
    clock.advance(8 * DAY_S)
    await store.enlist("w", "{}", ["t:kept"])

    tasks, _ = await swept(store)

    assert tasks == sorted(many)
    assert await names(store) == ["kept"]


async def test_an_app_that_is_not_declared_any_more_is_forgotten(store: JobStore, clock: Clock) -> None:
    tasks = {"a": spec("a")}
    await store.publish(tasks, [])
    await store.enlist("w", "{}", ["t:a"])
    assert await store.refresh(tasks, [])
    clock.advance(8 * DAY_S)
    await store.enlist("w", "{}", ["t:a"])
    await swept(store)

    assert not await store.refresh(tasks, [])
    assert await store.redis.execute_command("HKEYS", store.keys.catalog) == [b"version"]


async def test_a_served_task_is_not_removed_by_hand(store: JobStore, clock: Clock) -> None:
    await store.publish({"a": spec("a")}, [])
    await store.enlist("w", "{}", ["t:a"])
    assert await store.forget("a") == "served"
    clock.advance(store.settings.lease_s)

    assert [await store.forget("a") for _ in range(2)] == ["removed", "unknown"]
