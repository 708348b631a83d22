"""orphans: jobs that are running and that nobody holds run again, once; what anybody holds is left alone."""

import pytest

from runner.connection.client import command
from runner.jobs.job import Priority, StartedJob
from runner.limits import Concurrency
from runner.store.job_store import JobStore
from runner.store.keys import GROUP
from tests.store.builders import Clock, claim, enlist, ids, interval, job, jobs, publish, slot, succeeded
from tests.store.inside import bucket_state, inconsistencies, pending_count, states, stream_ids


async def look(store: JobStore) -> int:
    """One round through all jobs: how many were taken back."""
    cursor, taken = await store.orphans(b"0")
    while cursor != b"0":
        cursor, more = await store.orphans(cursor)
        taken += more
    return taken


async def lose_entries(store: JobStore, started: list[StartedJob]) -> None:
    for one in started:
        stream = store.keys.stream(Priority(one.priority))
        await command(store.redis, "XACK", stream, GROUP, one.entry)
        await command(store.redis, "XDEL", stream, one.entry)


async def orphaned(store: JobStore, clock: Clock, *submissions: object) -> list[StartedJob]:
    """Start these jobs on a worker that is lost, together with their entries."""
    await store.submit(submissions)  # type: ignore[arg-type] # as given
    started = await claim(store)
    await lose_entries(store, started)
    clock.advance(store.settings.lease_s + 1)
    await store.reclaim()
    return started


async def test_running_jobs_that_nobody_holds_run_again_with_the_crash_counted(store: JobStore, clock: Clock) -> None:
    started = await orphaned(store, clock, *[job(priority.name, priority=priority) for priority in Priority])
    assert await states(store, ids(started)) == ["running"] * 3

    assert await look(store) == 3
    assert await look(store) == 0

    again = await claim(store, worker="v")
    assert [(one.id, one.attempt, one.failures) for one in again] == [("high", 2, 0), ("normal", 2, 0), ("low", 2, 0)]
    assert [status.crashes for status in await store.get(ids(again)) if status] == [1, 1, 1]
    assert await store.finish("w", [succeeded(started[0])]) == ["stale"]
    assert await store.finish("v", [succeeded(one) for one in again]) == ["accepted"] * 3


async def test_what_a_worker_holds_is_left_alone_live_or_lapsed(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(3))
    started = await claim(store)
    await lose_entries(store, started[:1])
    assert await look(store) == 0  # its worker is live: it knows what it runs

    clock.advance(store.settings.lease_s + 1)
    assert await look(store) == 1  # the other two are pending, and reclaim's
    assert await states(store, ids(started)) == ["queued", "running", "running"]
    assert (await store.reclaim())[0] == 2
    assert await inconsistencies(store) == []


async def test_slots_come_back_and_tokens_stay_spent(store: JobStore, clock: Clock) -> None:
    await publish(store, Concurrency("c", 1), interval("x", capacity=2, every=3600))
    await enlist(store, "w")
    await orphaned(store, clock, job("a", needs=[slot("c"), "x"]), job("b", needs=[slot("c"), "x"]))

    assert await look(store) == 1

    assert ids(await claim(store, worker="v")) == ["a"]
    assert (await bucket_state(store, "x")).deficit == 2
    assert await inconsistencies(store) == []


async def test_one_that_was_asked_to_stop_is_cancelled(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a")])
    started = await claim(store)
    await store.cancel("a")
    await lose_entries(store, started)
    clock.advance(store.settings.lease_s + 1)
    await store.reclaim()

    assert await look(store) == 1
    assert await states(store, ["a"]) == ["cancelled"]


async def test_an_entry_that_waits_on_its_stream_still_leaves_it(store: JobStore, clock: Clock) -> None:
    """The group was destroyed: the entry would be delivered again, beside the new one."""
    await store.submit([job("a")])
    await claim(store)
    await command(store.redis, "XGROUP", "DESTROY", store.keys.stream(Priority.normal), GROUP)
    await command(store.redis, "ZREM", store.keys.workers, "w")

    assert await look(store) == 1
    assert await stream_ids(store) == ["a"]
    assert [(one.id, one.attempt) for one in await claim(store, worker="v")] == [("a", 2)]


@pytest.mark.parametrize("damage", [("entry", "x"), ("entry", ""), ("priority", "seven"), ("priority", "9"), ("worker", "")])
async def test_a_damaged_record_is_taken_back_all_the_same(store: JobStore, clock: Clock, damage: tuple[str, str]) -> None:
    await orphaned(store, clock, job("a"))
    await command(store.redis, "HSET", store.keys.job("a"), *damage)

    assert await look(store) == 1
    assert ids(await claim(store, worker="v")) == ["a"]


async def test_thousands_of_jobs_are_looked_through_in_many_calls(store: JobStore, clock: Clock) -> None:
    for part in range(6):
        await store.submit(jobs(200, f"p{part}-"))
    started = await claim(store, free=200) + await claim(store, free=50)
    await lose_entries(store, started)
    clock.advance(store.settings.lease_s + 1)
    await store.reclaim()

    assert await look(store) == len(started)
    assert await pending_count(store, "w") == 0
    assert len(await stream_ids(store)) == 1200
