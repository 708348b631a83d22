"""reconcile: whatever a worker does not have in hand goes back, with what it had taken, and no limit is exceeded by that."""

from typing import Any

import pytest

from runner.connection.client import command
from runner.jobs.job import Priority
from runner.limits import BucketState, TokenBucket
from runner.store.job_store import JobStore
from runner.store.portions import MOST_PER_CALL
from tests.starts import Starts
from tests.store.builders import START_US, Clock, claim, enlist, finish_all, ids, interval, job, jobs, publish, read, succeeded
from tests.store.inside import all_keys, bucket_state, consumers, nudged, pending_count, spoken_for, states, stream_ids


async def test_jobs_of_a_lost_claim_reply_start_again(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(3))
    await claim(store)  # the reply is lost

    assert await store.reconcile("w", []) == 3
    again = await claim(store)

    assert ids(again) == ["j0", "j1", "j2"]
    assert [one.attempt for one in again] == [2, 2, 2]


async def test_what_is_in_hand_stays_in_hand(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(3))
    first, *_ = await claim(store, free=1)
    await claim(store, free=2)  # the reply is lost

    assert await store.reconcile("w", [first]) == 2

    assert await states(store, ["j0", "j1", "j2"]) == ["running", "queued", "queued"]
    assert await store.finish("w", [succeeded(first)]) == ["accepted"]


async def test_thousands_of_entries_are_compared_in_calls_that_follow_each_other(
    store: JobStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three priorities; what is in hand stays wherever the calls meet, and so do entries with the same id on two streams."""
    count = 3 * MOST_PER_CALL
    for priority in Priority:
        await store.submit(jobs(count, f"{priority.name}-", priority=priority))
    started = [one for _ in range(9) for one in await claim(store, free=MOST_PER_CALL)]
    lost = set(ids(started[::7]))
    run, calls = store._run, []

    async def noting(name: str, /, *args: Any, **arguments: Any) -> Any:
        calls.append(name)
        return await run(name, *args, **arguments)

    monkeypatch.setattr(store, "_run", noting)
    assert await store.reconcile("w", [one for one in started if one.id not in lost]) == len(lost)

    assert 3 * count / MOST_PER_CALL <= len(calls) <= 3 * count / MOST_PER_CALL + len(lost) / 20
    again = [one for _ in range(2) for one in await claim(store, free=MOST_PER_CALL)]
    assert sorted(ids(again)) == sorted(lost)
    await store.reconcile("w", [one for one in started if one.id not in lost])
    assert await pending_count(store, "w") == 3 * count - len(lost)


async def test_a_worker_that_signs_off_gives_everything_back_before_it_is_removed(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(2 * MOST_PER_CALL))
    for _ in range(2):
        await claim(store, free=MOST_PER_CALL)

    assert await store.reconcile("w", [], leave=True) == 2 * MOST_PER_CALL

    assert await consumers(store) == set()
    assert len(await stream_ids(store)) == 2 * MOST_PER_CALL


async def test_reconciling_twice_gives_back_once(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(3))
    await claim(store)

    assert await store.reconcile("w", []) == 3
    assert await store.reconcile("w", []) == 0

    assert await stream_ids(store) == ["j0", "j1", "j2"]


async def test_entries_of_a_lost_blocking_read_go_back(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=5))
    await store.submit([job("free"), job("limited", needs=["x"])])
    await enlist(store, "w")
    await read(store, "w", 10)  # the reply is lost

    assert await store.reconcile("w", []) == 2

    assert await stream_ids(store) == ["free", "limited"]
    assert await spoken_for(store, "x") == (1, 1)


async def test_an_outcome_of_a_reconciled_attempt_is_stale(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a")])
    started = await claim(store)
    await store.reconcile("w", [])

    assert await store.finish("w", [succeeded(started[0])]) == ["stale"]
    assert await states(store, ["a"]) == ["queued"]


@pytest.mark.parametrize(
    "limit", [TokenBucket("x", rate="5/s", burst=5), interval("x", capacity=5, refill=5, every=10)], ids=["smooth", "interval"]
)
async def test_tokens_of_a_claim_lost_and_given_back_at_once_are_all_there_again(store: JobStore, clock: Clock, limit: TokenBucket) -> None:
    await publish(store, limit)
    await store.submit(jobs(4, needs=["x"]))
    await claim(store)

    await store.reconcile("w", [])

    assert (await bucket_state(store, "x")).deficit == 0
    assert len(await claim(store)) == 4


async def test_a_full_bucket_is_full_again_and_no_more_than_that(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="5/s", burst=5))
    await store.submit(jobs(4, needs=["x"]))
    await claim(store)
    clock.advance(0.5)

    await store.reconcile("w", [])

    assert await bucket_state(store, "x") == BucketState(0, clock.now_us)


async def test_what_came_back_by_itself_is_not_given_back_again(store: JobStore, clock: Clock) -> None:
    limit = TokenBucket("x", rate="10/s", burst=10)
    starts = Starts()
    await publish(store, limit)
    await store.submit(jobs(10, "lost", needs=["x"]))
    await claim(store, worker="a")  # the reply is lost
    await store.submit(jobs(40, "b", needs=["x"]))
    clock.advance(1)
    starts.add_all(clock.now_us, await claim(store, worker="b"))
    clock.advance(0.7)
    await store.reconcile("a", [])
    for _ in range(3):
        starts.add_all(clock.now_us, await claim(store, worker="b"))

    assert len(starts.at_us) == 17
    assert starts.excess(limit) == 0


async def test_a_refund_within_an_interval_never_adds_to_the_refill_at_its_end(store: JobStore, clock: Clock) -> None:
    limit = interval("x", capacity=10, refill=10, every=10)
    starts = Starts()
    await publish(store, limit)
    await store.submit([job("lost", needs=["x"])])
    await claim(store, worker="a")  # the reply is lost; the interval counts from here
    await store.submit(jobs(40, "b", needs=["x"]))
    clock.advance(9.999)
    starts.add_all(clock.now_us, await claim(store, worker="b"))
    await store.reconcile("a", [])
    starts.add_all(clock.now_us, await claim(store, worker="b"))
    clock.advance(0.001)
    starts.add_all(clock.now_us, await claim(store, worker="b"))

    assert len(starts.at_us) == 19
    assert starts.excess(limit) == 0


async def test_tokens_given_back_wake_those_who_wait_for_them(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=2, every=3600))
    await store.submit(jobs(2, "lost", needs=["x"]))
    await claim(store)
    await store.submit([job("next", needs=["x"])])
    await nudged(store)

    await store.reconcile("w", [])

    assert await nudged(store)
    started = await claim(store)
    assert len(started) == 2
    assert started[0].id.startswith("lost")


async def test_a_job_cancelled_after_the_lost_reply_does_not_start_again(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a"), job("b")])
    await claim(store)
    assert await store.cancel("a") == "stopping"

    assert await store.reconcile("w", []) == 1

    assert await states(store, ["a", "b"]) == ["cancelled", "queued"]
    assert ids(await claim(store)) == ["b"]


async def test_the_token_of_a_job_cancelled_after_the_lost_reply_goes_to_those_who_wait(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=3600))
    await store.submit([job("lost", needs=["x"]), job("next", needs=["x"])])
    await claim(store)
    await store.cancel("lost")
    await nudged(store)

    assert await store.reconcile("w", []) == 0

    assert await nudged(store)
    assert ids(await claim(store)) == ["next"]


async def test_a_job_cancelled_while_held_gives_up_its_place_in_the_window(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=86_400))
    await store.submit([job("a", needs=["x"])])
    await enlist(store, "w")
    await read(store, "w", 1)
    await store.cancel("a")

    assert await store.reconcile("w", []) == 0

    assert await spoken_for(store, "x") == (0, 0)


async def test_garbage_in_hand_of_nobody_is_removed(store: JobStore, clock: Clock) -> None:
    await enlist(store, "w")
    await command(store.redis, "XADD", store.keys.stream(Priority.normal), "*", "nonsense", "1")
    await command(store.redis, "XADD", store.keys.stream(Priority.normal), "*", "id", "never-was")
    await read(store, "w", 10)

    assert await store.reconcile("w", []) == 0

    assert await stream_ids(store) == []
    assert await pending_count(store, "w") == 0


async def test_an_entry_of_a_job_that_another_worker_runs_is_only_removed(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a")])
    (started,) = await claim(store, worker="v")
    await enlist(store, "w")
    await command(store.redis, "XADD", store.keys.stream(Priority.normal), "*", "id", "a")
    assert len(await read(store, "w", 1)) == 1

    assert await store.reconcile("w", []) == 0

    assert await stream_ids(store) == ["a"]
    assert await store.finish("v", [succeeded(started)]) == ["accepted"]


async def test_leaving_signs_off(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(2))
    await enlist(store, "other")
    first, *_ = await claim(store, free=1)
    await finish_all(store, [first])

    await store.reconcile("w", [], leave=True)

    assert [worker.id for worker in await store.workers()] == ["other"]
    assert await consumers(store) == set()
    assert store.keys.worker("w") not in await all_keys(store)


async def test_leaving_with_something_in_hand_leaves_it_to_reclaim(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(2))
    first, *_ = await claim(store)

    assert await store.reconcile("w", [first], leave=True) == 1

    assert await consumers(store) == {"w"}
    clock.advance(11)
    assert await store.reclaim() == (1, 1, 0)
    assert await states(store, ["j0", "j1"]) == ["queued", "queued"]


async def test_leaving_twice_is_leaving_once(store: JobStore, clock: Clock) -> None:
    await enlist(store, "w")

    assert await store.reconcile("w", [], leave=True) == 0
    assert await store.reconcile("w", [], leave=True) == 0


async def test_a_lost_claim_of_an_interval_bucket_keeps_the_phase_of_its_refill(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=5, refill=1, every=10))
    await store.submit(jobs(2, needs=["x"]))
    await finish_all(store, await claim(store))
    clock.advance(4)
    await store.submit([job("lost", needs=["x"])])
    await claim(store)

    await store.reconcile("w", [])

    assert await bucket_state(store, "x") == BucketState(2, START_US)
