"""publish and trim: the catalog of tasks and limits, versions, and what a changed limit means for those who wait."""

from runner.connection.client import command
from runner.jobs.task_spec import TaskSpec
from runner.limits import TokenBucket
from runner.store.job_store import JobStore
from runner.store.portions import MOST_LIMITS, MOST_PER_CALL
from tests.store.builders import Clock, claim, fail_all, ids, interval, job, jobs, publish
from tests.store.inside import nudged, scores, versions, wakes


async def test_a_limit_starts_at_version_one(store: JobStore) -> None:
    assert await publish(store, interval("x"), interval("y")) == 2
    assert await versions(store) == {"x": 1, "y": 1}


async def test_publishing_the_same_again_changes_nothing(store: JobStore) -> None:
    await publish(store, interval("x"))

    assert await publish(store, interval("x")) == 0
    assert await versions(store) == {"x": 1}


async def test_each_change_is_the_next_version(store: JobStore) -> None:
    for version, capacity in enumerate((1, 2, 1), 1):
        assert await publish(store, interval("x", capacity=capacity)) == 1
        assert await versions(store) == {"x": version}


async def test_the_catalog_holds_what_was_published(store: JobStore) -> None:
    limit = TokenBucket("x", rate="10/min", burst=3, key="{tenant}")
    await store.publish({name: TaskSpec(name, {}).to_json() for name in "ba"}, [limit])

    assert [(task.name, task.served) for task in await store.tasks()] == [("a", False), ("b", False)]
    assert await store.policies() == {"x": limit}
    assert await store.code_of("x") == limit
    assert await store.code_of("y") is None


async def test_a_task_published_again_is_replaced(store: JobStore) -> None:
    await store.publish({"a": TaskSpec("a", {}, priority="low").to_json()}, [])
    await store.publish({"a": TaskSpec("a", {}).to_json()}, [])

    assert [task.spec for task in await store.tasks()] == [TaskSpec("a", {})]


async def test_a_faster_limit_serves_its_waiters_at_once(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=86_400))
    await store.submit(jobs(5, needs=["x"]))
    await claim(store)
    await nudged(store)

    await publish(store, TokenBucket("x", rate="2/s", burst=2))

    assert await nudged(store)
    assert ids(await claim(store)) == ["j1"]
    clock.advance(1)
    assert ids(await claim(store)) == ["j2", "j3"]


async def test_a_change_wakes_every_bucket_of_that_limit_and_no_other(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=100, key="{k}"), interval("xy", every=100), interval("y", every=100))
    await store.submit([job(needs=[bucket]) for bucket in ("x/1", "x/2", "xy", "y") for _ in range(2)])
    await claim(store)
    clock.advance(1)

    await publish(store, interval("x", every=50, key="{k}"))

    assert await wakes(store) == {"x/1": 1_000_000, "x/2": 1_000_000, "xy": 100_000_000, "y": 100_000_000}


async def test_publishing_an_unchanged_limit_wakes_nobody(store: JobStore) -> None:
    await publish(store, interval("x", every=100))
    await store.submit(jobs(2, needs=["x"]))
    await claim(store)
    await nudged(store)

    await publish(store, interval("x", every=100))

    assert not await nudged(store)
    assert await wakes(store) == {"x": 100_000_000}


async def test_jobs_of_a_limit_not_yet_published_start_when_it_is(store: JobStore) -> None:
    assert await store.submit(jobs(3, needs=["late"])) == ["waiting"] * 3
    assert await claim(store) == []

    await publish(store, interval("late", capacity=2))

    assert ids(await claim(store)) == ["j0", "j1"]


async def test_trim_forgets_dead_letters_once_their_time_is_over(store: JobStore, clock: Clock) -> None:
    await store.submit([job("old")])
    await fail_all(store, await claim(store))
    clock.advance(10)
    await store.submit([job("young")])
    await fail_all(store, await claim(store))
    clock.advance(60 - 10)  # both were to be kept for a minute

    assert await store.trim() == (1, False)
    assert list(await scores(store, store.keys.failed)) == ["young"]
    assert await store.trim() == (0, False)


async def test_trim_forgets_dead_letters_of_which_nobody_has_said_how_long_they_are_kept(store: JobStore, clock: Clock) -> None:
    await store.submit([job("old")])
    await fail_all(store, await claim(store))
    clock.advance(10)
    await store.submit([job("young")])
    await fail_all(store, await claim(store))
    await command(store.redis, "DEL", store.keys.retentions)  # as a version left it that wrote none
    clock.advance(store.settings.failed_ttl_s - 11)
    assert await store.trim() == (0, False)

    clock.advance(1)
    assert await store.trim() == (1, False)
    assert list(await scores(store, store.keys.failed)) == ["young"]


async def test_hundreds_of_tasks_and_limits_are_published_and_shown_in_calls_that_follow_each_other(store: JobStore) -> None:
    limits = [interval(f"limit-{number:03}") for number in range(3 * MOST_LIMITS + 1)]
    tasks = {f"task-{number}": '{"limits":[]}' for number in range(MOST_PER_CALL + 1)}

    since_us, changed, outdone = await store.publish(tasks, limits)

    assert await store.publish(tasks, limits, since_us) == (since_us, [], outdone)
    assert outdone == []
    assert sorted(changed) == [limit.name for limit in limits]
    assert [task.name for task in await store.tasks()] == sorted(tasks)
    assert [status.name for status in await store.limits()] == [limit.name for limit in limits]
    assert [status.name for status in await store.limits("limit-007")] == ["limit-007"]
    assert await store.limits("unknown") == []


async def test_of_many_lines_at_a_bucket_some_stand_for_all(store: JobStore) -> None:
    await store.submit([job(needs=["x"], share=f"t{number}") for number in range(300) for _ in range(2)])
    await publish(store, interval("x"))

    (shown,) = await store.limits("x")
    assert shown.buckets[0].waiting == 600
