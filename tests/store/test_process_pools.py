"""Jobs in child processes: they are in a pool of their own beside that of their task, and claims for children alone start them."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from runner.clock import monotonic_s
from runner.connection.client import command
from runner.errors import ConfigurationError
from runner.jobs import JobFilter, Outcome, Pausable, Priority, StartedJob
from runner.jobs.job import Ending
from runner.jobs.submission import Submission
from runner.limits.naming import in_pool
from runner.settings import Settings
from runner.store.claims import ClaimRequest, Declined, Look
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, finish_all, ids, interval, job, jobs, make_store, publish, slot
from tests.store.census import listed
from tests.store.inside import field

HEAVY = "\nheavy\n"


@pytest.fixture
async def heavy(redis_url: str, queue: str, clock: Clock) -> AsyncIterator[JobStore]:
    """A store of workers that read the default pool and run tasks in child processes."""
    store = JobStore(redis_url, queue, Settings(), now_us=lambda: clock.now_us, has_processes=True)
    await store.enlist("h", "{}", ["t:heavy", "p:default.process"])
    yield store
    await store.close()


@pytest.fixture
async def other(redis_url: str, queue: str, clock: Clock) -> AsyncIterator[JobStore]:
    """A store of workers that read pool gpu alone and run tasks in child processes."""
    store = JobStore(redis_url, queue, Settings(pools="gpu"), now_us=lambda: clock.now_us, has_processes=True)
    await store.enlist("o", "{}", ["t:heavy", "p:gpu", "p:gpu.process", "p:"])
    yield store
    await store.close()


def sent(*submissions: Submission, pool: str = "default.process") -> list[Submission]:
    """As producers of this version send jobs of a task that runs in processes."""
    return [one._replace(line=in_pool(one.line, pool), task="heavy") for one in submissions]


async def others(store: JobStore, free: int = 100, worker: str = "h") -> list[StartedJob]:
    """What a worker starts in its other slots."""
    return (await store.claim(worker, ClaimRequest(free, read_more=True, alone=True, in_processes=HEAVY))).jobs


async def children(store: JobStore, free: int = 100, worker: str = "h") -> list[StartedJob]:
    """What it starts in its children."""
    return (await store.claim(worker, ClaimRequest(free, read_more=True, alone=True, for_children=True))).jobs


async def test_claims_for_children_and_others_start_nothing_of_each_other(heavy: JobStore) -> None:
    await heavy.submit([*sent(*jobs(3, "p")), *jobs(3, "a")])

    plain, in_processes = await others(heavy), await children(heavy, 2)

    assert ids(plain) == ["a0", "a1", "a2"]
    assert ids(in_processes) == ["p0", "p1"]
    assert {one.stream for one in plain} == {1}
    assert {one.stream for one in in_processes} == {4}, "its number among those the worker reads, so that it is the worker's alone"
    await finish_all(heavy, [*plain, *in_processes], worker="h")
    assert ids(await children(heavy)) == ["p2"]
    assert [one.pool for one in await heavy.get(["p2", "a0"]) if one] == ["default.process", "default"]


@pytest.mark.parametrize("pool", ["default", "gpu"])
@pytest.mark.parametrize(
    ("needs", "share", "weight"), [((), "", 1), (("x",), "", 1), (("x", "y"), "", 1), (("x",), "t1", 1), (("x",), "t1", 3)]
)
async def test_a_job_of_a_producer_that_knows_of_no_such_pools_is_moved_and_keeps_what_it_has(
    heavy: JobStore, other: JobStore, needs: tuple[str, ...], share: str, weight: int, pool: str
) -> None:
    await publish(heavy, interval("x", capacity=9), interval("y", capacity=9))
    store, worker = (heavy, "h") if pool == "default" else (other, "o")
    old = job("old", needs=needs, share=share, weight=weight, task="heavy", priority=Priority.high)
    line = in_pool(old.line, f"{pool}.process")
    await store.submit([old if pool == "default" else old._replace(line=in_pool(old.line, pool))])

    assert await others(store, worker=worker) == []

    assert await store.redis.hget(store.keys.job("old"), "line") == line.encode()
    (started,) = await children(store, worker=worker)
    assert (started.id, started.priority) == ("old", Priority.high)
    await finish_all(store, [started], worker=worker)
    (status,) = await store.get(["old"])
    assert status is not None
    assert (status.state, status.pool) == ("succeeded", f"{pool}.process")
    if needs:
        assert await field(store, "x", "reserved") == 0


async def test_one_that_comes_to_an_idle_worker_is_moved_too(heavy: JobStore) -> None:
    await heavy.submit([job("old", task="heavy")])

    held, claimed = await heavy.wait_and_claim("h", ClaimRequest(9, look=Look.if_idle, in_processes=HEAVY), [b"0-0"] * 6, block_s=5)

    assert ([entry[2] for entry in held], claimed.jobs) == ([b"old"], [])
    assert ids(await children(heavy)) == ["old"]


async def test_jobs_behind_a_limit_start_in_their_order_however_few_children_there_are(heavy: JobStore, clock: Clock) -> None:
    await publish(heavy, interval("x", every=1))
    await heavy.submit(sent(*jobs(40, "p", needs=["x"])))
    started: list[str] = []
    for _ in range(100):
        clock.advance(0.7)
        await heavy.refill()
        here = await children(heavy, 1)
        started += ids(here)
        clock.advance(0.9)
        await heavy.refill()
        assert await children(heavy, 0) == []
        await finish_all(heavy, here, worker="h")

    assert started == [f"p{n}" for n in range(40)]


async def test_jobs_without_limits_start_in_their_order(heavy: JobStore) -> None:
    await heavy.submit(sent(*jobs(60, "p")))
    started: list[str] = []
    for free in (1, 3, 1, 2) * 9:
        here = await children(heavy, free)
        await finish_all(heavy, here, worker="h")
        started += ids(here)

    assert started == [f"p{n}" for n in range(60)]


async def test_a_job_that_waits_for_a_child_holds_no_token_and_no_slot_of_a_limit(heavy: JobStore, clock: Clock) -> None:
    await publish(heavy, interval("x", capacity=10, every=600))
    await heavy.submit(sent(*jobs(40, "p", needs=["x", slot("c")])))
    clock.advance(0.2)

    await heavy.submit(jobs(10, "a", needs=["x"]))

    assert ids(await others(heavy)) == [f"a{n}" for n in range(10)], "jobs that have no child have kept tokens"
    assert await field(heavy, "c", "reserved") == 0


async def test_a_pause_of_a_pool_pauses_its_jobs_in_processes_too(heavy: JobStore) -> None:
    await heavy.submit([*sent(*jobs(2, "p")), *jobs(2, "a")])
    await heavy.set_pause(Pausable.pool, "default", "a test", 0)

    assert await children(heavy) == await others(heavy) == []
    (status,) = await heavy.get(["p0"])
    assert status is not None
    assert status.pause is not None
    assert (status.state, status.pause.target) == ("waiting", "pool default")

    await heavy.end_pause(Pausable.pool, "default")
    assert ids(await children(heavy)) == ["p0", "p1"]
    assert ids(await others(heavy)) == ["a0", "a1"]


async def test_jobs_in_processes_are_paused_alone_by_their_pool(heavy: JobStore) -> None:
    await heavy.submit([*sent(*jobs(2, "p")), *jobs(2, "a")])
    await heavy.set_pause(Pausable.pool, "default.process", "a test", 0)

    assert await children(heavy) == []
    assert ids(await others(heavy)) == ["a0", "a1"]
    assert await heavy.cancel("p0") == "cancelled"
    await heavy.end_pause(Pausable.pool, "default.process")
    assert ids(await children(heavy)) == ["p1"]


async def test_a_list_of_a_pool_has_its_jobs_in_processes(heavy: JobStore) -> None:
    await heavy.submit([*sent(job("p")), job("a"), *sent(job("g"), pool="gpu.process")])

    async def found(pool: str) -> list[str]:
        return sorted(await listed(heavy, JobFilter(pool=pool)))

    assert (await found("default"), await found("default.process"), await found("gpu")) == (["a", "p"], ["p"], ["g"])


async def test_a_wait_for_them_takes_nothing_and_ends_with_one_that_was_not_seen(heavy: JobStore) -> None:
    await heavy.submit([*jobs(3, "a"), *sent(job("p0"))])
    nothing = [b"0-0"] * 6

    ((stream, entry, job_id),) = await heavy.wait_for_process_jobs(nothing, block_s=5)

    assert (stream, job_id) == (4, b"p0")
    assert ids(await children(heavy)) == ["p0"], "the look has taken it"
    began_s = monotonic_s()
    assert await heavy.wait_for_process_jobs([*nothing[:4], entry, b"0-0"], block_s=0.1) == []
    assert monotonic_s() - began_s > 0.09


async def test_what_a_worker_does_not_run_in_children_it_gives_back_and_declines(heavy: JobStore) -> None:
    await publish(heavy, interval("x", capacity=9))
    await heavy.submit(sent(*jobs(4, "p", needs=["x"])))
    kept, lost = await children(heavy, 2)

    assert await heavy.reconcile("h", [kept]) == 1
    claimed = await heavy.claim("h", ClaimRequest(9, read_more=True, for_children=True, unserved=HEAVY))
    assert claimed.jobs == []
    assert [(stream, one) for stream, _, one in claimed.unserved] == [(4, b"p2"), (4, b"p3"), (4, lost.id.encode())]
    assert list(await heavy.decline("h", [Declined(one) for one in claimed.unserved])) == ["accepted"] * 3
    assert await heavy.reconcile("h", [kept]) == 0


async def test_a_suspect_that_runs_in_a_child_runs_alone(heavy: JobStore, clock: Clock) -> None:
    await heavy.submit(sent(*jobs(2, "p")))
    await command(heavy.redis, "HSET", heavy.keys.job("p0"), "crashes", 2)

    claimed = await heavy.claim("h", ClaimRequest(2, read_more=True, for_children=True))
    assert claimed.jobs == []
    assert claimed.suspect is not None
    assert claimed.suspect[::2] == (4, b"p0")

    request = ClaimRequest(1, [claimed.suspect], look=Look.no, alone=True, for_children=True)
    (started,) = (await heavy.claim("h", request)).jobs
    assert (started.id, started.stream) == ("p0", 4)
    outcome = Outcome(started, Ending.succeeded, b"null", ttl_ms=1000)
    assert list(await heavy.finish("h", [outcome])) == ["accepted"]


@pytest.mark.parametrize("needs", [(), ("x",), ("x", "y")])
@pytest.mark.parametrize("pool", ["default", "gpu"])
async def test_jobs_go_to_the_pool_beside_once_the_workers_of_that_run_their_task_otherwise(
    heavy: JobStore, redis_url: str, queue: str, clock: Clock, needs: tuple[str, ...], pool: str
) -> None:
    await publish(heavy, interval("x", capacity=99), interval("y", capacity=99))
    await heavy.submit(sent(*jobs(30, "p", needs=needs), pool=f"{pool}.process"))
    plain = make_store(redis_url, queue, clock, pools=pool)
    heard = [] if pool == "default" else ["p:gpu", "p:"]

    await plain.enlist("w", "{}", ["t:other", *heard])
    await plain.open_pools()
    assert await claim(plain) == [], "nobody serves their task"

    await plain.enlist("w", "{}", ["t:heavy", *heard])
    started: list[str] = []
    for _ in range(60):
        await plain.open_pools()
        clock.advance(0.2)
        here = await claim(plain)
        await finish_all(plain, here)
        started += ids(here)

    assert sorted(started) == sorted(f"p{n}" for n in range(30))
    before = job(needs=needs).line if pool == "default" else in_pool(job(needs=needs).line, pool)
    assert await plain.redis.hget(plain.keys.job("p7"), "line") == (before.encode() or None)
    await plain.close()


async def test_jobs_stay_in_a_pool_of_processes_that_a_live_worker_reads(heavy: JobStore, store: JobStore) -> None:
    await heavy.submit(sent(*jobs(3, "p")))
    await store.enlist("w", "{}", ["t:heavy"])

    await store.open_pools()

    assert await claim(store) == []
    assert ids(await children(heavy)) == ["p0", "p1", "p2"]


async def test_the_most_pools_that_a_queue_can_have_have_one_for_processes_each(store: JobStore, redis_url: str, queue: str) -> None:
    for number in range(32):
        await store.submit([job()._replace(line=f"#p{number}")])
    for pool in ("default", *(f"p{number}" for number in range(32))):
        await store.submit(sent(job(), pool=f"{pool}.process"))

    assert len(await store.pools()) == 66
    reader = JobStore(redis_url, queue, Settings(pools="one-more"), has_processes=True)
    with pytest.raises(ConfigurationError, match="one-more"):
        await reader.enlist("v", "{}")
    await reader.close()


async def test_a_queue_without_tasks_in_processes_has_none_of_their_keys(store: JobStore, redis: Redis) -> None:
    await store.submit([job("a")])
    await finish_all(store, await claim(store))

    assert not [key for key in await store.all_keys() if b"process" in key]
