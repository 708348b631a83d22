"""retry: an ended job runs again, once, whatever it had left behind."""

import pytest

from runner.connection.client import command
from runner.jobs.job import Ending
from runner.limits import Concurrency
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, end, fail_all, finish_all, ids, interval, job, jobs, publish, read, slot
from tests.store.inside import scores, spoken_for, states, stream_ids


async def test_a_dead_letter_runs_again_with_a_clean_record(store: JobStore) -> None:
    await store.submit([job("a")])
    (first,) = await claim(store)
    await end(store, first, Ending.retry)
    await store.promote()
    await fail_all(store, await claim(store))
    assert await command(store.redis, "PTTL", store.keys.job("a")) > 0

    assert await store.retry("a") == "queued"

    assert await scores(store, store.keys.failed) == {}
    assert await command(store.redis, "PTTL", store.keys.job("a")) == -1
    (again,) = await claim(store)
    assert (again.attempt, again.failures) == (3, 0)
    assert await end(store, first) == "stale"
    await finish_all(store, [again])
    (status,) = await store.get(["a"])
    assert status is not None
    assert (status.state, status.error) == ("succeeded", None)


async def test_a_retry_that_is_repeated_starts_the_job_once(store: JobStore) -> None:
    await store.submit([job("a")])
    await fail_all(store, await claim(store))

    assert [await store.retry("a") for _ in range(3)] == ["queued"] * 3

    assert await stream_ids(store) == ["a"]


async def test_only_what_has_ended_without_success_runs_again(store: JobStore) -> None:
    await store.submit([job("waits", delay=9), job("runs"), job("done")])
    first, second = await claim(store)
    await finish_all(store, [second])

    assert [await store.retry(name) for name in ("waits", first.id, second.id, "nobody")] == [
        "scheduled",
        "running",
        "succeeded",
        None,
    ]


async def test_it_goes_to_the_end_of_its_line(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"))
    await store.submit(jobs(3, needs=["x"]))
    await fail_all(store, await claim(store))

    assert await store.retry("j0") == "waiting"

    order = []
    for _ in range(3):
        clock.advance(1)
        started = await claim(store)
        order += ids(started)
        await finish_all(store, started)
    assert order == ["j1", "j2", "j0"]


@pytest.mark.parametrize("how", ["cancel", "expire"])
@pytest.mark.parametrize("limited", [True, False])
async def test_a_job_that_ended_on_a_stream_and_runs_again_starts_once(store: JobStore, clock: Clock, how: str, limited: bool) -> None:
    await publish(store, interval("x", capacity=3))
    await store.submit([job("a", needs=["x"] if limited else [], max_wait=5)])
    if how == "expire":
        clock.advance(5)
        await store.expire()
    else:
        await store.cancel("a")

    assert await store.retry("a") == "queued"

    assert await stream_ids(store) == ["a"]
    assert ids(await claim(store)) == ["a"]
    assert await claim(store) == []
    assert await spoken_for(store, "x") == (0, 0)


@pytest.mark.parametrize("met_by", ["claim", "reclaim", "reconcile"])
async def test_an_entry_that_was_dropped_meanwhile_does_not_keep_the_job_from_running_again(
    store: JobStore, clock: Clock, met_by: str
) -> None:
    await publish(store, interval("x", capacity=3))
    await store.enlist("w", "{}")
    await store.submit([job("a", needs=["x"])])
    held = await read(store, "w", 1, 0.01)
    await store.cancel("a")
    if met_by == "claim":
        assert await claim(store, held=held) == []
    elif met_by == "reconcile":
        await store.reconcile("w", [])
    else:
        await command(store.redis, "ZADD", store.keys.workers, 1, "w")
        await store.reclaim()
    assert await stream_ids(store) == []

    assert await store.retry("a") == "queued"

    assert ids(await claim(store, worker="v")) == ["a"]
    assert await spoken_for(store, "x") == (0, 0)


async def test_the_time_to_wait_of_the_first_run_does_not_end_the_second(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a", max_wait=5)])
    clock.advance(5)
    assert await claim(store) == []

    await store.retry("a")

    assert await store.expire() == (0, -1)
    assert ids(await claim(store)) == ["a"]


async def test_a_cancelled_running_job_gives_its_slot_back_and_takes_another(store: JobStore) -> None:
    await publish(store, Concurrency("c", 1))
    await store.submit([job("a", needs=[slot("c")])])
    (running,) = await claim(store)
    await store.cancel("a")
    await end(store, running, Ending.cancelled)

    await store.retry("a")

    (again,) = await claim(store)
    assert list(await scores(store, store.keys.holders("c"))) == ["1:a#2"]
    assert await end(store, running) == "stale"
    await finish_all(store, [again])
    assert await states(store, ["a"]) == ["succeeded"]
