"""What doctor finds about schedules and pools: what nobody fires, serves or reads, by name and with what to do."""

from runner.jobs.task_spec import TaskSpec
from runner.store import Level, examine_pools, examine_schedules
from runner.store.job_store import JobStore
from runner.store.schedules import Change
from tests.store.builders import Clock, job, make_store
from tests.store.schedule_builders import declare_in_code, publish_task, put, tick


async def test_doctor_names_schedules_that_nobody_fires_and_those_whose_task_nobody_serves(store: JobStore, clock: Clock) -> None:
    assert [found.level for found in await examine_schedules(store)] == [Level.ok]
    await publish_task(store)
    await store.enlist("w", "{}", ["t:work", "s:in-code"])
    await declare_in_code(store, "in-code", every=10)
    await put(store, "fine", every=10)
    assert [found.text for found in await examine_schedules(store)] == ["2 schedules, each of a task that a live worker serves"]
    await put(store, "idle", task="unheard", every=10)
    await put(store, "stopped", task="unheard", every=10)
    _, (known,) = await store.known_schedules(["stopped"])
    assert known.entry is not None
    await store.change_schedule(Change("stopped", "pause", known.entry.version))
    (found,) = await examine_schedules(store)
    assert (found.level, found.check) == (Level.warning, "schedules")
    assert found.text.startswith(
        "1 schedules (idle (task unheard)) are of tasks that no live worker serves, so that their jobs wait: start"
    )
    clock.advance(300)
    await store.redis.execute_command("HSET", store.keys.schedules, "torn", "nothing")
    await tick(store)
    dormant, idle, damaged = [found.text for found in await examine_schedules(store)]
    assert dormant.startswith("1 schedules (in-code) are not fired, as no live worker declares them: start a worker with their code")
    assert idle.startswith("2 schedules (fine (task work), idle (task unheard)) are of tasks")
    assert damaged.startswith("1 schedules (torn) are not fired, as their entries are damaged")


async def test_doctor_names_pools_with_jobs_or_tasks_that_nobody_reads(redis_url: str, queue: str, clock: Clock, store: JobStore) -> None:
    assert (await examine_pools(store)).level is Level.ok
    await store.submit([job("a")._replace(line="#gpu"), job("b")])
    spec = TaskSpec("report", {}, (), pool="reports")
    await store.publish({"report": spec.to_json()}, ())
    found = await examine_pools(store)
    assert (found.level, found.check) == (Level.warning, "pools")
    assert found.text == (
        "no live worker reads default (1 jobs), gpu (1 jobs), reports (task report): start one with --pool and the name,"
        " or send their jobs to another pool: until then they wait"
    )
    reader = make_store(redis_url, queue, clock, pools="gpu,default,reports")
    await reader.enlist("w", '{"pools": ["gpu", "default", "reports"]}')
    assert (await examine_pools(store)).text == "a live worker reads each pool that has jobs"
    await reader.close()
