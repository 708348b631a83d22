"""The judge of every fault test: each invariant passes a queue that is well, and finds what is wrong with one that is not."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from runner import Settings
from runner.connection.client import command
from runner.store.job_store import JobStore
from runner.store.keys import GROUP, Keys
from tests import invariants
from tests.conftest import connect
from tests.eventually import eventually
from tests.servers import Server
from tests.store.builders import claim, enlist, finish_all, interval, job, jobs, publish, read

LIMIT = interval("x", capacity=2, refill=1, every=60)


@pytest.fixture
async def store(redis_url: str, queue: str, redis: Redis) -> AsyncIterator[JobStore]:
    """A store by Redis's own clock; worker `w` has run two jobs to their end."""
    opened = JobStore(redis_url, queue, Settings(record_starts=True))
    await publish(opened, LIMIT)
    await opened.submit(jobs(2, needs=["x"]))
    await finish_all(opened, await claim(opened))
    yield opened
    await redis.delete(opened.keys.starts)
    await opened.close()


async def found(redis: Redis, queue: str) -> list[str]:
    return await invariants.violations(redis, queue, ["j0", "j1"], limits=[LIMIT], runs={"j0": 1, "j1": 1}, live=["w"])


async def test_a_queue_that_is_well_has_no_violations(store: JobStore, redis: Redis, queue: str) -> None:
    assert await found(redis, queue) == []


async def test_a_lost_job_is_found(store: JobStore, redis: Redis, queue: str) -> None:
    await store.submit([job("left"), job("started")])
    await claim(store, free=1)

    assert await invariants.unfinished(redis, queue, ["j0", "left", "started", "never"]) == [
        "job left is 'running'",
        "job started is 'queued'",
        "job never is ''",
    ]


async def test_a_run_too_many_is_found(store: JobStore, redis: Redis, queue: str) -> None:
    assert await invariants.ran_too_often(redis, queue, ["j0", "j1"], {"j0": 1, "j1": 2}) == [
        "job j1 ran 2 times, with 0 workers lost and 0 retries"
    ]
    await redis.hset(Keys(queue).job("j1"), mapping={"crashes": 1, "failures": 1, "throttled": 1})

    assert await invariants.ran_too_often(redis, queue, ["j1"], {"j1": 4}, faults=1) == []
    assert await invariants.ran_too_often(redis, queue, ["j1"], {"j1": 4}, faults=0) == ["job j1 has lost 1 workers in 0 faults"]


async def test_a_start_over_the_limit_is_found(store: JobStore, redis: Redis, queue: str) -> None:
    (last, fields), *_ = await command(redis, "XREVRANGE", store.keys.starts, "+", "-", "COUNT", 1)
    await command(redis, "XADD", store.keys.starts, "*", *[part for name in fields for part in (name, fields[name])])

    assert last
    assert invariants.over_limit(await invariants.starts_of(redis, queue), [LIMIT]) == ["1 tokens of x too many in some window"]


async def test_a_second_outcome_is_found(store: JobStore, redis: Redis, queue: str) -> None:
    await redis.xadd(store.keys.history, {"job": "j0", "task": "work", "state": "failed", "attempt": "1"})

    assert await invariants.settled_twice(redis, queue) == ["job j0 has 2 outcomes"]


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        ("XADD {p}stream:low * id j0", "1 entries on {p}stream:low"),
        ("XGROUP CREATECONSUMER {p}stream:high workers ghost", "consumer ghost of {p}stream:high is no live worker"),
        ("ZADD {p}workers 0 ghost", "worker ghost is enlisted and does not live"),
        ("ZREM {p}workers w", "worker w lives and is not enlisted"),
        ("ZADD {p}line:x 1 j0", "line:x is not empty"),
        ("ZADD {p}lines:waiting:x 1 x", "lines:waiting:x is not empty"),
        ("ZADD {p}scheduled 1 j0", "scheduled is not empty"),
        ("HSET {p}records 1|x;y 1", "records is not empty"),
        ("HSET {p}bucket:x reserved 5 released 1", "bucket:x has 1 jobs with 5 credits reserved"),
        ("PERSIST {p}job:j0", "{p}job:j0 has no time to live"),
        ("PERSIST {p}worker:w", "{p}worker:w has no time to live"),
        ("SET {p}unheard-of 1", "{p}unheard-of has no time to live"),
    ],
)
async def test_what_is_left_behind_is_found(store: JobStore, redis: Redis, queue: str, spoil: str, expected: str) -> None:
    prefix = store.keys.prefix
    await command(redis, *spoil.format(p=prefix).split())

    assert await invariants.left_behind(redis, queue, ["w"]) == [expected.format(p=prefix)]
    await redis.flushdb()  # what was spoilt may have no time to live


async def test_a_held_entry_is_found(store: JobStore, redis: Redis, queue: str) -> None:
    await store.submit([job("held")])
    await enlist(store, "w")
    await read(store, "w", 1)

    stream = f"{store.keys.prefix}stream:normal"
    assert await invariants.left_behind(redis, queue, ["w"]) == [f"1 entries on {stream}", f"w holds 1 entries of {stream}"]
    await command(redis, "XGROUP", "DESTROY", stream, GROUP)


async def test_a_status_that_is_not_true_is_found(store: JobStore, redis: Redis, queue: str) -> None:
    await store.submit([job("running")])
    await claim(store)
    assert await invariants.untrue(redis, queue, ["j0", "j1", "running"]) == []

    await redis.zadd(store.keys.workers, {"w": 1})
    await redis.hset(store.keys.job("j0"), "state", "failed")
    await redis.hset(store.keys.job("j1"), "attempt", "2")

    assert await invariants.untrue(redis, queue, ["j0", "j1", "running"]) == [
        "job j0 is 'failed' by attempt 1, of which the history knows nothing",
        "job j1 is 'succeeded' by attempt 2, of which the history knows nothing",
        "job running is 'running' at w, which holds no lease",
    ]


async def test_memory_that_does_not_come_back_is_found(private_server: Server) -> None:
    store = JobStore(private_server.url, "memory", Settings())

    async def work(round_: str) -> None:
        await store.submit([job(f"{round_}{number}", args=b'"' + b"x" * 10_000 + b'"') for number in range(100)])
        await finish_all(store, await claim(store))

    async with connect(private_server.url) as redis:
        await work("first")
        before = await invariants.bytes_unaccounted(redis, "memory")
        await work("second")

        async def memory_is_back() -> bool:
            return not await invariants.memory_grown(redis, "memory", before)

        await eventually(memory_is_back)  # a server shrinks the buffers of its clients now and then
        await redis.set("elsewhere", "x" * 1_000_000)
        (grown,) = await invariants.memory_grown(redis, "memory", before)
        assert "bytes are in no key" in grown
    await store.close()
