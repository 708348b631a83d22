"""Entries that are easily taken for one another: equal ids on two streams, and one entry delivered twice."""

from itertools import count

from runner.jobs.job import Priority
from runner.store.claims import ClaimRequest
from runner.store.job_store import JobStore
from runner.store.keys import GROUP
from tests.store.builders import Clock, claim, enlist, finish_all, interval, job, publish, read, succeeded
from tests.store.inside import pending_count, spoken_for, states, stream_ids


async def test_of_two_entries_with_the_same_id_only_the_one_in_hand_is_kept(store: JobStore, clock: Clock) -> None:
    for number in count():  # an id is the millisecond, and another one can begin between the two
        names = [f"urgent-{number}", f"other-{number}"]
        await store.submit([job(names[0], priority=Priority.high), job(names[1], priority=Priority.low)])
        urgent, other = await claim(store)
        if urgent.entry == other.entry:
            break
        await finish_all(store, [urgent, other])

    assert await store.reconcile("w", [urgent]) == 1

    assert await states(store, names) == ["running", "queued"]


async def test_an_entry_delivered_again_is_left_to_the_worker_that_runs_it(store: JobStore, clock: Clock) -> None:
    await enlist(store, "runs", "reads")
    await store.submit([job("j")])
    (running,) = await claim(store, worker="runs")
    await store.redis.xgroup_destroy(store.keys.stream(Priority.normal), GROUP)

    assert await claim(store, worker="reads") == []

    assert (await pending_count(store, "runs"), await pending_count(store, "reads")) == (1, 0)
    assert await store.finish("runs", [succeeded(running)]) == ["accepted"]
    assert await stream_ids(store) == []


async def test_an_entry_delivered_again_after_its_worker_is_gone_starts_again(store: JobStore, clock: Clock) -> None:
    await store.submit([job("j")])
    await claim(store, worker="runs")
    await store.redis.xgroup_destroy(store.keys.stream(Priority.normal), GROUP)
    clock.advance(60)
    await store.reclaim()

    (again,) = await claim(store, worker="reads")

    assert (again.id, again.attempt) == ("j", 2)


async def test_a_claim_that_arrives_after_its_worker_gave_all_back_strands_no_job(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=5, every=60))
    await store.submit([job("j", needs=["x"])])
    await enlist(store, "slow")
    held = await read(store, "slow", 1)
    await store.reconcile("slow", [])  # the claim sent before it was given up, and comes only now
    await store.claim("slow", ClaimRequest(1, held))

    (started,) = await claim(store, worker="other")

    assert (started.id, started.attempt) == ("j", 2)
    assert await store.finish("other", [succeeded(started)]) == ["accepted"]
    assert await spoken_for(store, "x") == (0, 0)
