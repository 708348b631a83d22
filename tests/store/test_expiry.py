"""Jobs that wait no longer than they may: wherever they wait, they end at that instant, and nothing of them is left."""

import pytest

from runner.jobs.job import Ending
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, end, finish_all, ids, interval, job, publish
from tests.store.inside import line_ids, scores, spoken_for, states, stream_ids, wakes

S = 1_000_000


@pytest.mark.parametrize("on_expiry", ["expire", "fail"])
async def test_a_job_in_line_ends_at_its_instant(store: JobStore, clock: Clock, on_expiry: str) -> None:
    await publish(store, interval("x", every=100))
    await store.submit([job("a", needs=["x"]), job("b", needs=["x"], max_wait=5, on_expiry=on_expiry), job("c", needs=["x"])])
    await claim(store)
    assert await store.expire() == (0, 5 * S)
    clock.advance_us(5 * S - 1)
    assert await store.expire() == (0, 1)
    clock.advance_us(1)

    assert await store.expire() == (1, -1)
    assert await store.expire() == (0, -1)

    assert await states(store, ["b", "c"]) == ["failed" if on_expiry == "fail" else "expired", "waiting"]
    assert list(await scores(store, store.keys.failed)) == (["b"] if on_expiry == "fail" else [])
    assert await line_ids(store, "x") == ["c"]


async def test_the_last_of_a_line_takes_the_line_with_it(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=100))
    await store.submit([job("a", needs=["x"]), job("b", needs=["x"], max_wait=5)])
    await claim(store)
    clock.advance(5)
    await store.expire()
    clock.advance(95)
    await store.refill()

    assert await wakes(store) == {}


async def test_a_delay_does_not_count_as_waiting(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a", delay=10, max_wait=5)])
    clock.advance(10)
    assert await store.expire() == (0, 5 * S)
    await store.promote()

    assert ids(await claim(store)) == ["a"]


async def test_a_delayed_job_that_is_promoted_too_late_expires(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a", delay=1, max_wait=5)])
    clock.advance(6)

    assert await store.expire() == (1, -1)
    assert await store.promote() == (0, -1)
    assert await states(store, ["a"]) == ["expired"]


async def test_a_job_on_its_way_is_not_started_after_its_instant(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=2))
    await store.submit([job("a", needs=["x"], max_wait=5), job("b", max_wait=5), job("c", needs=["x"])])
    clock.advance(5)

    assert ids(await claim(store)) == ["c"]

    assert await states(store, ["a", "b"]) == ["expired", "expired"]
    assert await spoken_for(store, "x") == (0, 0)
    assert await store.expire() == (0, -1)


async def test_a_job_that_expired_on_a_stream_is_dropped_by_the_claim_that_meets_it(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=2))
    await store.submit([job("a", needs=["x"], max_wait=5)])
    clock.advance(5)
    assert await store.expire() == (1, -1)

    assert await claim(store) == []
    assert await stream_ids(store) == []
    assert await spoken_for(store, "x") == (0, 0)


async def test_a_running_job_is_left_alone_and_looked_at_again(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a", max_wait=5)])
    (running,) = await claim(store)
    clock.advance(5)

    assert await store.expire() == (0, 10 * S)
    assert await end(store, running) == "accepted"
    clock.advance(10)
    assert await store.expire() == (0, -1)
    assert await states(store, ["a"]) == ["succeeded"]


async def test_a_job_that_comes_back_to_wait_expires(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"))
    await store.submit([job("a", needs=["x"], max_wait=5)])
    (running,) = await claim(store)
    clock.advance(4)
    await end(store, running, Ending.throttled, delay=60, freeze="x")
    clock.advance(1)

    assert await store.expire() == (1, -1)
    assert await states(store, ["a"]) == ["expired"]


async def hold_a_place(store: JobStore, clock: Clock) -> None:
    """A line that has its turn at the scarce `x` goes to wait for `y`, and holds its place at `x` meanwhile."""
    await publish(store, interval("x", every=50), interval("y", every=5))
    await store.submit([job("first", needs=["x"])])
    await finish_all(store, await claim(store))
    await store.submit([job("both", needs=["x", "y"], max_wait=52)])
    clock.advance(48)
    assert (await store.take("take:y", "y=1", "y")).state == "taken"
    clock.advance(2)
    await store.refill()
    assert await holds(store) == 1
    assert await spoken_for(store, "x") == (1, 1)


async def test_a_line_that_holds_its_place_elsewhere_lets_go_when_its_last_job_expires(store: JobStore, clock: Clock) -> None:
    await hold_a_place(store, clock)
    clock.advance(2)

    assert await store.expire() == (1, -1)

    assert await holds(store) == 0
    assert await spoken_for(store, "x") == (0, 0)
    await store.submit([job("other", needs=["x"])])
    assert ids(await claim(store)) == ["other"]


async def test_a_line_that_holds_its_place_elsewhere_lets_go_when_its_last_job_is_cancelled(store: JobStore, clock: Clock) -> None:
    await hold_a_place(store, clock)

    await store.cancel("both")

    assert await holds(store) == 0
    assert await spoken_for(store, "x") == (0, 0)
    await store.submit([job("other", needs=["x"])])
    assert ids(await claim(store)) == ["other"]


async def holds(store: JobStore) -> int:
    """How many lines hold a place at one bucket while they wait at another."""
    return int(await store.redis.hlen(store.keys.holds))
