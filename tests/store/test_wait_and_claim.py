"""wait_and_claim: the blocking read and the claim of what it brings, sent at once."""

import asyncio

import pytest
from redis.asyncio import Redis

from runner.connection.client import command
from runner.errors import LeaseLost
from runner.jobs.job import Priority
from runner.store.claimed import Claimed, HeldEntry
from runner.store.claims import ClaimRequest, Look
from runner.store.job_store import JobStore
from tests.eventually import eventually
from tests.store.builders import Clock, enlist, finish_all, ids, interval, job, jobs, publish, succeeded

NOTHING_SEEN = (b"0-0", b"0-0", b"0-0")
LONG_S = 1.0
SHORT_S = 0.01


def latest(held: list[HeldEntry]) -> list[bytes]:
    """The latest entry of each stream."""
    seen = list(NOTHING_SEEN)
    for priority, entry, _ in held:
        seen[priority] = entry
    return seen


async def wait(
    store: JobStore, free: int = 30, seen: list[bytes] | tuple[bytes, ...] = NOTHING_SEEN, block_s: float = LONG_S
) -> tuple[list[HeldEntry], Claimed]:
    return await store.wait_and_claim("w", ClaimRequest(free, look=Look.if_idle), seen, block_s=block_s)


async def is_blocked(redis: Redis) -> bool:
    return "flags=b" in str(await command(redis, "CLIENT", "LIST"))


@pytest.fixture
async def ready(store: JobStore) -> JobStore:
    """A store with a worker, streams and groups."""
    await enlist(store, "w")
    await store.claim("w", ClaimRequest(1, read_more=True))
    return store


async def test_a_job_that_comes_while_the_worker_waits_is_started_by_the_claim_behind_the_read(ready: JobStore, redis: Redis) -> None:
    waiting = asyncio.create_task(wait(ready))
    await eventually(lambda: is_blocked(redis))
    await ready.submit([job("j")])

    held, claimed = await waiting

    assert ids(claimed.jobs) == ["j"]
    assert [entry[2] for entry in held] == [b"j"]
    await finish_all(ready, claimed.jobs)


async def test_what_runs_already_is_not_taken_for_what_was_read(ready: JobStore) -> None:
    await ready.submit(jobs(3))
    held, first = await wait(ready)
    await ready.submit([job("later"), job("urgent", priority=Priority.high)])

    _, second = await wait(ready, seen=latest(held))

    assert ids(first.jobs) == ["j0", "j1", "j2"]
    assert sorted(ids(second.jobs)) == ["later", "urgent"]
    assert {one.attempt for one in second.jobs} == {1}
    await finish_all(ready, [*first.jobs, *second.jobs])


async def test_more_than_one_entry_lets_the_claim_read_on(ready: JobStore) -> None:
    await ready.submit(jobs(9))

    held, claimed = await wait(ready, free=9)

    assert len(held) == 3
    assert len(claimed.jobs) == 9
    await finish_all(ready, claimed.jobs)


async def test_each_entry_of_a_read_finds_a_slot_or_goes_back(ready: JobStore) -> None:
    await ready.submit([job(priority.name, priority=priority) for priority in Priority])

    held, claimed = await wait(ready, free=1)

    assert len(held) == 3
    assert ids(claimed.jobs) == ["high"]
    assert ids((await ready.claim("w", ClaimRequest(5, read_more=True))).jobs) == ["normal", "low"]


async def test_a_wait_that_brings_nothing_starts_those_whose_tokens_have_landed(ready: JobStore, clock: Clock) -> None:
    await publish(ready, interval(every=1))
    await ready.submit(jobs(2, needs=["x"]))
    held, first = await wait(ready)
    clock.advance(1)

    nothing, second = await wait(ready, seen=latest(held), block_s=SHORT_S)

    assert ids(first.jobs) == ["j0"]
    assert nothing == []
    assert ids(second.jobs) == ["j1"]
    await finish_all(ready, [*first.jobs, *second.jobs])


async def test_a_server_that_has_forgotten_the_script_is_told_again(ready: JobStore, redis: Redis) -> None:
    await ready.submit([job("j")])
    await redis.script_flush()

    _, claimed = await wait(ready)

    assert ids(claimed.jobs) == ["j"]
    assert await ready.finish("w", [succeeded(claimed.jobs[0])]) == ["accepted"]


async def test_a_worker_whose_lease_is_lost_hears_of_it(ready: JobStore, redis: Redis) -> None:
    await redis.delete(ready.keys.worker("w"))

    with pytest.raises(LeaseLost):
        await wait(ready, block_s=SHORT_S)
