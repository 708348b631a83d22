"""Concurrency: what is held comes back once, however its holder ends, and nothing leaks a slot."""

import pytest
from redis.asyncio import Redis

from runner.jobs.job import Ending
from runner.jobs.submission import Submission
from runner.limits import Concurrency, TokenBucket
from runner.store.claims import ClaimRequest
from runner.store.job_store import JobStore
from tests.store.builders import (
    PLAIN_ENDINGS,
    Clock,
    claim,
    crash,
    end,
    enlist,
    finish_all,
    fresh_store,
    ids,
    interval,
    job,
    jobs,
    publish,
    read,
    slot,
)
from tests.store.inside import field, forgotten_at, scores, states

TWO = Concurrency("x", 2)


def holding(count: int, prefix: str = "j") -> list[Submission]:
    return jobs(count, prefix, needs=[slot("x")])


async def used(store: JobStore, bucket: str = "x") -> int:
    """What is held; the sum and the holders must always agree."""
    held = sum(int(member.partition(":")[0]) for member in await scores(store, store.keys.holders(bucket)))
    assert await field(store, bucket, "used") == held
    return held


async def test_never_more_than_the_capacity_hold_at_once(store: JobStore) -> None:
    await publish(store, TWO)
    await store.submit(holding(5))

    assert ids(await claim(store)) == ["j0", "j1"]
    assert await claim(store) == []
    assert await used(store) == 2
    (status,) = await store.get(["j4"])
    assert status is not None
    assert (status.state, status.reason, status.limit, status.position, status.eta_s) == ("waiting", "concurrency", "x", 3, None)


@pytest.mark.parametrize("ending", PLAIN_ENDINGS)
async def test_every_ending_gives_back_once(store: JobStore, ending: Ending) -> None:
    await publish(store, Concurrency("x", 3))
    await store.submit(holding(3))
    first, *_ = await claim(store)

    assert await end(store, first, ending, delay=5, freeze="x" if ending is Ending.throttled else "") == "accepted"
    assert await used(store) == 2
    assert await end(store, first, ending, delay=5, freeze="x" if ending is Ending.throttled else "") in {"repeated", "stale"}
    assert await used(store) == 2


async def test_what_comes_back_starts_the_next_at_once(store: JobStore) -> None:
    await publish(store, TWO)
    await store.submit(holding(4))
    first, second = await claim(store)

    await end(store, first)
    assert ids(await claim(store)) == ["j2"]
    await end(store, second, Ending.failed)
    assert ids(await claim(store)) == ["j3"]


async def test_a_cancelled_running_job_holds_until_its_handler_ends(store: JobStore) -> None:
    await publish(store, TWO)
    await store.submit(holding(2))
    first, _ = await claim(store)

    assert await store.cancel(first.id) == "stopping"
    assert await used(store) == 2
    await end(store, first, Ending.cancelled)
    assert await used(store) == 1


@pytest.mark.parametrize("max_crashes", [1, 3])
async def test_a_lost_worker_leaks_nothing(redis: Redis, redis_url: str, clock: Clock, max_crashes: int) -> None:
    async with fresh_store(redis, redis_url, clock, max_crashes=max_crashes) as store:
        await publish(store, TWO)
        await store.submit(holding(1))
        late = await claim(store)

        await crash(store)

        assert await used(store) == 0
        again = await claim(store, worker="v")
        assert ids(again) == ([] if max_crashes == 1 else ["j0"])
        assert [await end(store, one) for one in late] == ["stale"]
        assert await used(store) == len(again)
        await finish_all(store, again, "v")
        assert await used(store) == 0


async def test_a_start_whose_reply_was_lost_holds_nothing(store: JobStore) -> None:
    await publish(store, TWO)
    await store.submit(holding(3))
    await claim(store)

    assert await store.reconcile("w", []) == 2
    assert await store.reconcile("w", []) == 0

    assert await used(store) == 0
    assert ids(await claim(store)) == ["j0", "j1"]


async def test_a_start_that_came_after_its_worker_had_given_it_back_holds_nothing(store: JobStore) -> None:
    await publish(store, TWO)
    await enlist(store, "w")
    await store.submit(holding(1))
    held = await read(store, "w", 1, 0.01)
    await store.reconcile("w", [])  # the claim below is on its way, and thought lost
    await store.claim("w", ClaimRequest(1, held))
    assert await used(store) == 1

    (again,) = await claim(store, worker="v")

    assert again.attempt == 2
    assert await used(store) == 1
    await finish_all(store, [again], "v")
    assert await used(store) == 0


async def test_a_capacity_lowered_below_what_is_held_starts_nobody_until_enough_have_ended(store: JobStore) -> None:
    await publish(store, Concurrency("x", 4))
    await store.submit(holding(6))
    running = await claim(store)
    await publish(store, TWO)

    for left in (3, 2):
        await end(store, running.pop())
        assert await used(store) == left
        assert await claim(store) == []
    await end(store, running.pop())
    assert ids(await claim(store)) == ["j4"]


async def test_a_cost_of_several_waits_until_as_many_are_back(store: JobStore) -> None:
    await publish(store, Concurrency("x", 3))
    await store.submit([*holding(2), job("wide", needs=[slot("x", 3)]), job("after", needs=[slot("x")])])
    first, second = await claim(store)

    await end(store, first)
    assert await claim(store) == []
    await end(store, second)
    (wide,) = await claim(store)
    assert wide.id == "wide"
    await end(store, wide)
    assert ids(await claim(store)) == ["after"]


async def test_a_job_that_costs_more_than_the_lowered_capacity_holds_all_of_it(store: JobStore) -> None:
    await publish(store, Concurrency("x", 5))
    await store.submit([job("first", needs=[slot("x", 5)]), job("wide", needs=[slot("x", 4)]), job("after", needs=[slot("x")])])
    (first,) = await claim(store)
    await publish(store, TWO)

    await end(store, first)
    (wide,) = await claim(store)
    await end(store, wide)

    assert ids(await claim(store)) == ["after"]


async def test_each_key_has_its_own_slots(store: JobStore) -> None:
    await publish(store, Concurrency("x", 1, key="{id}"))
    await store.submit([job(f"{key}{number}", needs=[slot(f"x/{key}")]) for key in "ab" for number in range(2)])

    assert sorted(ids(await claim(store))) == ["a0", "b0"]


async def test_what_is_held_has_no_time_to_live_and_what_is_not_leaves_no_key(store: JobStore) -> None:
    await publish(store, TWO)
    await store.submit(holding(1))
    running = await claim(store)

    assert [await forgotten_at(store, key) for key in (store.keys.bucket("x"), store.keys.holders("x"))] == [None, None]
    await finish_all(store, running)
    assert await forgotten_at(store, store.keys.bucket("x")) == 0
    assert await forgotten_at(store, store.keys.holders("x")) == -1


async def test_tokens_and_slots_are_taken_together_or_not_at_all(store: JobStore, clock: Clock) -> None:
    await publish(store, TWO, TokenBucket("y", rate="1/s", burst=5))
    await store.submit(jobs(4, needs=[slot("x"), "y"]))
    running = await claim(store)
    assert (len(running), await field(store, "y", "deficit")) == (2, 2_000_000)

    await finish_all(store, running)
    assert len(await claim(store)) == 2
    assert await field(store, "y", "deficit") == 4_000_000


async def test_a_waiting_job_of_a_limit_that_became_a_concurrency_gives_back_what_it_takes(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=1, every=1))
    await store.submit(jobs(3, needs=["x"]))
    await finish_all(store, await claim(store))

    await publish(store, Concurrency("x", 1))

    for name in ("j1", "j2"):
        (running,) = await claim(store)
        assert (running.id, running.limits) == (name, "x=1!")
        assert await used(store) == 1
        await end(store, running)
        assert await used(store) == 0


async def test_a_throttled_attempt_is_probed_by_one_and_then_all_may_go(store: JobStore, clock: Clock) -> None:
    await publish(store, Concurrency("x", 3))
    await store.submit(holding(6))
    running = await claim(store)
    await end(store, running[0], Ending.throttled, delay=10, freeze="x")
    for one in running[1:]:
        await end(store, one)

    clock.advance_us(9_999_999)
    assert await claim(store) == []
    clock.advance_us(1)
    (probe,) = await claim(store)
    assert probe.id == "j0"
    assert await claim(store) == []
    await end(store, probe)
    assert ids(await claim(store)) == ["j3", "j4", "j5"]


@pytest.mark.parametrize("loss", ["reclaim", "reconcile"])
async def test_a_probe_that_is_lost_is_followed_by_another(store: JobStore, clock: Clock, loss: str) -> None:
    await publish(store, Concurrency("x", 3))
    await store.submit(holding(6))
    running = await claim(store)
    await end(store, running[0], Ending.throttled, delay=10, freeze="x")
    await finish_all(store, running[1:])
    clock.advance(10)
    assert ids(await claim(store)) == ["j0"]

    if loss == "reclaim":
        await crash(store)
        assert len(await claim(store)) == 3
    else:
        await store.reconcile("w", [])
        assert ids(await claim(store)) == ["j0"]
        assert await claim(store) == []


async def test_cancelling_a_job_that_waits_takes_no_slot(store: JobStore) -> None:
    await publish(store, TWO)
    await store.submit(holding(3))
    running = await claim(store)

    await store.cancel("j2")
    await finish_all(store, running)

    assert await claim(store) == []
    assert await states(store, ["j2"]) == ["cancelled"]
    assert await used(store) == 0
