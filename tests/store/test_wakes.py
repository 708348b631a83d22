"""Wakes: every bucket with lines has one, at the instant at which it can serve, or it waits for an event that wakes it at once."""

import pytest

from runner.connection.client import command
from runner.jobs.job import Priority
from runner.limits import Concurrency, TokenBucket
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, crash, end, ids, interval, job, jobs, publish, slot
from tests.store.inside import commands, nudged, wakes

S = 1_000_000
TWO = Concurrency("x", 2)


async def test_a_paused_bucket_waits_for_nothing_but_to_be_resumed(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"))
    await store.pause("x", on=True, reason="")
    await store.submit(jobs(2, needs=["x"]))

    assert await store.refill() == (0, -1)
    clock.advance(86_400)
    assert await store.refill() == (0, -1)
    await nudged(store)
    await store.pause("x", on=False, reason="")

    assert await nudged(store)
    assert (await store.refill())[0] == 1


async def test_a_bucket_of_an_unknown_limit_waits_for_nothing_but_its_publication(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(2, needs=["x"]))
    assert await store.refill() == (0, -1)
    clock.advance(86_400)
    await nudged(store)

    await publish(store, interval("x"))

    assert await nudged(store)
    assert (await store.refill())[0] == 1


@pytest.mark.parametrize("event", ["end", "crash", "reconcile"])
async def test_who_waits_for_a_slot_is_woken_by_the_slot_alone(store: JobStore, clock: Clock, event: str) -> None:
    await publish(store, TWO)
    await store.submit(jobs(4, needs=[slot("x")]))
    running = await claim(store)
    clock.advance(61)  # when they came to wait, no worker had claimed the others yet
    assert await store.refill() == (0, -1)
    clock.advance(86_400)
    before = await commands(store)
    assert await store.refill() == (0, -1)
    assert await commands(store) - before < 8  # the look itself, and both readings of INFO
    await nudged(store)

    if event == "end":
        await end(store, running[0])
    elif event == "crash":
        await crash(store)
    else:
        await store.reconcile("w", running[:1])

    assert await nudged(store)
    assert list((await wakes(store)).values()) == [86_461 * S]


async def test_who_waits_for_a_slot_without_a_job_is_woken_when_it_lapses(store: JobStore, clock: Clock) -> None:
    await publish(store, TWO)
    for name in ("take:a", "take:b"):
        await store.take(name, "x=1!", "x", lapse_us=7 * S)
        clock.advance(1)
    await store.submit(jobs(1, needs=[slot("x")]))

    assert await store.refill() == (0, 5 * S)
    clock.advance(5)
    assert await store.refill() == (1, -1)


async def test_a_slot_reserved_for_a_job_that_vanished_is_free_a_minute_later(store: JobStore, clock: Clock) -> None:
    await publish(store, Concurrency("x", 1))
    await store.submit(jobs(2, needs=[slot("x")]))
    await command(store.redis, "DEL", store.keys.stream(Priority.normal), store.keys.job("j0"))

    assert await store.refill() == (0, 60 * S + 1)
    clock.advance_us(60 * S + 1)
    assert await store.refill() == (1, -1)
    assert ids(await claim(store)) == ["j1"]


async def test_the_end_of_an_override_wakes_who_waits_for_a_slot(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="1/s", burst=5))
    await store.override("x", Concurrency("x", 1).to_json(), 10 * S, "test")
    await store.submit(jobs(2, needs=["x"]))
    await claim(store)

    assert await store.refill() == (0, 10 * S)
    clock.advance(10)
    assert (await store.refill())[0] == 1


async def test_a_wake_at_an_instant_comes_before_any_that_waits_for_an_event(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("y", every=3))
    await store.submit([job("a", needs=["x"]), *jobs(2, needs=["y"])])
    await claim(store)

    assert await store.refill() == (0, 3 * S)
    clock.advance(3)
    assert await store.refill() == (1, -1)
    assert ids(await claim(store)) == ["j1"]
