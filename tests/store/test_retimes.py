"""A change wakes everybody it concerns, however many wait: at once, or in pages that somebody finishes."""

import pytest

from runner.connection.client import command
from runner.limits import Concurrency, TokenBucket
from runner.store.duties import Nudge
from runner.store.job_store import JobStore
from runner.store.portions import MOST_PER_CALL
from tests.store.builders import START_US, Clock, claim, ids, interval, job, jobs, publish, slot
from tests.store.inside import NEVER, all_keys, nudged, scores, wakes

S = 1_000_000
PAGE = MOST_PER_CALL
SLOW = interval("k", every=86_400, key="{id}")
FASTER = interval("k", every=60, key="{id}")


async def start_all(store: JobStore) -> list[str]:
    """The jobs that can start, in as many calls as it takes."""
    started = list[str]()
    while batch := ids(await claim(store, free=500)):
        started += batch
    return started


async def wait_at(store: JobStore, count: int, limit: str = "k", slow: TokenBucket = SLOW) -> None:
    """One job waits at each of so many buckets of a limit with a key, whose tokens are spent."""
    await publish(store, slow)
    needs = [f"{limit}/{number:05}" for number in range(count)]
    for at in range(0, count, 250):
        page = needs[at : at + 250]
        await store.submit([job(f"{limit}-{need}-{turn}", needs=[need]) for need in page for turn in range(2)])
        assert len(await start_all(store)) == len(page)


async def turn_all(store: JobStore) -> int:
    """Turn the pages that are left; how many there were."""
    turned = 1
    while await store.retime():
        turned += 1
    return turned


async def due(store: JobStore, clock: Clock) -> int:
    return sum(wake <= clock.now_us - START_US for wake in (await wakes(store)).values())


@pytest.mark.parametrize("change", ["resume", "raise", "restore", "release", "publish"])
async def test_a_change_behind_many_other_waiting_buckets_wakes_its_line_at_once(store: JobStore, clock: Clock, change: str) -> None:
    """More wait elsewhere than one call could look through, and their wakes come first."""
    for at in range(0, 6_000, 500):
        others = [word for number in range(at, at + 500) for word in (START_US + 60 * S, f"other/{number}")]
        await command(store.redis, "ZADD", store.keys.wakes, *others)
    limit, raised = TokenBucket("x", rate="1/h", burst=1), TokenBucket("x", rate="1000/s", burst=10)
    await publish(store, limit)
    if change == "restore":
        await publish(store, raised)
        await store.override("x", limit.to_json(), 0, "")
    if change == "resume":
        await store.pause("x", on=True, reason="")
    if change == "release":
        await store.freeze("x", 1_000_000 * S, "")
    await store.submit(jobs(3, needs=["x"]))
    before = ids(await claim(store))
    await command(store.redis, "DEL", store.keys.nudge)
    clock.advance(1)

    if change == "resume":
        await store.pause("x", on=False, reason="")
    elif change == "raise":
        await store.override("x", raised.to_json(), 0, "")
    elif change == "restore":
        await store.override("x", "", 0, "")
    elif change == "release":
        await store.freeze("x", 0, "")
    else:
        await publish(store, raised)

    assert await nudged(store)
    assert (await store.refill())[0] >= 1
    assert ids(await claim(store))[0] == f"j{len(before)}"


async def test_a_change_of_a_limit_wakes_all_its_waiting_buckets_in_pages(store: JobStore, clock: Clock) -> None:
    await wait_at(store, 2 * PAGE + 50)
    await store.wait_for_nudge(0.001)
    clock.advance(1)

    await publish(store, FASTER)

    assert await due(store, clock) == PAGE
    assert await store.wait_for_nudge(0.001) is Nudge.retime
    assert await store.retime()
    assert await due(store, clock) == 2 * PAGE
    assert not await store.retime()
    assert await due(store, clock) == 2 * PAGE + 50
    assert not await command(store.redis, "EXISTS", store.keys.retimes)


async def test_the_nudge_to_turn_pages_is_not_lost_behind_another(store: JobStore) -> None:
    await wait_at(store, PAGE + 1)
    await publish(store, FASTER, interval("y"))
    await store.submit(jobs(2, needs=["y"]))

    assert await store.wait_for_nudge(0.001) is Nudge.retime
    assert await store.wait_for_nudge(0.001) is None


async def test_another_change_while_pages_are_turned_begins_anew(store: JobStore, clock: Clock) -> None:
    await wait_at(store, 2 * PAGE + 50)
    await publish(store, FASTER)
    assert await store.retime()
    while (await store.refill())[1] == 0:
        pass
    assert await due(store, clock) == 0

    await store.override("k", interval("k", every=30, key="{id}").to_json(), 0, "")

    assert await due(store, clock) == PAGE
    assert await turn_all(store) == 2
    assert await due(store, clock) == 2 * PAGE + 50


async def test_a_limit_with_a_thousand_waiting_buckets_is_resumed(store: JobStore, clock: Clock) -> None:
    await publish(store, SLOW)
    await store.pause("k", on=True, reason="")
    names = [f"k/{number:05}" for number in range(1001)]
    await store.submit([job(name, needs=[name]) for name in names])
    assert set((await wakes(store)).values()) == {NEVER - START_US}

    await store.pause("k", on=False, reason="")
    assert await turn_all(store) == 1_000 // PAGE

    assert sorted(await start_all(store)) == names
    assert not [key for key in await all_keys(store) if key.startswith((store.keys.buckets_waiting(""), store.keys.retimes))]


async def test_many_limits_published_at_once_wake_in_pages_too(store: JobStore) -> None:
    limits = [interval(f"k{number}", key="{id}") for number in range(8)]
    await store.submit([job(f"{limit.name}-{key}", needs=[f"{limit.name}/{key}"]) for limit in limits for key in range(60)])

    await publish(store, *limits)

    awake = [wake for wake in (await wakes(store)).values() if wake < NEVER - START_US]
    assert len(awake) == PAGE
    assert await turn_all(store) == 480 // PAGE
    assert len(await start_all(store)) == 480


async def test_a_bucket_that_is_released_is_woken_and_its_neighbours_are_not(store: JobStore, clock: Clock) -> None:
    await wait_at(store, 3)
    await store.freeze("k/00001", 10 * S, "")
    await store.refill()
    clock.advance(1)

    await store.freeze("k/00001", 0, "")

    assert await wakes(store) == {"k/00000": 86_400 * S, "k/00001": S, "k/00002": 86_400 * S}


async def test_a_bucket_listed_without_a_line_is_forgotten_as_its_page_is_turned(store: JobStore) -> None:
    await wait_at(store, 1)
    await command(store.redis, "ZADD", store.keys.buckets_waiting("k"), 0, "k/gone")

    await publish(store, FASTER)

    assert set(await scores(store, store.keys.buckets_waiting("k"))) == {"k/00000"}


async def test_a_limit_lists_the_buckets_that_jobs_wait_at_and_no_others(store: JobStore, clock: Clock) -> None:
    await wait_at(store, 3)
    listed = store.keys.buckets_waiting("k")
    assert set(await scores(store, listed)) == {"k/00000", "k/00001", "k/00002"}

    await store.cancel("k-k/00001-1")

    assert set(await scores(store, listed)) == {"k/00000", "k/00002"} == set(await wakes(store))
    clock.advance(86_400)
    assert len(await claim(store)) == 2
    assert await scores(store, listed) == await wakes(store) == {}


# The clock


async def test_a_clock_that_goes_back_makes_every_wake_due_in_pages(store: JobStore, clock: Clock) -> None:
    await wait_at(store, 2 * PAGE + 50)
    await store.pause("x", on=True, reason="")
    await store.submit(jobs(1, needs=["x"]))
    await store.refill()
    await store.wait_for_nudge(0.001)
    clock.advance(-3_600)

    await store.refill()
    assert await store.wait_for_nudge(0.001) is Nudge.retime
    while (await store.refill())[1] == 0:
        pass
    assert await due(store, clock) == 0
    assert await store.retime()
    assert await due(store, clock) == PAGE
    assert not await store.retime()

    assert await due(store, clock) == PAGE + 50
    assert (await wakes(store))["x"] == NEVER - START_US
    assert not [key for key in await all_keys(store) if key in (store.keys.retimes, store.keys.wakes_before)]


async def test_a_clock_that_goes_back_twice_is_followed_twice(store: JobStore, clock: Clock) -> None:
    await wait_at(store, PAGE + 50)
    await store.refill()
    clock.advance(-3_600)
    await store.refill()
    while (await store.refill())[1] == 0:
        pass
    clock.advance(-3_600)
    await store.refill()
    assert not await store.retime()
    assert await due(store, clock) == 50

    await store.refill()
    assert not await store.retime()

    while (await store.refill())[1] == 0:
        pass
    assert max((await wakes(store)).values()) <= 86_400 * S + clock.now_us - START_US


# What no script should leave behind


async def test_a_bucket_that_sleeps_though_it_could_serve_is_roused(store: JobStore, clock: Clock) -> None:
    await wait_at(store, 250)
    await publish(store, Concurrency("c", 1, key="{id}"))
    await store.submit([job(f"c{turn}", needs=[slot("c/1")]) for turn in range(2)])
    await claim(store)
    for bucket in ("k/00007", "k/00249"):
        await command(store.redis, "ZADD", store.keys.wakes, NEVER, bucket)
        await command(store.redis, "ZREM", store.keys.buckets_waiting("k"), bucket)
    await command(store.redis, "ZADD", store.keys.wakes, 1, "k/gone")
    clock.advance(61)
    await store.refill()

    passed = await store.rouse(0)
    assert 0 < passed < 250
    while passed:
        passed = await store.rouse(passed)
    awake = await wakes(store)

    assert {awake.pop("c/1"), *awake.values()} == {NEVER - START_US, 86_400 * S}
    assert "k/gone" not in awake
    assert len(await scores(store, store.keys.buckets_waiting("k"))) == 250


async def test_a_change_of_hundreds_of_limits_comes_to_an_end(store: JobStore) -> None:
    names = [f"l{number}" for number in range(600)]
    for every in (1, 2):
        for at in range(0, len(names), 100):
            await publish(store, *(interval(name, every=every, key="{id}") for name in names[at : at + 100]))

    calls = 0
    while await store.retime():
        calls += 1
        assert calls < 600

    assert not await command(store.redis, "EXISTS", store.keys.retimes)
