"""How much one call does, whatever waits: commands are counted, as their time depends on the machine."""

from collections.abc import Awaitable

from redis.asyncio import Redis

from runner.limits import TokenBucket
from runner.store.job_store import JobStore
from runner.store.portions import MOST_PER_CALL
from tests.store.builders import Clock, claim, job, jobs, publish
from tests.store.inside import stream_ids

MOST_COMMANDS = 3 * MOST_PER_CALL
"""Of a call that releases jobs, with what it writes at its end."""


async def commands(redis: Redis, call: Awaitable[object]) -> int:
    """How many a call sends."""
    await redis.config_resetstat()
    await call
    return sum(row["calls"] for name, row in (await redis.info("commandstats")).items() if name != "cmdstat_config|resetstat")


async def test_a_call_releases_a_part_of_many_lines_of_two_limits(redis: Redis, store: JobStore, clock: Clock) -> None:
    await store.submit([job(f"j{number}", needs=[f"own/{number}", "shared"]) for number in range(3 * MOST_PER_CALL)])
    await publish(store, TokenBucket("own", rate="1/s", key="{k}"), TokenBucket("shared", rate="1000/s", burst=1_000))
    while await store.retime():
        pass
    clock.advance(1)

    sent = [await commands(redis, store.refill()) for _ in range(2)]
    while len(await stream_ids(store)) < store.settings.window:
        sent.append(await commands(redis, store.refill()))

    assert max(sent) <= MOST_COMMANDS
    assert len(sent) < 40


async def test_a_call_gives_a_part_of_many_lines_their_turn(redis: Redis, store: JobStore, clock: Clock) -> None:
    """At buckets of their own, from where they go on to one that has nothing to give."""
    await publish(store, TokenBucket("shared", rate="1/d", burst=1))
    await store.submit([job("first", needs=["shared"]), *(job(needs=[f"own/{number}", "shared"]) for number in range(2 * MOST_PER_CALL))])
    await claim(store)
    await publish(store, TokenBucket("own", rate="1/s", key="{k}"))
    while await store.retime():
        pass
    clock.advance(1)

    sent, next_us = list[int](), 0
    while next_us == 0:
        await redis.config_resetstat()
        _, next_us = await store.refill()
        sent.append(sum(row["calls"] for row in (await redis.info("commandstats")).values()))

    assert max(sent) <= MOST_COMMANDS
    assert len(sent) > 3


async def test_a_claim_starts_plain_jobs_in_few_reads_and_dear_ones_in_small_portions(redis: Redis, store: JobStore) -> None:
    await publish(store, *(TokenBucket(name, rate="1000/s", key="{k}") for name in "abc"))
    await store.submit(jobs(MOST_PER_CALL))
    await redis.config_resetstat()
    assert len(await claim(store, MOST_PER_CALL)) == MOST_PER_CALL
    assert (await redis.info("commandstats"))["cmdstat_xreadgroup"]["calls"] <= 4

    await store.submit([job(f"k{number}", needs=[f"{name}/{number}" for name in "abc"]) for number in range(MOST_PER_CALL)])
    await redis.config_resetstat()
    assert len(await claim(store, MOST_PER_CALL)) in range(5, MOST_PER_CALL // 5)
    assert sum(row["calls"] for row in (await redis.info("commandstats")).values()) <= MOST_COMMANDS


async def test_a_call_passes_a_part_of_a_line_whose_jobs_were_deleted(redis: Redis, store: JobStore, clock: Clock) -> None:
    for number in range(12):
        await store.submit(jobs(MOST_PER_CALL, f"{number}-", needs=["x"]))
    for key in await redis.keys(store.keys.job("*")):
        await redis.delete(key)
    await publish(store, TokenBucket("x", rate="1000/s", burst=1_000))
    while await store.retime():
        pass
    clock.advance(1)

    sent = [await commands(redis, store.refill())]
    while await redis.exists(store.keys.line(job(needs=["x"]).line)):
        sent.append(await commands(redis, store.refill()))

    assert max(sent) <= MOST_COMMANDS
    assert len(sent) > 3
