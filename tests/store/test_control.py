"""Changing limits live: overrides, their end, pauses, and what a deploy may do, with what was spent kept exactly."""

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from runner.limits import Concurrency, Limit, Quota, SlidingWindow, TokenBucket
from runner.store.job_store import JobStore
from tests.starts import Starts
from tests.store.builders import Clock, claim, finish_all, fresh_store, ids, interval, job, jobs, publish, slot
from tests.store.inside import bucket_state, forgotten_at, nudged, versions, wakes

S = 1_000_000


async def override(store: JobStore, limit: Limit, seconds: float = 0) -> None:
    assert await store.override(limit.name, limit.to_json(), round(seconds * S), "test")


async def restore(store: JobStore, name: str = "x") -> None:
    assert await store.override(name, "", 0, "")


async def in_force(store: JobStore, name: str = "x") -> int:
    """The capacity in force."""
    return (await store.policies())[name].capacity


async def test_an_override_is_in_force_until_it_is_restored(store: JobStore) -> None:
    await publish(store, interval("x", capacity=5))
    await override(store, interval("x", capacity=2))
    assert await in_force(store) == 2
    await override(store, interval("x", capacity=9))
    assert await in_force(store) == 9

    await restore(store)
    await restore(store)

    assert await in_force(store) == 5
    (status,) = await store.limits()
    assert status.override is None


async def test_an_override_ends_by_itself_to_the_microsecond_and_wakes_who_waits(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="10/s", burst=1))
    await override(store, interval("x", capacity=1, every=86_400), seconds=5)
    await store.submit(jobs(3, needs=["x"]))
    assert ids(await claim(store)) == ["j0"]
    assert (await store.refill())[1] == 5 * S

    clock.advance_us(5 * S - 1)
    assert await claim(store) == []
    assert await in_force(store) == 1
    clock.advance_us(1)
    await store.refill()
    assert (await store.refill())[1] == 100_000
    clock.advance(0.1)
    assert ids(await claim(store)) == ["j1"]


async def test_what_is_unknown_cannot_be_changed(store: JobStore) -> None:
    assert not await store.override("x", interval("x").to_json(), 0, "")
    assert not await store.pause("x", on=True, reason="")


CHANGES = [
    TokenBucket("x", rate="10/s", burst=10),
    TokenBucket("x", rate="7/3s", burst=4),
    interval("x", capacity=8, refill=3, every=1.5),
    interval("x", capacity=3, refill=5, every=10),
    SlidingWindow("x", 5, per=2),
    SlidingWindow("x", 3, per=4),
]
histories = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6), st.integers(1, 6)), min_size=2, max_size=6)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(["token_bucket", "sliding_window"]), history=histories)
async def test_each_stretch_of_time_keeps_the_bound_of_the_numbers_in_force(
    redis: Redis, redis_url: str, kind: str, history: list[tuple[int, int, int]]
) -> None:
    """Override, an override that ends by itself, restore and deploy in any order: no window within a stretch exceeds its bound."""
    policies, clock = [limit for limit in CHANGES if limit.kind == kind], Clock()
    async with fresh_store(redis, redis_url, clock) as store:
        code = forced = policies[0]
        overridden = False
        ends_us: int | None = None
        stretches: list[tuple[Limit, list[int]]] = [(code, [])]
        await publish(store, code)
        await store.submit(jobs(90, needs=["x"]))
        for action, choice, steps in history:
            if action < 4:
                forced, ends_us = policies[choice % len(policies)], clock.now_us + steps * 150_000 if action == 0 else None
                overridden = True
                await override(store, forced, steps * 0.15 if action == 0 else 0)
            elif action < 6:
                forced, ends_us, overridden = code, None, False
                await restore(store)
            elif not overridden:
                code = forced = policies[choice % len(policies)]
                await publish(store, code)
            stretches.append((forced, []))
            for _ in range(steps):
                clock.advance(0.11)
                if ends_us is not None and clock.now_us >= ends_us:
                    forced, ends_us, overridden = code, None, False
                    stretches.append((forced, []))
                started = await claim(store)
                stretches[-1][1].extend([clock.now_us] * len(started))
                await finish_all(store, started)
                await store.refill()
        for limit, instants in stretches:
            if isinstance(limit, TokenBucket):
                assert Starts(instants, [1] * len(instants)).excess(limit) <= 0
            elif isinstance(limit, SlidingWindow):
                counts = [sum(first <= at <= first + limit.window_us for at in instants) for first in instants]
                assert max(counts, default=0) <= limit.capacity


@pytest.mark.parametrize(("before", "after"), list(pairwise([*CHANGES[:4], CHANGES[0]])), ids=repr)
async def test_an_override_keeps_what_was_spent_and_so_does_its_end(store: JobStore, before: Limit, after: Limit) -> None:
    await publish(store, before)
    await store.submit(jobs(3, needs=["x"]))
    await finish_all(store, await claim(store))

    for limit in (after, before):
        await (override(store, limit) if limit is after else restore(store))
        (status,) = await store.limits()
        assert status.buckets[0].tokens == max(limit.capacity - 3, 0)


async def test_a_bucket_made_slower_is_not_forgotten_as_full_by_its_old_pace(store: JobStore) -> None:
    await publish(store, TokenBucket("x", rate="10/s", burst=100))
    await store.submit(jobs(100, needs=["x"]))
    while started := await claim(store, free=64):
        await finish_all(store, started)
    assert 10_000 < (await forgotten_at(store, store.keys.bucket("x")) or 0) <= 20_000

    await override(store, TokenBucket("x", rate="1/min", burst=100))

    assert await forgotten_at(store, store.keys.bucket("x")) == 6_005_000
    assert (await bucket_state(store, "x")).deficit == 100 * 60 * S


async def test_a_smaller_capacity_is_a_debt_and_not_the_end_of_the_line(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=10, refill=1, every=1))
    await store.submit(jobs(12, needs=["x"]))
    assert len(await claim(store)) == 10

    await override(store, interval("x", capacity=3, refill=1, every=1))

    clock.advance(7)
    assert await claim(store) == []
    clock.advance(1)
    assert ids(await claim(store)) == ["j10"]


async def test_a_pause_stops_starts_and_nothing_else(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="1/s", burst=2))
    await store.submit(jobs(5, needs=["x"]))
    running = await claim(store, free=1)

    await store.pause("x", on=True, reason="invoice")

    assert await claim(store) == []  # those that were released already, too
    await finish_all(store, running)
    clock.advance(100)
    await store.refill()
    assert await claim(store) == []
    (status,) = await store.get(["j1"])
    assert status is not None
    assert (status.state, status.reason, status.eta_s) == ("waiting", "paused", None)
    await store.pause("x", on=False, reason="")
    assert await nudged(store)
    assert ids(await claim(store)) == ["j1", "j2"]


@pytest.mark.parametrize("limit", [SlidingWindow("x", 2, per=9), Concurrency("x", 2), Quota("x", 2, per="day")], ids=repr)
async def test_every_kind_can_be_paused_and_overridden(store: JobStore, limit: Limit) -> None:
    await publish(store, limit)
    await store.pause("x", on=True, reason="")
    needs = [slot("x")] if limit.gives_back else ["x"]
    await store.submit(jobs(5, needs=needs))
    assert await claim(store) == []
    await store.pause("x", on=False, reason="")
    assert len(await claim(store)) == 2

    await override(
        store, type(limit)("x", 3, **({"per": 9} if limit.kind == "sliding_window" else {"per": "day"} if limit.kind == "quota" else {}))
    )

    assert len(await claim(store)) == 1


async def test_a_paused_limit_can_be_overridden_and_stays_paused(store: JobStore) -> None:
    await publish(store, interval("x"))
    await store.pause("x", on=True, reason="")
    await override(store, interval("x", capacity=5))
    await store.submit(jobs(2, needs=["x"]))

    assert await claim(store) == []


async def test_of_two_declarations_that_differ_the_higher_revision_wins_whoever_starts_last(store: JobStore, clock: Clock) -> None:
    old, new = interval("x", capacity=2), interval("x", capacity=7).revised(1)
    old_since = (await store.publish({}, [old])).since_us
    clock.advance(1)
    new_since, changed, _ = await store.publish({}, [new])
    assert changed == ["x"]
    clock.advance(1)

    assert await store.publish({}, [old], old_since) == (old_since, [], [("limit", "x", "revision")])
    assert (await store.publish({}, [old])).changed == []  # an old process that starts again
    assert (await store.publish({}, [new], new_since)).changed == []

    assert await in_force(store) == 7


async def test_of_equal_revisions_the_process_that_started_last_wins_and_they_do_not_flap(store: JobStore, clock: Clock) -> None:
    old, new = interval("x", capacity=2), interval("x", capacity=7)
    old_since = (await store.publish({}, [old])).since_us
    clock.advance(1)
    new_since = (await store.publish({}, [new])).since_us
    seen = set[tuple[str, int]]()
    for _ in range(5):
        clock.advance(3)
        for limit, since in ((old, old_since), (new, new_since)):
            assert (await store.publish({}, [limit], since)).changed == []
            seen |= (await versions(store)).items()

    assert seen == {("x", 2)}
    assert await in_force(store) == 7


async def test_a_deploy_during_an_override_comes_into_force_at_its_end(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=2))
    await override(store, interval("x", capacity=5), seconds=10)
    await publish(store, interval("x", capacity=9))
    assert await in_force(store) == 5

    clock.advance(10)

    assert await in_force(store) == 9


async def test_a_change_wakes_who_waits_for_it_at_once(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=1_000), interval("y", every=1_000))
    await store.submit([*jobs(2, "x", needs=["x"]), *jobs(2, "y", needs=["y"])])
    await claim(store)
    await nudged(store)
    clock.advance(1)

    await override(store, interval("x", capacity=1, every=2))

    assert await nudged(store)
    assert await wakes(store) == {"x": S, "y": 1_000 * S}
    clock.advance(2)
    assert ids(await claim(store)) == ["x1"]


async def test_a_keyed_limit_is_changed_with_every_bucket(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=1, every=1_000, key="{id}"))
    await store.submit([job(f"{key}{number}", needs=[f"x/{key}"]) for key in "abc" for number in range(3)])
    assert len(await claim(store)) == 3

    await override(store, interval("x", capacity=2, every=1_000, key="{id}"))

    assert sorted(ids(await claim(store))) == ["a1", "b1", "c1"]
