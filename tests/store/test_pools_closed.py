"""A pool that is saturated or away keeps no token from the others: its lines step aside, and come back once it has a free slot."""

from collections.abc import AsyncIterator

import pytest

from runner.connection.client import command
from runner.jobs import Pausable, Priority
from runner.jobs.submission import Submission
from runner.limits.naming import in_pool
from runner.store.job_store import JobStore
from tests.eventually import eventually
from tests.store.builders import Clock, claim, finish_all, ids, interval, job, jobs, make_store, publish
from tests.store.census import wrong_lists
from tests.store.inside import field


@pytest.fixture
async def gpu(redis_url: str, queue: str, clock: Clock) -> AsyncIterator[JobStore]:
    """A store of workers that read pool gpu alone."""
    store = make_store(redis_url, queue, clock, pools="gpu")
    yield store
    await store.close()


def to(pool: str, *submissions: Submission) -> list[Submission]:
    return [one._replace(line=in_pool(one.line, pool)) for one in submissions]


async def close(store: JobStore, pool: str) -> None:
    """A job lies on the pool's stream for longer than a worker with a free slot would leave it there."""
    await store.submit(
        to(pool, job(task="lies", priority=Priority.low)) if pool != "default" else [job(task="lies", priority=Priority.low)]
    )
    stream = store.keys.stream(Priority.low, pool)

    async def is_old() -> bool:
        seconds, micros = await command(store.redis, "TIME")
        ((entry, _),) = await command(store.redis, "XRANGE", stream, "-", "+", "COUNT", 1)
        return bool(int(seconds) * 1000 + int(micros) // 1000 - int(entry.split(b"-")[0]) > 101)

    await eventually(is_old)


async def aside(store: JobStore, pool: str = "gpu") -> list[str]:
    return [line.decode() for line in await command(store.redis, "ZRANGE", store.keys.lines_of_pool(pool), 0, -1)]


@pytest.mark.parametrize("needs", [["x"], ["x", "y"]])
async def test_jobs_of_a_closed_pool_step_aside_and_others_have_every_token(
    store: JobStore, gpu: JobStore, clock: Clock, needs: list[str]
) -> None:
    await publish(store, interval("x", every=1), interval("y", capacity=100))
    await store.submit([job("first", needs=["x"])])
    assert ids(await claim(store)) == ["first"]
    await store.submit([*to("gpu", *jobs(3, "g", needs=needs)), *jobs(4, "d", needs=["x"])])
    await close(store, "gpu")

    started: list[str] = []
    for _ in range(4):
        clock.advance(1)
        started += ids(await claim(store))

    assert started == ["d0", "d1", "d2", "d3"]
    assert await aside(store) == [in_pool("1|" + ";".join(needs), "gpu")]
    status = (await store.get(["g1"]))[0]
    assert status is not None
    assert (status.state, status.reason, status.position, status.pool) == ("waiting", "no worker", 2, "gpu")
    assert await wrong_lists(store) == []

    clock.advance(1)
    first = await claim(gpu, worker="v", free=2)  # what lies there, and the job whose token is there
    assert [one.task for one in first] == ["lies", "work"]
    await finish_all(gpu, first, worker="v")
    clock.advance(1)
    assert ids(await claim(gpu, worker="v", free=2)) == ["g1"]


async def test_what_is_submitted_to_a_closed_pool_takes_no_token(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=2, every=1))
    await close(store, "gpu")

    await store.submit(to("gpu", *jobs(3, "g", needs=["x"])))

    assert await field(store, "x", "reserved") == 0
    assert ids(await claim(store)) == []
    await store.submit([*jobs(3, "d", needs=["x"])])
    assert ids(await claim(store)) == ["d0", "d1"]


async def test_a_closed_default_pool_is_passed_over(store: JobStore, gpu: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=1))
    await store.submit([job("first", needs=["x"])])
    assert ids(await claim(store)) == ["first"]
    default = [one for n in range(5) for one in jobs(2, f"d{n}.", needs=["x"], share=f"s{n}")]
    await store.submit([*default, *to("gpu", *jobs(4, "g", needs=["x"]))])
    await close(store, "default")

    started: list[str] = []
    for _ in range(4):
        clock.advance(1)
        started += ids(await claim(gpu, worker="v"))

    assert started == ["g0", "g1", "g2", "g3"]
    assert await aside(store, "default") == []


async def test_a_reservation_for_a_pool_lapses_soon(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=60))
    await store.submit(to("gpu", job("g", needs=["x"])))  # released: its pool is open, as nothing lies there
    await store.submit([job("d", needs=["x"])])
    assert ids(await claim(store)) == []

    clock.advance(0.15)

    assert ids(await claim(store)) == ["d"]


async def test_open_pools_brings_back_what_no_worker_has(store: JobStore, gpu: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=1))
    await close(store, "gpu")
    for n in range(5):
        await store.submit(to("gpu", *jobs(2, f"g{n}.", needs=["x"], share=f"s{n}")))
    assert len(await aside(store)) == 5

    assert (await store.open_pools())[:2] == (True, 0)
    await finish_all(gpu, await claim(gpu, worker="v", free=1), worker="v")
    assert (await store.open_pools())[:2] == (True, 5)
    assert await aside(store) == []


async def test_lines_come_back_in_turns_and_by_weight(store: JobStore, gpu: JobStore, clock: Clock) -> None:
    """Each claim has one slot, so that all but one line step aside again and again."""
    await publish(store, interval("x", capacity=100))
    await close(store, "gpu")
    heavy = jobs(20, "h", needs=["x"], share="h", weight=3)
    await store.submit(to("gpu", *heavy, *[one for n in range(40) for one in jobs(5, f"l{n}.", needs=["x"], share=f"l{n}")]))

    await finish_all(gpu, await claim(gpu, worker="v", free=1), worker="v")
    started: list[str] = []
    for _ in range(86):
        here = await claim(gpu, worker="v", free=1)
        started += ids(here)
        await finish_all(gpu, here, worker="v")
        clock.advance(1)

    shares = [one.partition(".")[0] for one in started]
    assert len(started) == 86
    counts = [shares.count(f"l{n}") for n in range(40)], sum(one.startswith("h") for one in started)
    assert counts == ([2] * 40, 6)


async def test_a_cancelled_line_leaves_the_order_of_its_pool(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=1))
    await close(store, "gpu")
    await store.submit(to("gpu", job("g", needs=["x"])))
    assert len(await aside(store)) == 1

    await store.cancel("g")

    assert await aside(store) == []


async def test_an_unused_pool_is_forgotten_after_a_day(store: JobStore, gpu: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"))
    await close(store, "gpu")
    await store.submit(to("gpu", job("g", needs=["x"])))
    await store.submit(to("other", job("o")))
    await finish_all(gpu, await claim(gpu, worker="v"), worker="v")
    assert await command(store.redis, "EXISTS", store.keys.pools_turns) == 1
    clock.advance(86_401)

    assert (await store.open_pools()).forgotten == ["gpu"]
    assert await command(store.redis, "EXISTS", store.keys.pools_turns) == 0
    assert [pool.name for pool in await store.pools()] == ["default", "other"]


async def test_the_list_of_pools_says_what_is_in_them(store: JobStore, gpu: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=1))
    await store.submit([*to("gpu", *jobs(3, "g")), *jobs(2, "d")])
    await gpu.enlist("v", '{"pools":["gpu"],"slots":4}')
    await claim(gpu, worker="u", free=1)
    await close(store, "gpu")
    await store.submit(to("gpu", *jobs(2, "x", needs=["x"])))

    default, one = await store.pools()

    assert (default.name, default.ready, default.running, default.readers) == ("default", 2, 0, 1)
    assert (one.name, one.ready, one.running, one.waiting, one.lines, one.readers, one.slots) == ("gpu", 3, 1, 2, 1, 1, 4)


async def test_jobs_of_a_paused_pool_step_aside_and_go_on_after_it(store: JobStore, gpu: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=9, every=1))
    await store.submit(to("gpu", job("free"), job("limited", needs=["x"])))
    await store.set_pause(Pausable.pool, "gpu", "repair", 0)
    await store.submit(to("gpu", job("later", needs=["x"])))

    assert await claim(gpu, worker="v") == []
    assert await field(store, "x", "reserved") == 0
    for status in await store.get(["free", "limited", "later"]):
        assert status is not None
        assert (status.state, status.reason) == ("waiting", "paused")

    await store.end_pause(Pausable.pool, "gpu")
    assert sorted(ids(await claim(gpu, worker="v"))) == ["free", "later", "limited"]
