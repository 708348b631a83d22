"""The cap on jobs that have not ended: counted over streams, lines and schedule, exact, and refused whole."""

from collections.abc import AsyncIterator

import pytest

from runner.connection.client import command
from runner.errors import BacklogFull, StoreFull
from runner.limits import TokenBucket
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, finish_all, interval, job, jobs, make_store, publish
from tests.store.inside import commands, inconsistencies, states

MOST = 10


@pytest.fixture
async def capped(redis_url: str, queue: str, clock: Clock) -> AsyncIterator[JobStore]:
    opened = make_store(redis_url, queue, clock, max_backlog=MOST)
    yield opened
    assert await inconsistencies(opened) == []
    await opened.close()


async def test_ready_waiting_scheduled_and_running_jobs_count_until_they_end(capped: JobStore) -> None:
    await publish(capped, interval("x", every=60))
    await capped.submit([*jobs(3, "free"), *jobs(4, "x", needs=["x"]), *jobs(3, "late", delay=60)])
    started = await claim(capped)
    assert len(started) == 4

    with pytest.raises(BacklogFull, match="has 10 jobs that have not ended, and may have 10") as refused:
        await capped.submit([job("more")])
    assert (refused.value.backlog, refused.value.most, refused.value.refused) == (10, 10, 1)

    await finish_all(capped, started[:2])
    assert await capped.cancel("x2") == "cancelled"
    assert await capped.cancel("late0") == "cancelled"
    with pytest.raises(BacklogFull):
        await capped.submit(jobs(5, "more"))
    assert await capped.submit(jobs(4, "more")) == ["queued"] * 4
    with pytest.raises(BacklogFull):
        await capped.submit([job("one")])


async def test_a_batch_that_does_not_fit_is_refused_whole_and_repeats_are_answered(capped: JobStore) -> None:
    await capped.submit(jobs(8, "a"))

    with pytest.raises(BacklogFull) as refused:
        await capped.submit([*jobs(8, "a"), *jobs(3, "b")])
    assert refused.value.refused == 3
    assert await states(capped, ["b0"]) == ["unknown"]

    assert await capped.submit([*jobs(8, "a"), *jobs(2, "b")]) == ["existing"] * 8 + ["queued"] * 2
    assert await capped.submit(jobs(8, "a")) == ["existing"] * 8
    assert await capped.submit([job("a0", task="other")]) == ["conflict"]


async def test_jobs_of_different_callers_get_what_room_there_is(capped: JobStore) -> None:
    await capped.submit(jobs(8, "a"))

    answers = await capped.submit_each([*jobs(4, "b"), job("a0")])

    assert [answer for answer in answers if not isinstance(answer, StoreFull)] == ["queued", "queued", "existing"]
    assert [type(answer) for answer in answers[2:4]] == [BacklogFull, BacklogFull]
    assert await states(capped, ["b1", "b2"]) == ["queued", "unknown"]


async def test_a_batch_of_several_calls_is_refused_by_the_first(redis_url: str, queue: str, clock: Clock) -> None:
    store = make_store(redis_url, queue, clock, max_backlog=1_200)
    assert await store.submit(jobs(1_200, "a")) == ["queued"] * 1_200
    assert await store.submit(jobs(1_200, "a")) == ["existing"] * 1_200
    with pytest.raises(BacklogFull) as refused:
        await store.submit([*jobs(1_200, "a"), *jobs(2, "b")])
    assert refused.value.refused == 2
    with pytest.raises(BacklogFull):
        await store.submit(jobs(1_200, "c"))
    assert await states(store, ["b0", "c0", "c1199"]) == ["unknown"] * 3
    await store.close()


async def test_every_way_out_of_a_line_makes_room(capped: JobStore, clock: Clock) -> None:
    await publish(capped, TokenBucket("x", rate="1/s", burst=2), interval("y", every=60))
    await capped.submit([*jobs(4, "x", needs=["x"]), *jobs(3, "xy", needs=["x", "y"]), *jobs(3, "w", needs=["y"], max_wait=5)])
    ended = 0
    while ended < 10:
        started = await claim(capped, 3)
        await finish_all(capped, started)
        ended += len(started)
        clock.advance(1)
        ended += (await capped.expire())[0]
        await capped.refill()
    assert int(await command(capped.redis, "GET", capped.keys.waiting)) == 0
    assert await capped.submit(jobs(MOST, "again")) == ["queued"] * MOST


async def test_a_count_that_is_wrong_is_put_right_by_the_leader(capped: JobStore) -> None:
    await publish(capped, interval("x", every=60))
    await capped.submit(jobs(5, needs=["x"]))
    await command(capped.redis, "SET", capped.keys.waiting, 999)
    with pytest.raises(BacklogFull):
        await capped.submit([job("more")])

    await capped.trim()

    assert await capped.submit([job("more")]) == ["queued"]


async def test_a_count_below_nothing_is_nothing(capped: JobStore) -> None:
    await command(capped.redis, "SET", capped.keys.waiting, -5)
    with pytest.raises(BacklogFull):
        await capped.submit(jobs(MOST + 1))
    await capped.trim()


async def test_without_a_cap_nothing_is_counted_and_with_one_it_costs_nine_commands_a_call(store: JobStore, capped: JobStore) -> None:
    await store.submit(jobs(1, "warm"))
    await capped.submit(jobs(1, "warm"))
    before = await commands(store)
    await store.submit(jobs(3, "free"))
    free = await commands(store) - before
    before = await commands(store)
    await capped.submit(jobs(3, "capped"))

    assert await commands(store) - before == free + 9
