"""claim: what is ready starts, in order, within the free slots, and only with its tokens taken."""

import pytest

from runner.connection.client import command
from runner.errors import LeaseLost
from runner.jobs.job import Priority
from runner.limits import BucketState, Concurrency, Limit
from runner.store.claimed import Claimed
from runner.store.claims import ClaimRequest
from runner.store.job_store import JobStore
from runner.store.keys import GROUP
from runner.store.portions import MOST_PER_CALL
from tests.store.builders import START_US, Clock, claim, enlist, finish_all, ids, interval, job, jobs, make_store, publish, read, slot
from tests.store.inside import bucket_state, line_ids, pending_count, spoken_for, states, stream_ids


async def test_jobs_start_in_the_order_they_came(store: JobStore) -> None:
    await store.submit(jobs(5))

    assert ids(await claim(store)) == ["j0", "j1", "j2", "j3", "j4"]


async def test_a_started_job_knows_all_its_handler_needs(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a", task="pay", args=b'{"n":1}', priority=Priority.low)])

    (started,) = await claim(store)

    assert (started.id, started.task, started.args, started.attempt, started.failures) == ("a", "pay", b'{"n":1}', 1, 0)
    assert started.priority == Priority.low
    (status,) = await store.get(["a"])
    assert status is not None
    assert (status.state, status.attempt, status.started_at) == ("running", 1, START_US / 1e6)


async def test_higher_priorities_start_first(store: JobStore) -> None:
    await store.submit([job(f"{priority.name}{n}", priority=priority) for n in range(2) for priority in reversed(Priority)])

    assert ids(await claim(store)) == ["high0", "high1", "normal0", "normal1", "low0", "low1"]


async def test_no_more_start_than_there_are_free_slots(store: JobStore) -> None:
    await store.submit([job(f"{priority.name}{n}", priority=priority) for n in range(2) for priority in Priority])

    before = await command(store.redis, "XRANGE", store.keys.stream(Priority.low), "-", "+")

    assert ids(await claim(store, free=3)) == ["high0", "high1", "normal0"]

    assert await pending_count(store, "w") == 3
    assert await command(store.redis, "XRANGE", store.keys.stream(Priority.low), "-", "+") == before  # not taken out and put back
    assert ids(await claim(store, free=9)) == ["normal1", "low0", "low1"]


async def test_two_workers_never_start_the_same_job(store: JobStore) -> None:
    await store.submit(jobs(4))

    assert ids(await claim(store, free=2, worker="a")) == ["j0", "j1"]
    assert ids(await claim(store, worker="b")) == ["j2", "j3"]
    assert await claim(store, worker="a") == []


async def test_a_claim_without_work_says_when_to_come_again(store: JobStore, clock: Clock) -> None:
    await enlist(store, "w")
    assert await store.claim("w", ClaimRequest(1, read_more=True)) == Claimed([], -1, 0)
    await publish(store, interval("x", every=10))
    await store.submit(jobs(2, needs=["x"]))
    await claim(store)

    clock.advance(4)
    assert await store.claim("w", ClaimRequest(1, read_more=True)) == Claimed([], 6_000_000, 0)
    clock.advance(7)
    claimed = await store.claim("w", ClaimRequest(1, read_more=True))
    assert ids(claimed.jobs) == ["j1"]


# Held entries: what a blocking read brought


async def test_held_entries_start(store: JobStore) -> None:
    await store.submit([job("low", priority=Priority.low), job("high", priority=Priority.high)])
    await enlist(store, "w")
    held = await read(store, "w", 10)

    assert await states(store, ["low", "high"]) == ["queued", "queued"]
    assert ids(await claim(store, held=held, more=False)) == ["high", "low"]


async def test_only_what_is_held_starts_unless_more_is_asked_for(store: JobStore) -> None:
    await store.submit(jobs(3))
    await enlist(store, "w")
    held = await read(store, "w", 1)

    assert ids(await claim(store, held=held, more=False)) == ["j0"]
    assert ids(await claim(store)) == ["j1", "j2"]


async def test_more_held_than_slots_go_back_and_are_not_lost(store: JobStore) -> None:
    await publish(store, interval("x", capacity=5, every=60))
    await store.submit([job("high", priority=Priority.high), job("limited", needs=["x"]), job("low", priority=Priority.low)])
    await enlist(store, "w")
    held = await read(store, "w", 1)

    assert ids(await claim(store, free=1, held=held)) == ["high"]

    assert await pending_count(store, "w") == 1
    assert await spoken_for(store, "x") == (1, 1)
    assert (await bucket_state(store, "x")).deficit == 0
    assert ids(await claim(store)) == ["limited", "low"]


async def test_a_held_job_cancelled_meanwhile_is_dropped_and_its_token_is_free(store: JobStore) -> None:
    await publish(store, interval("x", every=3600))
    await store.submit([job("a", needs=["x"])])
    await enlist(store, "w")
    held = await read(store, "w", 1)
    await store.cancel("a")

    claimed = await store.claim("w", ClaimRequest(1, held))

    assert (claimed.jobs, claimed.dropped) == ([], 0)
    assert await stream_ids(store) == []
    assert await spoken_for(store, "x") == (0, 0)


# Garbage


async def test_garbage_on_the_streams_is_dropped_and_counted(store: JobStore) -> None:
    stream = store.keys.stream(Priority.normal)
    await command(store.redis, "XADD", stream, "*", "nonsense", "1")
    await command(store.redis, "XADD", stream, "*", "id", "never-was")
    await command(store.redis, "XADD", stream, "*", "id", "")
    await command(store.redis, "XADD", stream, "*", "other", "1", "id", "a")
    await store.submit([job("real")])
    await enlist(store, "w")

    claimed = await store.claim("w", ClaimRequest(10, read_more=True))

    assert (ids(claimed.jobs), claimed.dropped) == (["real"], 4)
    assert await stream_ids(store) == ["real"]
    assert await pending_count(store, "w") == 1


async def test_held_garbage_is_dropped_and_counted(store: JobStore) -> None:
    await command(store.redis, "XADD", store.keys.stream(Priority.high), "*", "nonsense", "1")
    await command(store.redis, "XADD", store.keys.stream(Priority.low), "*", "id", "never-was")
    await enlist(store, "w")
    held = await read(store, "w", 10)

    assert (await store.claim("w", ClaimRequest(10, held))).dropped == 2
    assert await stream_ids(store) == []
    assert await pending_count(store, "w") == 0


async def test_garbage_takes_no_slot(store: JobStore) -> None:
    await command(store.redis, "XADD", store.keys.stream(Priority.normal), "*", "nonsense", "1")
    await store.submit([job("real", priority=Priority.low)])

    assert ids(await claim(store, free=1)) == ["real"]


async def test_thousands_of_cancelled_jobs_are_dropped_in_several_claims(store: JobStore) -> None:
    await store.submit(jobs(10_000))
    for at in range(0, 10_000, 500):
        async with store.redis.pipeline(transaction=False) as pipeline:
            for number in range(at, at + 500):
                pipeline.hset(store.keys.job(f"j{number}"), "state", "cancelled")
                pipeline.pexpire(store.keys.job(f"j{number}"), 60_000)
            await pipeline.execute()
    await store.submit([job("real", priority=Priority.low)])

    calls = 0
    while not (started := await claim(store, free=20_000)):
        calls += 1
        assert calls <= 10_000 / MOST_PER_CALL + 1
    assert ids(started) == ["real"]
    assert await stream_ids(store) == ["real"]


async def test_a_stream_or_group_deleted_by_hand_is_made_again(store: JobStore) -> None:
    await enlist(store, "w")
    await command(store.redis, "DEL", store.keys.stream(Priority.high))
    await command(store.redis, "XGROUP", "DESTROY", store.keys.stream(Priority.normal), GROUP)
    await store.submit([job("high", priority=Priority.high), job("normal")])

    claimed = await store.claim("w", ClaimRequest(10, read_more=True))

    assert ids(claimed.jobs) == ["high", "normal"]


# The lease


async def test_a_worker_nobody_knows_starts_nothing(store: JobStore) -> None:
    await store.submit([job("a")])

    with pytest.raises(LeaseLost, match="the lease of worker w has lapsed; its jobs were given to others"):
        await store.claim("w", ClaimRequest(1, read_more=True))

    assert await states(store, ["a"]) == ["queued"]


async def test_a_worker_whose_jobs_were_taken_back_starts_nothing(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a")])
    await enlist(store, "w")
    held = await read(store, "w", 1)
    clock.advance(11)
    await store.reclaim()

    with pytest.raises(LeaseLost):
        await store.claim("w", ClaimRequest(1, held, read_more=True))

    assert ids(await claim(store, worker="v")) == ["a"]


# Limits


async def test_a_start_takes_its_tokens(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=10, every=60), interval("y", capacity=10, every=60))
    clock.advance(5)
    await store.submit([job("a", needs=[("x", 3), ("y", 1)])])
    assert await bucket_state(store, "x") == BucketState(0, clock.now_us)

    await claim(store)

    assert await bucket_state(store, "x") == BucketState(3, clock.now_us)
    assert await bucket_state(store, "y") == BucketState(1, clock.now_us)
    assert await spoken_for(store, "x") == (0, 0)


async def test_all_tokens_are_taken_or_none(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("a", capacity=9, every=60), interval("b", every=60), interval("c", capacity=9, every=60))
    await store.submit(jobs(3, needs=["a", "b", "c"]))

    assert ids(await claim(store)) == ["j0"]

    assert [(await bucket_state(store, bucket)).deficit for bucket in "abc"] == [1, 1, 1]
    assert await states(store, ["j1", "j2"]) == ["waiting", "waiting"]


async def test_a_job_whose_token_is_gone_after_all_goes_back_to_the_head_of_its_line(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=2, every=60))
    await store.submit(jobs(4, needs=["x"]))
    assert await stream_ids(store) == ["j0", "j1"]
    await publish(store, interval("x", capacity=1, every=60))

    assert ids(await claim(store)) == ["j0"]

    assert await line_ids(store, "1|x") == ["j1", "j2", "j3"]
    assert await stream_ids(store) == ["j0"]
    clock.advance(60)
    assert ids(await claim(store)) == ["j1"]


async def test_without_its_policy_a_limit_lets_nothing_through_and_loses_nothing(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=10))
    await store.submit(jobs(3, needs=["x"]))
    await command(store.redis, "DEL", store.keys.limits)

    assert await claim(store) == []
    assert await states(store, ["j0", "j1", "j2"]) == ["waiting"] * 3

    await publish(store, interval("x", capacity=10))
    assert ids(await claim(store)) == ["j0", "j1", "j2"]


class Lunar(Limit):
    """A kind that only a newer version knows."""

    kind = "lunar"
    rate = "1/moon"
    period_us = 1

    def fields(self) -> dict[str, object]:
        return {}


async def test_a_kind_of_limit_this_version_does_not_know_lets_nothing_through(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=5))
    await store.submit(jobs(2, needs=["x"]))
    await publish(store, Lunar("x", 5, None))
    await command(store.redis, "DEL", store.keys.bucket("x"))  # as when it expires before they are claimed

    assert await claim(store) == []
    await store.refill()

    assert await states(store, ["j0", "j1"]) == ["waiting", "waiting"]
    await publish(store, interval("x", capacity=5))
    assert ids(await claim(store)) == ["j0", "j1"]


async def test_starts_are_logged_when_asked_for(redis_url: str, queue: str, clock: Clock) -> None:
    store = make_store(redis_url, queue, clock, record_starts=True)
    await publish(store, interval("x", capacity=5))
    await store.submit([job("a", needs=[("x", 2)]), job("b")])
    await finish_all(store, await claim(store))

    starts = await store.starts()
    await command(store.redis, "DEL", store.keys.starts)
    await store.close()
    assert [(start.job, start.attempt, start.at_us) for start in starts] == [("a", 1, START_US), ("b", 1, START_US)]


async def test_a_job_whose_start_fails_is_a_dead_letter_and_the_others_start(store: JobStore) -> None:
    """The slots of its limit are of another type, which only its start meets."""
    await publish(store, Concurrency("c", 3))
    await store.submit([job("a"), job("bad", needs=[slot("c")]), job("b")])
    await command(store.redis, "SET", store.keys.holders("c"), "text")

    assert ids(await claim(store)) == ["a", "b"]

    (status,) = await store.get(["bad"])
    assert status is not None
    assert (status.state, status.error and status.error.type) == ("failed", "damaged")
    assert status.error is not None
    assert "WRONGTYPE" in status.error.message
    await command(store.redis, "DEL", store.keys.holders("c"))
