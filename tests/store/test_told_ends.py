"""Jobs that end otherwise than by an attempt, kept for those whose hooks want to know: each is taken once, and nothing is kept for nobody."""

from runner.connection.client import command
from runner.jobs.job import Ending
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, job, jobs, succeeded

HOUR_S = 3_600


async def kept(store: JobStore, task: str = "work") -> int:
    return int(await command(store.redis, "LLEN", store.keys.ends(task)))


async def test_a_cancelled_job_is_taken_once(store: JobStore) -> None:
    await store.take_ends(["work"], announce=True)
    await store.submit(jobs(3))
    ids = ["j0", "j1", "j2"]
    for job_id in ids:
        await store.cancel(job_id)
        await store.cancel(job_id)

    assert sorted(await store.take_ends(["other", "work"], announce=False)) == sorted(ids)
    assert await store.take_ends(["work"], announce=False) == []


async def test_an_end_by_an_attempt_is_not_kept(store: JobStore) -> None:
    await store.take_ends(["work"], announce=True)
    await store.submit([job("a"), job("b", needs=["x"]), job("c"), job("d")])
    a, c, d = await claim(store, free=3)
    outcomes = [
        succeeded(a),
        succeeded(c)._replace(ending=Ending.failed, payload=b"{}"),
        succeeded(d)._replace(ending=Ending.retry, payload=b"{}"),
    ]
    assert set(await store.finish("w", outcomes)) == {"accepted"}
    assert await kept(store) == 0


async def test_nothing_is_noted_of_tasks_whose_hooks_nobody_has_announced_for_a_day(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a"), job("b", task="other"), job("c"), job("d")])
    await store.cancel("a")
    assert await kept(store) == 0
    await store.take_ends(["work"], announce=True)
    await store.cancel("b")
    assert await kept(store, "other") == 0
    clock.advance(23 * HOUR_S)
    await store.cancel("c")
    assert await kept(store) == 1
    clock.advance(2 * HOUR_S)
    await store.cancel("d")
    assert await kept(store) == 1


async def test_a_list_that_nobody_reads_keeps_the_latest(store: JobStore) -> None:
    await store.take_ends(["work"], announce=True)
    key = store.keys.ends("work")
    await command(store.redis, "RPUSH", key, *(f"old-{n}" for n in range(10_000)))
    await store.submit([job("a")])
    await store.cancel("a")
    assert await kept(store) == 10_000
    assert await command(store.redis, "LRANGE", key, 0, 0) == [b"old-1"]
    assert await command(store.redis, "LRANGE", key, -1, -1) == [b"a"]
    assert await command(store.redis, "PTTL", key) > 0


async def test_many_are_taken_in_pages_of_all_tasks(store: JobStore) -> None:
    await store.take_ends(["work", "other"], announce=True)
    submitted = [job(f"{task}-{n}", task=task) for task in ("work", "other") for n in range(80)]
    for at in range(0, len(submitted), 40):
        await store.submit(submitted[at : at + 40])
    for each in submitted:
        await store.cancel(each.id)
    first = await store.take_ends(["work", "other"], announce=False)
    second = await store.take_ends(["work", "other"], announce=False)
    assert (len(first), len(second)) == (100, 60)
    assert {*first, *second} == {each.id for each in submitted}


async def test_a_damaged_list_holds_up_no_cancel(store: JobStore) -> None:
    await store.take_ends(["work"], announce=True)
    await command(store.redis, "SET", store.keys.ends("work"), "x", "EX", 60)
    await command(store.redis, "DEL", store.keys.hooked)
    await command(store.redis, "SET", store.keys.hooked, "x", "EX", 60)
    await store.submit([job("a")])
    assert await store.cancel("a") == "cancelled"
    await command(store.redis, "DEL", store.keys.hooked)
    await command(store.redis, "ZADD", store.keys.hooked, 2**52, "work")
    await command(store.redis, "EXPIRE", store.keys.hooked, 60)
    await store.submit([job("b")])
    assert await store.cancel("b") == "cancelled"
