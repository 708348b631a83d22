"""cancel: in every state, twice, and what it means for those who wait behind."""

import pytest

from runner.connection.client import command
from runner.jobs.job import Ending, Outcome, Priority
from runner.store.claims import ClaimRequest
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, enlist, ids, interval, job, jobs, publish, succeeded
from tests.store.inside import all_keys, nudged, spoken_for, states, stream_ids, wakes


async def test_an_unknown_job_is_unknown(store: JobStore) -> None:
    assert await store.cancel("never-was") == "unknown"
    assert await all_keys(store) == []


async def test_a_queued_job_never_starts(store: JobStore) -> None:
    await store.submit(jobs(2))

    assert await store.cancel("j0") == "cancelled"
    assert await store.cancel("j0") == "cancelled"

    assert ids(await claim(store)) == ["j1"]
    assert await stream_ids(store) == ["j1"]


async def test_a_queued_job_with_a_limit_leaves_its_token_to_the_next(store: JobStore) -> None:
    await publish(store, interval("x", every=3600))
    await store.submit(jobs(2, needs=["x"]))

    assert await store.cancel("j0") == "cancelled"
    assert await claim(store) == []  # it meets the cancelled entry, and frees what that had reserved

    assert ids(await claim(store)) == ["j1"]


async def test_a_scheduled_job_leaves_the_schedule(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a", delay=5)])

    assert await store.cancel("a") == "cancelled"
    assert await store.cancel("a") == "cancelled"

    clock.advance(6)
    assert await store.promote() == (0, -1)
    assert await claim(store) == []


async def test_a_retrying_job_leaves_the_schedule(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a")])
    await store.finish("w", [Outcome(one, Ending.retry, b"{}", 5_000_000) for one in await claim(store)])

    assert await store.cancel("a") == "cancelled"

    clock.advance(6)
    assert await store.promote() == (0, -1)


async def test_a_running_job_is_asked_to_stop(store: JobStore) -> None:
    await store.submit([job("a")])
    started = await claim(store)

    assert await store.cancel("a") == "stopping"
    assert await store.cancel("a") == "stopping"

    (status,) = await store.get(["a"])
    assert status is not None
    assert status.cancel_requested
    assert status.state == "running"
    assert await command(store.redis, "LPOP", store.keys.inbox("w")) == b"a"
    assert await store.finish("w", [Outcome(started[0], Ending.cancelled, ttl_ms=1000)]) == ["accepted"]
    assert await states(store, ["a"]) == ["cancelled"]


async def test_a_running_job_that_succeeds_first_has_succeeded(store: JobStore) -> None:
    await store.submit([job("a")])
    started = await claim(store)
    await store.cancel("a")

    assert await store.finish("w", [succeeded(started[0])]) == ["accepted"]

    assert await states(store, ["a"]) == ["succeeded"]


@pytest.mark.parametrize("ending", [Ending.retry, Ending.returned])
async def test_a_job_asked_to_stop_is_not_tried_again(store: JobStore, ending: Ending) -> None:
    await store.submit([job("a")])
    started = await claim(store)
    await store.cancel("a")

    assert await store.finish("w", [Outcome(started[0], ending, b"{}", 0, 1000)]) == ["accepted"]

    assert await states(store, ["a"]) == ["cancelled"]
    assert await claim(store) == []


async def test_a_finished_job_keeps_its_state(store: JobStore) -> None:
    await store.submit([job("good"), job("bad")])
    good, bad = await claim(store)
    await store.finish("w", [succeeded(good), Outcome(bad, Ending.failed, b"{}", 0, 1000)])

    assert [await store.cancel("good"), await store.cancel("bad")] == ["succeeded", "failed"]
    assert [await store.cancel("good"), await store.cancel("bad")] == ["succeeded", "failed"]


async def test_a_waiting_job_leaves_its_line(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"))
    await store.submit(jobs(4, needs=["x"]))
    await claim(store)

    assert await store.cancel("j2") == "cancelled"
    assert await store.cancel("j2") == "cancelled"

    assert await states(store, ["j1", "j2", "j3"]) == ["waiting", "cancelled", "waiting"]
    clock.advance(1)
    assert ids(await claim(store)) == ["j1"]
    clock.advance(1)
    assert ids(await claim(store)) == ["j3"]


async def test_the_last_of_a_line_leaves_nothing_behind(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"), interval("y"))
    await store.submit(jobs(2, needs=["x", "y"]))
    await claim(store)

    await store.cancel("j1")

    assert [key for key in await all_keys(store) if ":line" in key] == []
    clock.advance(1)
    assert await store.refill() == (0, -1)
    assert await wakes(store) == {}


async def test_behind_a_costly_head_the_next_starts_as_soon_as_its_own_tokens_are_there(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=10, every=10))
    await store.submit([job("first", needs=[("x", 10)])])
    await claim(store)
    await store.submit([job("costly", needs=[("x", 10)]), job("cheap", needs=["x"])])
    clock.advance(10)
    await store.refill()
    await nudged(store)
    assert await wakes(store) == {"x": 100_000_000}

    await store.cancel("costly")

    assert await nudged(store)
    assert ids(await claim(store)) == ["cheap"]


async def test_behind_a_costly_line_the_next_line_starts_as_soon_as_its_own_tokens_are_there(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=10, every=10), interval("y"))
    await store.submit([job("first", needs=[("x", 10)])])
    await claim(store)
    await store.submit([job("costly", needs=[("x", 10)])])
    await store.submit([job("other-line", needs=["x", "y"])])
    clock.advance(10)
    await store.refill()

    await store.cancel("costly")

    assert ids(await claim(store)) == ["other-line"]


async def test_a_cancelled_job_is_kept_for_a_while_and_then_forgotten(store: JobStore) -> None:
    await store.submit([job("a")])
    await store.cancel("a")

    assert 0 < await command(store.redis, "PTTL", store.keys.job("a")) <= store.settings.result_ttl_s * 1000


async def test_the_entry_of_a_cancelled_and_forgotten_job_is_dropped(store: JobStore) -> None:
    await store.submit([job("a")])
    await store.cancel("a")
    await command(store.redis, "DEL", store.keys.job("a"))
    await enlist(store, "w")

    assert (await store.claim("w", ClaimRequest(1, read_more=True))).dropped == 1


async def test_a_waiting_job_is_found_whatever_its_priority(store: JobStore) -> None:
    await publish(store, interval("x"))
    await store.submit([job("runs", needs=["x"])])
    await store.submit([job(priority.name, needs=["x"], priority=priority) for priority in Priority])

    for priority in Priority:
        assert await store.cancel(priority.name) == "cancelled"

    assert (await spoken_for(store, "x")) == (1, 1)
    assert [key for key in await all_keys(store) if ":line:" in key] == []


async def test_every_end_by_cancelling_is_announced_and_in_the_history(store: JobStore) -> None:
    await store.submit([job("a")])
    await store.watch(["a"])
    async with store.redis.pubsub() as channel:
        await channel.subscribe(store.keys.finished)
        assert (await channel.get_message(timeout=1) or {})["type"] == "subscribe"
        await store.cancel("a")
        assert (await channel.get_message(timeout=1) or {})["data"] == b"a"

    ((_, fields),) = await command(store.redis, "XRANGE", store.keys.history, "-", "+")
    assert fields == [b"job", b"a", b"task", b"work", b"state", b"cancelled", b"attempt", b"0"]
