"""Releasing from lines: jobs are read from the head of a line together, and what has left is taken out of it, whatever ends the turn."""

import pytest

from runner.connection.client import command
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, finish_all, ids, interval, job, jobs, publish


@pytest.mark.parametrize("burst", [1, 2, 7, 20])
async def test_a_line_gives_as_many_as_there_are_tokens_in_its_order(store: JobStore, clock: Clock, burst: int) -> None:
    await publish(store, interval("x", capacity=burst, refill=burst, every=1))
    await store.submit(jobs(20, needs=["x"]))

    started: list[str] = []
    while len(started) < 20:
        now = await claim(store, 50)
        started += ids(now)
        assert len(now) == min(burst, 20 - len(started) + len(now))
        assert await command(store.redis, "ZCARD", store.keys.line("1|x")) == 20 - len(started)
        await finish_all(store, now)
        clock.advance(1)

    assert started == [f"j{number}" for number in range(20)]


@pytest.mark.parametrize("by", ["claim", "refill"])
async def test_jobs_that_are_gone_or_no_jobs_any_more_are_passed_over(store: JobStore, clock: Clock, by: str) -> None:
    await publish(store, interval("x", capacity=10, refill=10, every=1))
    await store.submit(jobs(10, "first", needs=["x"]))
    await store.submit(jobs(6, needs=["x"]))
    await command(store.redis, "DEL", *[store.keys.job(name) for name in ("j0", "j2", "j5")])

    await finish_all(store, await claim(store, 50))
    clock.advance(1)

    await command(store.redis, "SET", store.keys.job("j2"), "something else")
    if by == "refill":
        await store.refill()

    assert ids(await claim(store, 50)) == ["j1", "j3", "j4"]
    await command(store.redis, "DEL", store.keys.job("j2"))
    assert await command(store.redis, "EXISTS", store.keys.line("1|x")) == 0


async def test_a_dear_job_at_the_head_keeps_its_place_and_those_before_it_leave(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=4, refill=4, every=1))
    await store.submit([job("full", needs=[("x", 4)])])
    await store.submit([job("a", needs=["x"]), job("dear", needs=[("x", 4)]), job("b", needs=["x"])])

    await finish_all(store, await claim(store, 50))
    clock.advance(1)

    first = await claim(store, 50)
    clock.advance(1)
    second = await claim(store, 50)

    assert (ids(first), ids(second)) == (["a"], ["dear"])
    assert await command(store.redis, "ZRANGE", store.keys.line("1|x"), 0, -1) == [b"b"]
