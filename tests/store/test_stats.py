"""Stats: what a queue has in memory, by kind, from some keys of each; and what doctor says of it."""

import pytest

from runner.connection.client import command
from runner.store.finding import Level
from runner.store.job_store import JobStore
from runner.store.memory_findings import examine_memory
from runner.store.stats import MemoryOfKind, MemoryStats, memory_stats
from tests.store.builders import Clock, claim, fail_all, interval, job, jobs, publish, succeeded
from tests.store.flow_world import following


async def test_keys_are_told_by_kind_and_jobs_by_state(store: JobStore) -> None:
    await publish(store, interval("x", every=3600))
    await store.submit(jobs(3, "failed"))
    await fail_all(store, await claim(store))
    await store.submit(jobs(4, "good"))
    await store.finish("w", [succeeded(one, b'"' + b"x" * 5_000 + b'"') for one in await claim(store)])
    await store.submit(jobs(5, needs=["x"]))

    memory = await memory_stats(store)

    kinds = {one.kind: one for one in memory.kinds}
    assert memory.is_complete
    assert {name: kinds[f"jobs {name}"].keys for name in ("failed", "succeeded", "queued")} == {"failed": 3, "succeeded": 4, "queued": 5}
    assert kinds["jobs succeeded"].bytes > 4 * 5_000
    assert {"lines", "streams", "catalog", "history", "ended", "buckets"} <= kinds.keys()
    assert all(one.bytes > 0 for one in memory.kinds)
    assert memory.bytes == sum(one.bytes for one in memory.kinds)
    assert memory.used > memory.bytes
    sizes = [one.bytes for one in memory.kinds]
    assert sizes == sorted(sizes, reverse=True)


async def test_of_many_keys_some_are_measured_and_all_are_counted(store: JobStore) -> None:
    for part in range(5):
        await store.submit([job(f"j{part}-{number}", delay=60) for number in range(100)])

    (scheduled,) = [one for one in (await memory_stats(store)).kinds if one.kind == "jobs scheduled"]

    assert scheduled.keys == 500
    assert 25 <= scheduled.measured < 100
    exact = await command(store.redis, "MEMORY", "USAGE", store.keys.job("j0-0"), "SAMPLES", 0)
    assert 0.8 * 500 * exact < scheduled.bytes < 1.2 * 500 * exact


async def test_keys_of_other_queues_are_passed_over(store: JobStore, redis_url: str, queue: str) -> None:
    other = store.keys.prefix.replace(queue, f"{queue}-other")
    await command(store.redis, "SET", f"{other}job:x", "1", "PX", "60000")

    assert (await memory_stats(store)).kinds == ()
    await command(store.redis, "DEL", f"{other}job:x")


async def test_a_part_of_the_keys_stands_for_the_rest(store: JobStore) -> None:
    for part in range(25):
        await store.submit([job(f"j{part}-{number}", delay=60) for number in range(100)])

    memory = await memory_stats(store, looks_s=0)

    (scheduled,) = [one for one in memory.kinds if one.kind == "jobs scheduled"]
    assert not memory.is_complete
    assert 500 < scheduled.keys < 10_000


async def test_doctor_warns_of_dead_letters_that_have_a_day_left(store: JobStore, clock: Clock) -> None:
    assert [one.level for one in await examine_memory(store)] == [Level.ok]
    await store.submit(jobs(2))
    await fail_all(store, await claim(store))
    seconds, _ = await command(store.redis, "TIME")
    old_us = (int(seconds) - store.settings.failed_ttl_s + 3_600) * 1_000_000
    await command(store.redis, "ZADD", store.keys.failed, old_us, "j0")

    (finding,) = [one for one in await examine_memory(store) if one.level is Level.warning]

    assert finding.check == "dead letters"
    assert "will be forgotten within a day" in finding.text


@pytest.mark.parametrize(("most", "warned"), [(0, False), (1_000_000, False), (50_000, True)])
async def test_doctor_warns_of_results_that_take_a_tenth_of_memory(
    store: JobStore, monkeypatch: pytest.MonkeyPatch, most: int, warned: bool
) -> None:
    async def some(*_: object, **__: object) -> MemoryStats:
        return MemoryStats((MemoryOfKind("jobs succeeded", 100, 6_000, 25),), is_complete=True, used=10_000, most=most)

    monkeypatch.setattr("runner.store.memory_findings.memory_stats", some)

    assert (await examine_memory(store))[0].level is (Level.warning if warned else Level.ok)


async def test_doctor_warns_of_what_one_job_waits_for_and_of_marks_that_grow_without_end(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.submit([*jobs(3, "p"), following("p0", "p1", "p2", name="f")])
    await command(store.redis, "HSET", f"{store.keys.prefix}unique", "work/a", "0 p0", "work/b", "0 p1")
    assert [one.level for one in await examine_memory(store)] == [Level.ok]
    monkeypatch.setattr("runner.store.memory_findings._MOST_AFTER", 2)
    monkeypatch.setattr("runner.store.memory_findings._MOST_MARKS", 1)

    flows, marks = await examine_memory(store)

    assert (flows.level, flows.check, marks.level, marks.check) == (Level.warning, "flows", Level.warning, "marks")
    assert flows.text.startswith("a job or a batch waits for 3 others")
    assert marks.text.startswith("2 marks of unique jobs are kept")
