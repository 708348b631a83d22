"""Watching: one of the workers that do not lead looks whether the leader is at work, and all of them hear what is late."""

from runner.connection.client import command
from runner.store.job_store import JobStore
from runner.store.replies import Election
from tests.store.builders import Clock, claim, interval, job, jobs, publish


async def lead(store: JobStore, worker: str, term: int) -> int:
    return (await store.lead(worker, term)).term


async def watches(store: JobStore, worker: str) -> bool:
    return (await store.lead(worker, 0)).watches


async def test_one_of_those_who_do_not_lead_watches(store: JobStore) -> None:
    assert not await watches(store, "a")

    assert [await watches(store, worker) for worker in "bcbc"] == [True, False, True, False]
    assert 9_000 < await command(store.redis, "PTTL", store.keys.watcher) <= 10_000


async def test_a_watcher_that_is_lost_or_leaves_is_followed_by_another(store: JobStore) -> None:
    await lead(store, "a", 0)
    assert await watches(store, "b")

    await command(store.redis, "DEL", store.keys.watcher)  # as when its time to live ends
    assert [await watches(store, worker) for worker in "cb"] == [True, False]
    await store.resign("b", 0)
    assert [await watches(store, worker) for worker in "bc"] == [False, True]
    await store.resign("c", 0)
    assert [await watches(store, worker) for worker in "bc"] == [True, False]


async def test_a_watcher_that_comes_to_lead_leaves_the_watch_to_another(store: JobStore) -> None:
    term = await lead(store, "a", 0)
    assert await watches(store, "b")

    await store.resign("a", term)

    assert (await store.lead("b", 0)).term > term
    assert await command(store.redis, "EXISTS", store.keys.watcher) == 0
    assert await watches(store, "c")


async def test_those_who_do_not_lead_hear_how_late_the_first_job_is(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=3))
    await store.pause("p", on=True, reason="")
    await store.submit([*jobs(2, needs=["x"]), job("sleeps", needs=["p"]), job("delayed", delay=4)])
    await claim(store)
    await lead(store, "a", 0)
    assert (await store.lead("b", 0)).late_us == 0
    assert await store.lead("c", 0) == Election(0, "a", workers=1, now_us=clock.now_us)

    clock.advance(3.5)
    assert (await store.lead("c", 0)).late_us == 500_000
    await store.refill()
    assert (await store.lead("c", 0)).late_us == 0
    clock.advance(1)
    assert (await store.lead("c", 0)).late_us == 500_000


async def test_the_watcher_hears_how_long_the_leader_has_not_renewed_its_lock(store: JobStore) -> None:
    await lead(store, "a", 0)

    await command(store.redis, "PEXPIRE", store.keys.leader, 6_000)

    assert 4 <= ((await store.lead("b", 0)).quiet_s or 0) < 4.5
