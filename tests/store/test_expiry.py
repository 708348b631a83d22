"""Jobs that wait no longer than they may: wherever they wait, they end at that instant, and nothing of them is left."""

import pytest

from runner.connection.client import command
from runner.jobs.job import Ending, Priority
from runner.limits import Quota
from runner.store.job_store import JobStore
from runner.store.keys import GROUP
from tests.store.builders import START_US, Clock, claim, crash, end, finish_all, ids, interval, job, jobs, publish
from tests.store.inside import commands, line_ids, scores, spoken_for, states, stream_ids, wakes

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
    assert await line_ids(store, "1|x") == ["c"]


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


async def test_a_running_job_is_left_alone(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a", max_wait=5)])
    (running,) = await claim(store)
    clock.advance(6)

    assert await store.expire() == (0, -1)
    assert await end(store, running) == "accepted"
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


async def make_a_claim(store: JobStore, clock: Clock) -> None:
    """A line has had its turn at the scarce `x` and lacks a token of `y`: nobody else takes the one of `x` that it waits with."""
    await publish(store, interval("x", every=50), interval("y", every=5))
    await store.submit([job("first", needs=["x"])])
    await finish_all(store, await claim(store))
    await store.submit([job("both", needs=["x", "y"], max_wait=52), job("other", needs=["x"], share="other")])
    clock.advance(48)
    assert (await store.take("take:y", "y=1", "1|y")).state == "taken"
    clock.advance(2)
    assert ids(await claim(store)) == []
    assert await store.redis.exists(store.keys.claims("x"))


async def test_a_claim_ends_with_the_last_job_of_its_line_when_that_expires(store: JobStore, clock: Clock) -> None:
    await make_a_claim(store, clock)
    clock.advance(2)

    assert await store.expire() == (1, -1)

    await claims_are_gone(store)
    assert ids(await claim(store)) == ["other"]


async def test_a_claim_ends_with_the_last_job_of_its_line_when_that_is_cancelled(store: JobStore, clock: Clock) -> None:
    await make_a_claim(store, clock)

    await store.cancel("both")

    await claims_are_gone(store)
    assert ids(await claim(store)) == ["other"]


async def claims_are_gone(store: JobStore) -> None:
    assert await store.redis.exists(store.keys.claims("x"), store.keys.claims("y"), store.keys.records) == 0


# Who is to expire


async def to_expire(store: JobStore) -> list[str]:
    return list(await scores(store, store.keys.expiring))


@pytest.mark.parametrize("limited", [False, True])
@pytest.mark.parametrize("ending", [Ending.succeeded, Ending.failed, Ending.cancelled])
async def test_a_job_that_starts_or_ends_is_not_to_expire_any_more(store: JobStore, limited: bool, ending: Ending) -> None:
    await publish(store, interval("x", capacity=5))
    await store.submit([job(name, needs=["x"] if limited else [], max_wait=3_600) for name in "abc"])
    assert await to_expire(store) == ["a", "b", "c"]

    (running,) = await claim(store, free=1)
    assert await to_expire(store) == ["b", "c"]
    await end(store, running, ending)
    await store.cancel("b")
    assert await to_expire(store) == ["c"]
    await finish_all(store, await claim(store))

    assert await to_expire(store) == []


@pytest.mark.parametrize("way", ["retry", "throttled", "returned", "reclaim", "reconcile", "late claim"])
async def test_a_job_that_is_to_wait_again_is_to_expire_again(store: JobStore, clock: Clock, way: str) -> None:
    await publish(store, interval("x", every=100))
    await store.submit([job("a", needs=["x"], max_wait=50)])
    (running,) = await claim(store)
    assert await to_expire(store) == []

    if way == "reclaim":
        await crash(store)
    elif way == "reconcile":
        await store.reconcile("w", [])
    elif way == "late claim":
        await command(store.redis, "XGROUP", "DESTROY", store.keys.stream(Priority.normal), GROUP)
        await command(store.redis, "ZREM", store.keys.workers, "w")
        assert await claim(store, worker="v") == []
    else:
        await end(store, running, Ending[way], delay=1, freeze="x" if way == "throttled" else "")

    assert await scores(store, store.keys.expiring) == {"a": START_US + 50 * S}
    clock.advance(50)
    assert await store.expire() == (1, -1)
    assert await states(store, ["a"]) == ["expired"]


async def test_a_job_that_fails_for_a_spent_quota_is_not_to_expire(store: JobStore) -> None:
    await publish(store, Quota("q", 1, per="day", on_exhausted="fail"))
    await store.submit([job(name, needs=["q"], max_wait=3_600) for name in "ab"])
    await finish_all(store, await claim(store))
    await store.refill()

    assert await states(store, ["a", "b"]) == ["succeeded", "failed"]
    assert await to_expire(store) == []


async def test_a_job_whose_record_is_damaged_is_not_to_expire(store: JobStore) -> None:
    await store.submit([job("a", max_wait=3_600)])
    await command(store.redis, "HDEL", store.keys.job("a"), "args")

    assert await claim(store) == []

    assert await to_expire(store) == []


async def test_a_job_retried_by_hand_waits_as_long_as_it_takes(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=100))
    await store.submit([job("a", needs=["x"]), job("b", needs=["x"], max_wait=5)])
    await finish_all(store, await claim(store))
    clock.advance(5)
    await store.expire()

    assert await store.retry("b") == "waiting"

    assert await to_expire(store) == []


async def test_a_deadline_costs_what_max_wait_does_and_one_write(store: JobStore) -> None:
    calls = list[int]()
    for prefix, options in (("first", {"max_wait": 1.0}), ("a", {"max_wait": 3_600.0}), ("b", {"deadline": 3_600.0})):
        before = await commands(store)
        await store.submit(jobs(50, prefix, **options))
        await finish_all(store, await claim(store))
        calls.append(await commands(store) - before)

    assert 45 <= calls[2] - calls[1] <= 60  # HSET of the deadline as it comes


async def test_a_job_without_max_wait_costs_no_command_for_it(store: JobStore) -> None:
    await publish(store, interval("x", capacity=500))
    calls = list[int]()
    for prefix, max_wait in (("a", 0.0), ("b", 3_600.0)):
        before = await commands(store)
        await store.submit(jobs(50, prefix, needs=["x"], max_wait=max_wait))
        await finish_all(store, await claim(store))
        calls.append(await commands(store) - before)

    # HSET and ZADD as it comes, ZREM as it starts; a busy machine claims in other portions, each with some commands of its own
    assert 140 <= calls[1] - calls[0] <= 160
