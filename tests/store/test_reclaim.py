"""reclaim: what a lapsed worker holds goes back, with blame only for what it ran, and nobody's entry is orphaned."""

import json

import pytest

from runner.connection.client import command
from runner.errors import LeaseLost
from runner.jobs.job import Priority, StartedJob
from runner.jobs.job_error import JobError
from runner.store.claims import ClaimRequest
from runner.store.job_store import JobStore
from runner.store.keys import GROUP
from runner.store.portions import MOST_TAKEN_BACK
from tests.store.builders import Clock, claim, enlist, ids, interval, job, jobs, make_store, publish, read, succeeded
from tests.store.inside import all_keys, bucket_state, consumers, line_ids, pending_count, scores, spoken_for, states, stream_ids


async def crash(store: JobStore, clock: Clock, free: int = 100) -> list[StartedJob]:
    """Start what can start on a worker that is then silent until its lease has lapsed."""
    started = await claim(store, free)
    clock.advance(store.settings.lease_s)
    return started


async def test_a_live_worker_keeps_its_jobs(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(2))
    await claim(store)
    clock.advance_us(9_999_999)

    assert await store.reclaim() == (0, 0, 0)
    assert await states(store, ["j0", "j1"]) == ["running", "running"]


async def test_jobs_of_a_lapsed_worker_run_again_and_the_crash_is_counted(store: JobStore, clock: Clock) -> None:
    await store.submit([job(priority.name, priority=priority) for priority in Priority])
    await crash(store, clock)

    assert await store.reclaim() == (3, 1, 0)

    again = await claim(store, worker="v")
    assert [(one.id, one.attempt, one.failures) for one in again] == [("high", 2, 0), ("normal", 2, 0), ("low", 2, 0)]
    assert [status.crashes for status in await store.get(ids(again)) if status] == [1, 1, 1]


async def test_reclaiming_again_takes_nothing_back_twice(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(2))
    await crash(store, clock)

    assert await store.reclaim() == (2, 1, 0)  # the reply is lost
    assert await store.reclaim() == (0, 0, 0)

    assert await stream_ids(store) == ["j0", "j1"]


async def test_a_call_that_comes_too_late_takes_nothing_back(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(2))
    await crash(store, clock)

    late = await store.reclaim(not_after_us=clock.now_us - 1)

    assert late.is_late
    assert await states(store, ["j0", "j1"]) == ["running", "running"]
    assert await store.reclaim(not_after_us=clock.now_us) == (2, 1, 0)


async def test_nothing_of_a_lapsed_worker_remains(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(2))
    await crash(store, clock)
    await store.cancel("j0")

    await store.reclaim()

    left = await all_keys(store)
    assert [key for key in left if "worker:" in key or "inbox:" in key or "cancels:" in key] == []
    assert await consumers(store) == set()
    assert await scores(store, store.keys.workers) == {}


async def test_what_was_held_and_not_started_goes_back_without_blame(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=3600))
    await store.submit([job("free"), job("limited", needs=["x"])])
    await enlist(store, "w")
    await read(store, "w", 10)
    clock.advance(11)

    assert await store.reclaim() == (2, 1, 0)

    again = await claim(store, worker="v")
    assert [(one.id, one.attempt) for one in again] == [("free", 1), ("limited", 1)]
    assert [status.crashes for status in await store.get(ids(again)) if status] == [0, 0]
    assert (await bucket_state(store, "x")).deficit == 1


async def test_a_job_cancelled_while_held_leaves_no_reservation(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=86_400))
    await store.submit([job("a", needs=["x"]), job("b", needs=["x"])])
    await enlist(store, "w")
    await read(store, "w", 1)
    await store.cancel("a")
    clock.advance(11)

    assert await store.reclaim() == (1, 1, 0)

    assert await spoken_for(store, "x") == (0, 0)
    assert ids(await claim(store, worker="v")) == ["b"]


async def test_a_lost_attempt_keeps_its_charge(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=2, every=3600))
    await store.submit(jobs(2, needs=["x"]))
    await crash(store, clock)

    await store.reclaim()

    assert await claim(store, worker="v") == []
    assert await line_ids(store, "1|x") == ["j0", "j1"]
    clock.advance(3600)
    assert ids(await claim(store, worker="v")) == ["j0"]


async def test_a_job_that_loses_its_worker_too_often_is_given_up_as_poison(store: JobStore, clock: Clock) -> None:
    await store.submit([job("bad"), job("good", priority=Priority.low)])
    await store.watch(["bad"])
    for _ in range(2):
        assert ids(await crash(store, clock, free=1)) == ["bad"]
        assert await store.reclaim() == (1, 1, 0)
    await crash(store, clock, free=1)

    async with store.redis.pubsub() as channel:
        await channel.subscribe(store.keys.finished)
        assert (await channel.get_message(timeout=1) or {})["type"] == "subscribe"
        assert await store.reclaim() == (1, 1, 1)
        assert (await channel.get_message(timeout=1) or {})["data"] == b"bad"

    (status,) = await store.get(["bad"])
    assert status is not None
    assert (status.state, status.crashes) == ("failed", 3)
    assert status.error == JobError("poison", "its worker was lost 3 times while it ran, the last time with no other job")
    assert list(await scores(store, store.keys.failed)) == ["bad"]
    assert await command(store.redis, "PTTL", store.keys.job("bad")) > 0
    assert ids(await claim(store)) == ["good"]


async def test_a_job_that_lost_all_but_the_last_worker_runs_by_itself(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(3))
    for _ in range(2):
        assert len(await crash(store, clock)) == 3
        assert await store.reclaim() == (3, 1, 0)
    await enlist(store, "w")

    first = await store.claim("w", ClaimRequest(10, read_more=True, alone=True))
    assert (ids(first.jobs), first.alone, first.suspect) == (["j0"], True, None)
    second = await store.claim("w", ClaimRequest(9, read_more=True))
    assert (second.jobs, second.alone, second.suspect and second.suspect[2]) == ([], False, b"j1")
    assert await store.finish("w", [succeeded(first.jobs[0])]) == ["accepted"]
    assert second.suspect is not None
    third = await store.claim("w", ClaimRequest(1, [second.suspect], alone=True))
    assert (ids(third.jobs), third.alone) == (["j1"], True)
    assert sorted(await stream_ids(store)) == ["j1", "j2"]


async def test_no_job_is_given_up_for_a_worker_that_ran_another_beside_it(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(2))
    for _ in range(2):
        await crash(store, clock)
        await store.reclaim()
    started = await claim(store, free=1)
    await command(store.redis, "HDEL", store.keys.job("j1"), "crashes")  # as if it had just come
    started += (await store.claim("w", ClaimRequest(1, read_more=True))).jobs
    assert ids(started) == ["j0", "j1"]
    clock.advance(11)

    assert await store.reclaim() == (2, 1, 0)
    assert [status.crashes for status in await store.get(["j0", "j1"]) if status] == [3, 1]
    assert ids(await claim(store)) == ["j0"]
    clock.advance(11)
    assert await store.reclaim() == (1, 1, 1)
    assert await states(store, ["j0", "j1"]) == ["failed", "queued"]


async def test_a_job_held_for_its_turn_to_run_by_itself_goes_back_without_blame(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(1))
    for _ in range(2):
        await crash(store, clock)
        await store.reclaim()
    await enlist(store, "w")
    assert (await store.claim("w", ClaimRequest(1, read_more=True))).suspect is not None
    clock.advance(11)

    assert await store.reclaim() == (1, 1, 0)
    assert [status.crashes for status in await store.get(["j0"]) if status] == [2]
    assert ids(await claim(store)) == ["j0"]


async def test_how_often_is_too_often_can_be_set(redis_url: str, queue: str, clock: Clock) -> None:
    store = make_store(redis_url, queue, clock, max_crashes=1)
    await store.submit([job("a")])
    await crash(store, clock)

    assert await store.reclaim() == (1, 1, 1)
    await store.close()


async def test_a_job_asked_to_stop_ends_cancelled_with_its_worker(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a")])
    await crash(store, clock)
    await store.cancel("a")

    assert await store.reclaim() == (1, 1, 0)

    assert await states(store, ["a"]) == ["cancelled"]
    assert await claim(store, worker="v") == []


async def test_thousands_of_entries_come_back_in_several_calls_and_the_worker_stays_condemned(store: JobStore, clock: Clock) -> None:
    count = 2 * MOST_TAKEN_BACK + 3
    await store.submit(jobs(count))
    await crash(store, clock, free=count)

    assert await store.reclaim() == (MOST_TAKEN_BACK, 0, 0)
    with pytest.raises(LeaseLost):
        await store.claim("w", ClaimRequest(1, read_more=True))
    assert await store._run(
        "heartbeat", worker="w", lease_us=10_000_000, enlist=0, details="", serves="", stuck=0, defects=0, vitals="", cancelled_from=0
    ) == [b"gone"]
    assert await consumers(store) == {"w"}
    assert [await store.reclaim() for _ in range(3)] == [(MOST_TAKEN_BACK, 0, 0), (3, 1, 0), (0, 0, 0)]

    assert sorted(await stream_ids(store)) == sorted(f"j{number}" for number in range(count))
    assert await states(store, ["j0", f"j{count - 1}"]) == ["queued", "queued"]


async def test_the_budget_is_for_all_lapsed_workers_together(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(24))
    for number in range(8):
        await claim(store, free=3, worker=f"w{number}")
    clock.advance(11)

    first = await store.reclaim()
    assert first == (MOST_TAKEN_BACK, (MOST_TAKEN_BACK - 1) // 3, 0)
    assert [await store.reclaim() for _ in range(2)] == [(24 - MOST_TAKEN_BACK, 8 - first[1], 0), (0, 0, 0)]


async def test_more_lapsed_workers_than_one_call_removes_are_all_removed(store: JobStore, clock: Clock) -> None:
    await enlist(store, *(f"w{number}" for number in range(120)))
    clock.advance(11)

    assert [await store.reclaim() for _ in range(3)] == [(0, 100, 0), (0, 20, 0), (0, 0, 0)]


async def test_a_consumer_nobody_enlisted_is_taken_for_lapsed(store: JobStore) -> None:
    await store.submit(jobs(2))
    await enlist(store, "v")
    await read(store, "stranger", 10)
    assert await pending_count(store, "stranger") == 2

    assert await store.reclaim() == (2, 1, 0)

    assert await consumers(store) == set()
    assert ids(await claim(store, worker="v")) == ["j0", "j1"]


async def test_a_worker_that_reads_on_after_it_was_removed_loses_nothing(store: JobStore, clock: Clock) -> None:
    await enlist(store, "w")
    clock.advance(11)
    await store.reclaim()
    await store.submit([job("a")])
    held = await read(store, "w", 1)
    with pytest.raises(LeaseLost):
        await store.claim("w", ClaimRequest(1, held, read_more=True))

    assert await store.reclaim() == (1, 1, 0)
    assert ids(await claim(store, worker="v")) == ["a"]


async def test_garbage_held_by_a_lapsed_worker_is_removed(store: JobStore, clock: Clock) -> None:
    stream = store.keys.stream(Priority.normal)
    await enlist(store, "w")
    await command(store.redis, "XADD", stream, "*", "nonsense", "1")
    await command(store.redis, "XADD", stream, "*", "id", "never-was")
    gone = await command(store.redis, "XADD", stream, "*", "id", "deleted-by-hand")
    await read(store, "w", 10)
    await command(store.redis, "XDEL", stream, gone)
    clock.advance(11)

    assert await store.reclaim() == (3, 1, 0)

    assert await stream_ids(store) == []
    assert await command(store.redis, "XPENDING", stream, GROUP) == [0, None, None, None]


async def test_an_entry_of_a_job_that_another_worker_runs_is_only_removed(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a")])
    await enlist(store, "dead")
    await command(store.redis, "XADD", store.keys.stream(Priority.normal), "*", "id", "a")
    (started,) = await claim(store, free=1, worker="v")
    await read(store, "dead", 1)
    clock.advance(9)
    await enlist(store, "v")
    clock.advance(2)

    assert await store.reclaim() == (1, 1, 0)

    assert await states(store, ["a"]) == ["running"]
    assert await store.finish("v", [succeeded(started, json.dumps("done").encode())]) == ["accepted"]
    assert await stream_ids(store) == []


async def test_without_any_stream_there_is_nothing_to_take_back(store: JobStore) -> None:
    assert await store.reclaim() == (0, 0, 0)


async def test_a_job_taken_back_returns_to_its_place_in_line(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=60))
    await store.submit(jobs(4, needs=["x"]))
    assert ids(await crash(store, clock)) == ["j0"]

    await store.reclaim()

    assert await line_ids(store, "1|x") == ["j0", "j1", "j2", "j3"]
