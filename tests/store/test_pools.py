"""Pools: jobs of a pool are on streams of their own, and only a worker that reads them starts them; everything else is shared."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from runner.connection.client import command
from runner.errors import ConfigurationError, StoreFull
from runner.jobs.job import Ending, Priority, StartedJob
from runner.jobs.submission import Submission
from runner.limits.naming import in_pool
from runner.store.claims import ClaimRequest
from runner.store.job_store import JobStore
from runner.store.keys import GROUP
from tests.store.builders import Clock, claim, crash, end, finish_all, ids, interval, job, jobs, make_store, publish


@pytest.fixture
async def gpu(redis_url: str, queue: str, clock: Clock) -> AsyncIterator[JobStore]:
    """A store of workers that read pool gpu alone."""
    store = make_store(redis_url, queue, clock, pools="gpu")
    yield store
    await store.close()


@pytest.fixture
async def both(redis_url: str, queue: str, clock: Clock) -> AsyncIterator[JobStore]:
    """A store of workers that read gpu first, and the default pool."""
    store = make_store(redis_url, queue, clock, pools="gpu,default")
    yield store
    await store.close()


def to(pool: str, *submissions: Submission) -> list[Submission]:
    return [one._replace(line=in_pool(one.line, pool)) for one in submissions]


async def claim_all(store: JobStore, worker: str) -> list[StartedJob]:
    """What a worker with any number of slots starts, in as many calls as it takes."""
    started: list[StartedJob] = []
    while here := await claim(store, free=1000, worker=worker):
        started += here
    return started


async def test_a_worker_starts_jobs_of_its_pools_alone(store: JobStore, gpu: JobStore, both: JobStore) -> None:
    await store.submit([*to("gpu", *jobs(4, "g")), *jobs(4, "d")])

    assert ids(await claim(store, free=2)) == ["d0", "d1"]
    assert ids(await claim(gpu, free=2, worker="v")) == ["g0", "g1"]
    assert sorted(ids(await claim(both, worker="u"))) == ["d2", "d3", "g2", "g3"]
    assert [status.pool for status in await store.get(["g0", "d0"]) if status] == ["gpu", "default"]


async def test_priorities_come_before_pools_and_pools_take_turns(store: JobStore, both: JobStore) -> None:
    high = to("gpu", *jobs(2, "gh", priority=Priority.high))
    await store.submit([*jobs(6, "d"), *to("gpu", *jobs(6, "g")), *high, *jobs(2, "dh", priority=Priority.high)])

    started = ids(await claim(both, free=8, worker="u"))

    assert sorted(started[:4]) == ["dh0", "dh1", "gh0", "gh1"]
    assert sorted(one[0] for one in started[4:]) == ["d", "d", "g", "g"]


async def test_what_one_pool_leaves_is_for_the_others(store: JobStore, both: JobStore) -> None:
    await store.submit([*jobs(9, "d"), *to("gpu", job("g0"))])

    assert len(await claim(both, free=8, worker="u")) == 8


@pytest.mark.parametrize("limited", [False, True])
async def test_jobs_come_back_to_their_pool(store: JobStore, gpu: JobStore, clock: Clock, *, limited: bool) -> None:
    await publish(store, interval("x", capacity=9))
    needs = ["x"] if limited else []
    await store.submit(to("gpu", job("a", needs=needs), job("b", needs=needs, delay=5), job("c", needs=needs)))
    first = await claim(gpu, worker="v")
    assert ids(first) == ["a", "c"]
    assert await store.cancel("b") == "cancelled"
    await store.retry("b")

    assert await claim(store) == []
    assert ids(await claim(gpu, worker="v")) == ["b"]
    assert await gpu.reconcile("v", [first[1]]) == 2
    assert await claim(store) == []
    back = await claim(gpu, worker="v")
    assert sorted(ids(back)) == ["a", "b"]
    await finish_all(gpu, [first[1], *back], worker="v")

    await store.submit(to("gpu", job("r", needs=needs, delay=1)))
    clock.advance(1)
    await store.promote()
    assert await claim(store) == []
    assert ids(await claim(gpu, worker="v")) == ["r"]
    assert await crash(gpu, "v") == (1, 1, 0)
    last = await claim(gpu, worker="w")
    assert ids(last) == ["r"]
    assert await end(gpu, last[0], Ending.retry) == "accepted"
    await store.promote()
    assert await claim(store, worker="x") == []
    assert ids(await claim(gpu, worker="w")) == ["r"]


async def test_a_lost_worker_without_a_record_gives_back_what_it_held_in_any_pool(store: JobStore, both: JobStore) -> None:
    await store.submit([*to("gpu", job("g")), job("d")])
    assert len(await claim(both, worker="u")) == 2
    await command(store.redis, "DEL", store.keys.worker("u"))
    await command(store.redis, "DEL", store.keys.workers)

    assert await store.reclaim() == (2, 1, 0)

    assert ids(await claim(both, worker="v")) == ["g", "d"]
    for pool in ("gpu", "default"):
        rows = await command(store.redis, "XINFO", "CONSUMERS", store.keys.stream(Priority.normal, pool), GROUP)
        assert [row[1] for row in rows] == [b"v"]


async def test_an_orphan_of_a_pool_is_taken_back(store: JobStore, gpu: JobStore) -> None:
    await store.submit(to("gpu", job("g")))
    await claim(gpu, worker="v")
    await command(store.redis, "ZREM", store.keys.workers, "v")

    assert (await store.orphans(b"0"))[1] == 0
    await command(store.redis, "XGROUP", "DESTROY", store.keys.stream(Priority.normal, "gpu"), GROUP)
    assert (await store.orphans(b"0"))[1] == 1

    assert ids(await claim(gpu, worker="w")) == ["g"]


async def test_what_was_put_on_the_stream_of_another_pool_is_moved_by_the_claim_that_meets_it(store: JobStore, gpu: JobStore) -> None:
    """As by a worker of a version that knows of no pools: it promotes, retries and gives back to the streams of the default one."""
    await publish(store, interval("x", capacity=2))
    await store.submit(to("gpu", job("g"), job("h", needs=["x"])))
    for name, at in (("g", Priority.normal), ("h", Priority.low)):
        await command(store.redis, "DEL", store.keys.stream(Priority.normal, "gpu"))
        await command(store.redis, "XADD", store.keys.stream(at), "*", "id", name)

    assert await claim(store) == []
    assert sorted(ids(await claim(gpu, worker="v"))) == ["g", "h"]


async def test_a_worker_that_signs_off_leaves_no_consumer(store: JobStore, both: JobStore) -> None:
    await store.submit([*to("gpu", job("g")), job("d")])
    started = await claim(both, worker="u")
    await finish_all(both, started[:1], worker="u")

    assert await both.reconcile("u", [], leave=True) == 1

    for pool in ("gpu", "default"):
        assert await command(store.redis, "XINFO", "CONSUMERS", store.keys.stream(Priority.normal, pool), GROUP) == []
    assert await command(store.redis, "EXISTS", store.keys.worker("u")) == 0


async def test_reconcile_keeps_what_is_in_hand_of_every_stream(store: JobStore, both: JobStore) -> None:
    await store.submit([*to("gpu", *jobs(300, "g")), *jobs(300, "d"), *to("gpu", *jobs(2, "gl", priority=Priority.low))])
    started = await claim_all(both, "u")
    kept = started[::3]

    assert await both.reconcile("u", kept) == len(started) - len(kept)

    assert await both.reconcile("u", kept) == 0
    again = await claim_all(both, "v")
    assert len(started) == 602
    assert {one.id for one in again} == {one.id for one in started} - {one.id for one in kept}


async def test_a_blocking_read_waits_on_the_streams_of_all_pools(store: JobStore, both: JobStore) -> None:
    await both.enlist("u", "{}")
    await store.submit(to("gpu", job("g", priority=Priority.low)))

    held, claimed = await both.wait_and_claim("u", ClaimRequest(4), [b"0-0"] * 6, block_s=0.2)

    assert [(entry[0], entry[2]) for entry in held] == [(2, b"g")]
    assert [(one.id, one.stream, one.priority) for one in claimed.jobs] == [("g", 2, 2)]
    assert await both.held("u") == held


async def test_tokens_are_shared_by_all_pools(store: JobStore, gpu: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=2, refill=1, every=1))
    await store.submit([*to("gpu", *jobs(3, "g", needs=["x"])), *jobs(3, "d", needs=["x"])])

    assert len(await claim(store)) + len(await claim(gpu, worker="v")) == 2
    for _ in range(4):
        clock.advance(1)
        assert len(await claim(store)) + len(await claim(gpu, worker="v")) + len(await claim(store)) == 1
    assert await claim(store) == await claim(gpu, worker="v") == []


async def test_a_queue_has_so_many_pools_at_most(store: JobStore, redis_url: str, queue: str, clock: Clock) -> None:
    for number in range(32):
        await store.submit(to(f"p{number}", job()))

    with pytest.raises(StoreFull, match="32 pools already"):
        await store.submit(to("one-more", job()))
    assert isinstance((await store.submit_each([*to("one-more", job()), job()]))[0], StoreFull)
    reader = make_store(redis_url, queue, clock, pools="one-more")
    with pytest.raises(ConfigurationError, match="one-more"):
        await reader.enlist("v", "{}")
    await reader.close()


async def test_a_job_with_limits_keeps_its_weight_in_a_pool(store: JobStore, gpu: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=1, refill=1, every=1))
    heavy = to("gpu", *jobs(9, "h", needs=["x"], share="h", weight=3))
    await store.submit([job("first", needs=["x"]), *heavy, *to("gpu", *jobs(9, "l", needs=["x"], share="l"))])
    await claim(store)
    started: list[str] = []
    for _ in range(8):
        clock.advance(1)
        started += ids(await claim(gpu, worker="v"))

    assert sum(one.startswith("h") for one in started) == 6


async def test_the_redis_of_a_queue_without_pools_has_none_of_their_keys(store: JobStore, redis: Redis) -> None:
    await store.submit([job("a")])
    await finish_all(store, await claim(store))

    assert await redis.exists(store.keys.pools) == 0
