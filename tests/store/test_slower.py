"""A limit with a key that is made slower: no bucket is forgotten as full at the old pace, however many there are, in pages of bounded work."""

import pytest

from runner.connection.client import command
from runner.limits import Concurrency, Limit, Quota, SlidingWindow, TokenBucket
from runner.store.duties import Nudge
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, finish_all, ids, interval, job, publish
from tests.store.inside import all_keys, commands, forgotten_at

S = 1_000_000
FAST = TokenBucket("x", rate="10/s", burst=10, key="{id}")
SLOWER: dict[str, tuple[Limit, Limit, float]] = {
    "bucket": (FAST, TokenBucket("x", rate="1/h", burst=10, key="{id}"), 3_600),
    "interval": (interval("x", 10, 1, 0.1, key="{id}"), interval("x", 10, 1, 3_600, key="{id}"), 3_600),
    "step": (interval("x", 10, 1, 1, key="{id}"), interval("x", 10, 3_600, 3_600, key="{id}"), 3_600),
    "window": (SlidingWindow("x", 10, per=1, key="{id}"), SlidingWindow("x", 10, per=600, key="{id}"), 600),
    "quota": (Quota("x", 10, per="hour", key="{id}"), Quota("x", 10, per="month", key="{id}"), 3_600),
}


async def spend(store: JobStore, keys: int) -> None:
    """A token of each of so many buckets."""
    for number in range(keys):
        assert (await store.take(f"take:{number}", f"x/k{number}=1", f"1|x/k{number}")).state == "taken"


async def turn_all(store: JobStore) -> int:
    """The pages that the leader turns."""
    pages = 1
    while await store.retime():
        pages += 1
        assert pages < 1_000
    return pages


async def shortest_s(store: JobStore) -> float:
    """How long Redis keeps the bucket that it forgets first."""
    found = [await forgotten_at(store, key) for key in await all_keys(store) if key.startswith(store.keys.bucket("x/"))]
    return min(-1 if at is None else at for at in found) / 1000


@pytest.mark.parametrize("case", SLOWER)
async def test_every_bucket_is_kept_as_long_as_the_slower_limit_needs(store: JobStore, case: str) -> None:
    before, after, least_s = SLOWER[case]
    await publish(store, before)
    await spend(store, 450)
    await store.wait_for_nudge(0.001)

    await publish(store, after)
    assert await store.wait_for_nudge(0.001) is Nudge.retime
    await turn_all(store)

    assert await shortest_s(store) >= least_s
    assert (await store.take("take:more", "x/k7=10", "1|x/k7")).state == "refused"


@pytest.mark.parametrize("case", ["bucket", "interval", "window"])
async def test_there_is_time_to_find_a_bucket_that_was_just_full_at_the_old_pace(store: JobStore, clock: Clock, case: str) -> None:
    before, _, _ = SLOWER[case]
    await publish(store, before)
    for _ in range(60):
        clock.advance(0.3)
        await spend(store, 1)
        full_ms = (clock.now_us - 4_000_000_000 * S) // 1000 + (100 if case != "window" else 1_000)
        assert (await forgotten_at(store, store.keys.bucket("x/k0")) or 0) >= full_ms + 5_000


async def test_a_faster_limit_walks_through_nothing(store: JobStore) -> None:
    before, after, _ = SLOWER["bucket"]
    await publish(store, after)
    await spend(store, 3)

    await publish(store, before)
    await publish(store, Concurrency("x", 3, key="{id}"))

    assert not await command(store.redis, "EXISTS", store.keys.retimes)


async def test_a_walk_that_a_second_change_overtakes_begins_anew(store: JobStore) -> None:
    await publish(store, FAST)
    await spend(store, 450)
    await publish(store, TokenBucket("x", rate="1/s", burst=10, key="{id}"))
    assert await store.retime()
    await publish(store, TokenBucket("x", rate="1/h", burst=10, key="{id}"))

    await turn_all(store)

    assert await shortest_s(store) >= 3_600


async def test_an_override_that_ends_by_itself_forgets_nothing_at_its_faster_pace(store: JobStore, clock: Clock) -> None:
    slow = TokenBucket("x", rate="1/h", burst=10, key="{id}")
    await publish(store, slow)
    await store.override("x", FAST.to_json(), 500_000, "test")
    await store.submit([job(f"j{number}", needs=["x/a"]) for number in range(12)])
    await finish_all(store, await claim(store))

    clock.advance(0.5)

    assert (await forgotten_at(store, store.keys.bucket("x/a")) or 0) >= 5 * 3_600_000
    assert len(await claim(store)) == 2
    await store.submit([job(f"more{number}", needs=["x/a"]) for number in range(9)])
    assert len(ids(await claim(store))) == 3  # five came back while the override lasted


async def test_restoring_slower_numbers_by_hand_keeps_buckets_longer_too(store: JobStore) -> None:
    await publish(store, TokenBucket("x", rate="1/h", burst=10, key="{id}"))
    await store.override("x", FAST.to_json(), 0, "test")
    await spend(store, 30)
    await store.override("x", "", 0, "")

    await turn_all(store)

    assert await shortest_s(store) >= 3_600


async def test_a_page_is_bounded_work(store: JobStore, direct_url: str) -> None:
    before, after, _ = SLOWER["bucket"]
    await publish(store, before)
    await spend(store, 450)
    await publish(store, after)

    most, pages = 0, 0
    while True:
        at = await commands(store)
        left = await store.retime()
        most, pages = max(most, await commands(store) - at), pages + 1
        if not left:
            break

    assert pages > 3
    assert most < 1_200
