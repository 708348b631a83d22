"""Workers that are killed, stopped or kill themselves: their jobs go on elsewhere, once each as far as anybody can tell."""

import random
import signal
from itertools import pairwise

import pytest
from redis.asyncio import Redis

from runner.keys import Keys
from runner.redis_client import command
from tests import invariants
from tests.eventually import eventually
from tests.process.apps import FAST, METERED, App
from tests.process.crew import PROGRESS_S, Crew, final, worker_ids

pytestmark = [pytest.mark.process, pytest.mark.slow]

RECOVERY_S = float(FAST["lease_s"]) + float(FAST["reclaim_s"]) + 8.0  # much of it for a busy machine


async def test_jobs_of_a_killed_worker_run_again_on_another(app: App, redis: Redis, queue: str, crew: Crew) -> None:
    first = await crew.start()
    ids = await app.submit(app.nap, range(5), 3.0)
    await eventually(lambda: app.runs().total() == 5, PROGRESS_S)
    await crew.start()
    await app.submit(app.nap, range(5, 10), 0.1)

    await first.kill()
    await eventually(lambda: app.runs() == dict.fromkeys(ids, 2) | dict.fromkeys([f"j{n}" for n in range(5, 10)], 1), RECOVERY_S)
    await final(redis, queue, ids, within_s=10)

    for job_id in ids:
        status = await app.runner.client.status(job_id)
        assert (status.state, status.attempt, status.crashes, status.failures) == ("succeeded", 2, 1, 0)
    assert await invariants.violations(redis, queue, ids, live=(await worker_ids(redis, queue)).values()) == []
    assert len(await worker_ids(redis, queue)) == 1


async def test_when_the_leader_is_killed_waiting_jobs_go_on_starting_and_another_leads(
    app: App, redis: Redis, queue: str, crew: Crew
) -> None:
    leader = await crew.start()
    other = await crew.start()
    ids = await app.submit(app.metered, range(300))
    await eventually(lambda: app.runs().total() > 50, PROGRESS_S)
    await leader.kill()

    await eventually(lambda: leads(redis, queue, other.pid), RECOVERY_S)
    await final(redis, queue, ids, within_s=15)
    starts = [start.at_us for start in await invariants.starts_of(redis, queue)]
    assert max(later - earlier for earlier, later in pairwise(starts)) < 2_500_000
    await eventually(lambda: clean(app, redis, queue, ids), PROGRESS_S)


async def test_workers_killed_at_random_lose_no_job_and_break_no_limit(app: App, redis: Redis, queue: str, crew: Crew) -> None:
    chance = random.Random(7)
    for _ in range(3):
        await crew.start(max_crashes=100)
    ids = await app.submit(app.metered, range(300), 0.05)
    for _ in range(10):
        done = app.runs().total()
        await eventually(lambda: app.runs().total() > done + chance.randrange(5, 30) or app.runs().total() >= 290, PROGRESS_S)  # noqa: B023 - awaited at once
        await chance.choice(crew.alive).kill()
        await crew.launch(max_crashes=100)
    await final(redis, queue, ids, within_s=30)

    runs = app.runs()
    for job_id in ids:
        status = await app.runner.client.status(job_id)
        assert status.state == "succeeded"
        assert runs[job_id] <= 1 + status.crashes
    await eventually(lambda: clean(app, redis, queue, ids), RECOVERY_S)


async def test_a_job_that_kills_its_workers_becomes_a_dead_letter_and_harms_no_other(
    app: App, redis: Redis, queue: str, crew: Crew
) -> None:
    await crew.start(lease_s=1, renew_s=0.2)
    (poison,) = await app.submit(app.lethal, range(1))
    others = await app.submit(app.nap, range(1, 31))
    for _ in range(3):
        await eventually(lambda: not crew.alive, within_s=15)
        await crew.start(lease_s=1, renew_s=0.2)
    await final(redis, queue, [poison, *others], within_s=15)

    status = await app.runner.client.status(poison)
    assert (status.state, status.crashes, app.runs()[poison]) == ("failed", 3, 3)
    assert status.error == {"type": "poison", "message": "its worker was lost 3 times while it ran"}
    assert {(await app.runner.client.status(job_id)).state for job_id in others} == {"succeeded"}
    await eventually(lambda: clean(app, redis, queue, [poison, *others]), PROGRESS_S)
    assert len(crew.alive) == 1


async def test_a_worker_stopped_past_its_lease_is_refused_and_goes_on_under_a_new_id(
    app: App, redis: Redis, queue: str, crew: Crew
) -> None:
    frozen = await crew.start()
    ids = await app.submit(app.nap, range(5), 1.0)
    await eventually(lambda: app.runs().total() == 5, PROGRESS_S)
    frozen.signal(signal.SIGSTOP)
    old = (await worker_ids(redis, queue))[frozen.pid]
    other = await crew.start()
    await eventually(lambda: app.runs().total() == 10, RECOVERY_S + 3)

    frozen.signal(signal.SIGCONT)  # its naps are over: it has outcomes of attempts that are lost, while others run

    await eventually(lambda: has_another_id(redis, queue, frozen.pid, old), within_s=10)
    await final(redis, queue, ids, within_s=10)
    history = await command(redis, "XRANGE", Keys(queue).history, "-", "+")
    assert [fields[b"attempt"] for _, fields in history] == [b"2"] * 5
    await other.kill()
    more = await app.submit(app.nap, range(10, 15))
    await final(redis, queue, more, within_s=10)
    assert app.runs() == dict.fromkeys(ids, 2) | dict.fromkeys(more, 1)
    await eventually(lambda: clean(app, redis, queue, ids + more), RECOVERY_S)
    assert "going on under a new id" in frozen.log


async def leads(redis: Redis, queue: str, pid: int) -> bool:
    leader = await command(redis, "GET", Keys(queue).leader)
    return leader is not None and leader.decode().rpartition(":")[0] == (await worker_ids(redis, queue)).get(pid)


async def has_another_id(redis: Redis, queue: str, pid: int, old: str) -> bool:
    return (await worker_ids(redis, queue)).get(pid, old) != old


async def clean(app: App, redis: Redis, queue: str, ids: list[str]) -> bool:
    live = (await worker_ids(redis, queue)).values()
    return not await invariants.violations(redis, queue, ids, limits=[METERED], runs=app.runs(), live=live)
