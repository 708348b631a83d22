"""Workers that are killed, stopped or kill themselves: their jobs go on elsewhere, once each as far as anybody can tell."""

import asyncio
import random
from itertools import pairwise
from typing import Any

import pytest
from redis.asyncio import Redis

from runner.connection.client import command
from runner.jobs import JobError, Priority
from runner.store.keys import GROUP, Keys
from tests import invariants
from tests.eventually import eventually
from tests.process.apps import DEATHS, FAST, METERED, App
from tests.process.crew import Crew, final, worker_ids
from tests.recovery import Recovery
from tests.starvation import Starvation

RECOVERY_S = float(FAST["lease_s"]) + float(FAST["reclaim_s"]) + 3.0


@pytest.mark.fault("F01", bound_s=RECOVERY_S)
async def test_jobs_of_a_killed_worker_run_again_on_another(app: App, redis: Redis, queue: str, crew: Crew, recovery: Recovery) -> None:
    first, _ = await crew.start(), await crew.start()
    ids = await app.submit(app.nap, range(10), 2.5)
    await eventually(lambda: app.runs().total() == 10)
    killed = (await worker_ids(redis, queue))[first.pid]
    held = [job_id for job_id, record in (await invariants.records_of(redis, queue, ids)).items() if record.worker == killed]
    assert held

    await first.kill()
    recovery.begins()
    await eventually(lambda: all(app.runs()[job_id] == 2 for job_id in held))
    recovery.ends()

    await final(redis, queue, ids)
    for job_id in ids:
        status, hit = await app.runner.client.status(job_id), int(job_id in held)
        assert (status.state, status.attempt, status.crashes, status.failures) == ("succeeded", 1 + hit, hit, 0)
    await eventually(lambda: clean(app, redis, queue, ids))
    assert len(await worker_ids(redis, queue)) == 1


@pytest.mark.fault("X06", bound_s=RECOVERY_S + 3.0)
async def test_jobs_whose_entries_and_worker_are_lost_run_again_once(
    app: App, redis: Redis, queue: str, crew: Crew, recovery: Recovery
) -> None:
    first, second = await crew.start(), await crew.start()
    ids = await app.submit(app.nap, range(10), 2.5)
    await eventually(lambda: app.runs().total() == 10)
    names = await worker_ids(redis, queue)
    records = await invariants.records_of(redis, queue, ids)
    held = [job_id for job_id, record in records.items() if record.worker == names[first.pid]]
    assert held
    for job_id in ids:  # those of the worker that lives too: it knows what it runs
        entry = await redis.hget(Keys(queue).job(job_id), "entry") or b""
        await redis.xack(Keys(queue).stream(Priority.normal), GROUP, entry)
        await redis.xdel(Keys(queue).stream(Priority.normal), entry)

    await first.kill()
    recovery.begins()
    await eventually(lambda: all(app.runs()[job_id] == 2 for job_id in held))
    recovery.ends()

    await final(redis, queue, ids)
    for job_id in ids:
        status, hit = await app.runner.client.status(job_id), int(job_id in held)
        assert (status.state, status.attempt, status.crashes) == ("succeeded", 1 + hit, hit)
    assert app.runs() == {job_id: 1 + (job_id in held) for job_id in ids}
    assert second in crew.alive
    await eventually(lambda: clean(app, redis, queue, ids))


@pytest.mark.every_server
@pytest.mark.fault("F17", bound_s=RECOVERY_S)
async def test_when_the_leader_is_killed_waiting_jobs_go_on_starting_and_another_leads(
    app: App, redis: Redis, queue: str, crew: Crew, recovery: Recovery
) -> None:
    leader = await crew.start()
    other = await crew.start()
    ids = await app.submit(app.metered, range(300))
    await eventually(lambda: app.runs().total() > 50)
    await leader.kill()
    recovery.begins()
    starvation = Starvation()

    await eventually(lambda: leads(redis, queue, other.pid))
    recovery.ends()
    await final(redis, queue, ids)
    starts = [start.at_us for start in await invariants.starts_of(redis, queue)]
    assert max(later - earlier for earlier, later in pairwise(starts)) / 1e6 - starvation.seconds < 2.5
    await eventually(lambda: clean(app, redis, queue, ids))


@pytest.mark.every_server
@pytest.mark.fault("F01", bound_s=RECOVERY_S)
async def test_workers_killed_at_random_lose_no_job_and_break_no_limit(
    app: App, redis: Redis, queue: str, crew: Crew, recovery: Recovery, fault_repeats: int
) -> None:
    chance = random.Random(7)
    for _ in range(3):
        await crew.start(max_crashes=100)
    ids = await app.submit(app.metered, range(300 * fault_repeats), 0.05)
    for _ in range(10 * fault_repeats):
        done = app.runs().total()
        await eventually(lambda: app.runs().total() > done + chance.randrange(5, 30) or len(app.runs()) >= 0.97 * len(ids))  # noqa: B023 - awaited at once
        await chance.choice(crew.alive).kill()
        await crew.launch(max_crashes=100)
    await eventually(lambda: len(app.runs()) >= 0.97 * len(ids), 30 * fault_repeats)
    await chance.choice(crew.alive).kill()
    recovery.begins()
    await final(redis, queue, ids)
    recovery.ends()

    runs = app.runs()
    for job_id in ids:
        status = await app.runner.client.status(job_id)
        assert status.state == "succeeded"
        assert runs[job_id] <= 1 + status.crashes
    await eventually(lambda: clean(app, redis, queue, ids), RECOVERY_S)


@pytest.mark.fault("F35", bound_s=3 * 15)
async def test_a_job_that_kills_its_workers_becomes_a_dead_letter_and_harms_no_other(
    app: App, redis: Redis, queue: str, crew: Crew, recovery: Recovery
) -> None:
    await crew.start(lease_s=1, renew_s=0.2)
    recovery.begins()
    (poison,) = await app.submit(app.lethal, range(1), "exit", 0.2)
    beside = await app.submit(app.nap, range(1, 4), 0.7)  # they run beside it, and are lost with it
    others = await app.submit(app.nap, range(4, 31))
    for _ in range(3):
        await eventually(lambda: not crew.alive)
        await crew.start(lease_s=1, renew_s=0.2)
    await final(redis, queue, [poison, *beside, *others])
    recovery.ends()

    status = await app.runner.client.status(poison)
    assert (status.state, status.crashes, app.runs()[poison]) == ("failed", 3, 3)
    assert status.error == JobError("poison", "its worker was lost 3 times while it ran, the last time with no other job")
    innocent = [await app.runner.client.status(job_id) for job_id in beside]
    assert {(job.state, job.crashes) for job in innocent} == {("succeeded", 2)}
    assert {(await app.runner.client.status(job_id)).state for job_id in others} == {"succeeded"}
    await eventually(lambda: clean(app, redis, queue, [poison, *beside, *others]))
    assert len(crew.alive) == 1


@pytest.mark.fault("F35", bound_s=15)
async def test_however_a_job_kills_its_worker_it_is_given_up_and_one_that_only_eats_memory_fails(
    app: App, redis: Redis, queue: str, crew: Crew, recovery: Recovery
) -> None:
    settings: dict[str, Any] = {"lease_s": 1, "renew_s": 0.2, "concurrency": 1, "max_crashes": 1}
    await asyncio.gather(*[crew.start(**settings) for _ in DEATHS])
    ids = [job_id for number, how in enumerate(DEATHS) for job_id in await app.submit(app.lethal, range(number, number + 1), how, 0.5)]
    await eventually(lambda: not crew.alive)
    recovery.begins()
    (hungry,) = await app.submit(app.hungry, range(10, 11))
    last = await crew.start(**settings)
    await final(redis, queue, [*ids, hungry])
    recovery.ends()

    errors = [(await app.runner.client.status(job_id)).error for job_id in [*ids, hungry]]
    assert [error and error.type for error in errors] == ["poison"] * len(DEATHS) + ["MemoryError"]
    assert app.runs() == dict.fromkeys([*ids, hungry], 1)
    assert crew.alive == [last]


async def leads(redis: Redis, queue: str, pid: int) -> bool:
    leader = await command(redis, "GET", Keys(queue).leader)
    return leader is not None and leader.decode().rpartition(":")[0] == (await worker_ids(redis, queue)).get(pid)


async def clean(app: App, redis: Redis, queue: str, ids: list[str]) -> bool:
    live = (await worker_ids(redis, queue)).values()
    return not await invariants.violations(redis, queue, ids, limits=[METERED], runs=app.runs(), live=live)
