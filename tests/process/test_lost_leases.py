"""Workers that fall silent without dying, past their lease or almost: their jobs move once, and what they say too late is refused."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from runner.connection.client import command
from runner.jobs.job import Priority
from runner.store import scripts
from runner.store.keys import GROUP, Keys
from tests import invariants
from tests.app_internals import store_of
from tests.eventually import eventually
from tests.process.apps import LIMITS, SLOTS, App
from tests.process.crew import Crew, crew_of, final, worker_ids
from tests.proxy import Proxy
from tests.recovery import Recovery

SHORT: dict[str, Any] = {"lease_s": 1.5, "renew_s": 0.3, "reclaim_s": 0.3, "max_crashes": 100}
RECOVERY_S = 4.8
"""Lease, look of the leader and 3 s."""
SILENT = "heartbeat:before=pause:60@2"
"""The lease is never renewed, and nobody hears of its loss; what this worker does besides, `finish` or `claim`, it still does.

Where the server knows the script: to one that does not, enlisting is a second call.
"""
LONG: dict[str, Any] = {**SHORT, "lease_s": 60.0, "renew_s": 1.0, "block_s": 30.0}
"""A lease that only `take_back` ends, at the very moment that a test is about."""


@pytest.mark.fault("F07", bound_s=RECOVERY_S)
async def test_jobs_of_a_stopped_worker_move_and_it_is_refused_when_it_goes_on(
    app: App, redis: Redis, queue: str, crew: Crew, recovery: Recovery
) -> None:
    frozen, other = await crew.start(**SHORT), await crew.start(**SHORT)
    old = (await worker_ids(redis, queue))[frozen.pid]
    ids = await app.submit(app.nap, range(10), 1.0)
    await eventually(lambda: app.runs().total() == 10)
    frozen.signal(signal.SIGSTOP)
    recovery.begins()
    held = [job_id for job_id, record in (await invariants.records_of(redis, queue, ids)).items() if record.worker == old]
    assert held

    await eventually(lambda: all(app.runs()[job_id] == 2 for job_id in held))
    recovery.ends()
    frozen.signal(signal.SIGCONT)  # its naps are over: it has outcomes of attempts that are lost, while others run

    await eventually(lambda: has_another_id(redis, queue, frozen.pid, old))
    await final(redis, queue, ids)
    await eventually(lambda: clean(app, redis, queue, ids))
    attempts = {ending.job: ending.attempt for ending in await invariants.endings_of(redis, queue)}
    assert {attempts[job_id] for job_id in held} == {2}
    assert "continuing under a new id" in frozen.log
    await other.kill()
    more = await app.submit(app.nap, range(10, 15))
    await final(redis, queue, more)


@pytest.mark.fault("F11", bound_s=RECOVERY_S)
async def test_jobs_taken_back_between_read_and_start_run_once(app: App, redis: Redis, queue: str, crew: Crew, recovery: Recovery) -> None:
    """The sweep comes between a worker's reading and its starting: the worker starts nothing, whoever has the jobs now does."""
    await known_to(redis, "heartbeat", "claim")
    await redis.set(Keys(queue).leader, "nobody:1", px=60_000)  # a leader would start what waits without reading it
    slow = await crew.start(**LONG, failpoints=f"claim:before=pause:2@2;{SILENT}")
    old = (await worker_ids(redis, queue))[slow.pid]
    await eventually(lambda: is_blocked(redis))
    ids = await app.submit(app.nap, range(5))
    ids += await app.submit(app.counted, range(5, 9))
    await eventually(lambda: holds_unstarted(redis, queue, old))
    await take_back(app, redis, old)
    recovery.begins()
    await redis.delete(Keys(queue).leader)
    await crew.start(**SHORT)

    await final(redis, queue, ids)
    recovery.ends()
    await eventually(lambda: has_another_id(redis, queue, slow.pid, old))
    await eventually(lambda: clean(app, redis, queue, ids))
    assert app.runs() == dict.fromkeys(ids, 1)


@pytest.mark.fault("F12")
async def test_renewals_that_fail_for_most_of_a_lease_cost_no_job(
    app: App, redis: Redis, redis_url: str, queue: str, tmp_path: Path, crew: Crew
) -> None:
    lease_s = 4.0
    await crew.start(**SHORT)  # who would take the jobs back
    async with Proxy(redis_url) as proxy, crew_of(proxy.url, queue, tmp_path) as behind:
        silent = await behind.start(lease_s=lease_s, renew_s=0.1)
        ids = await app.submit(app.nap, range(10), 0.9 * lease_s + 0.5)
        await eventually(lambda: app.runs().total() == 10)
        before = await worker_ids(redis, queue)
        proxy.black_hole()
        await asyncio.sleep(0.9 * lease_s)  # the fault
        proxy.heal()

        await final(redis, queue, ids)
        assert app.runs() == dict.fromkeys(ids, 1)
        assert {record.crashes for record in (await invariants.records_of(redis, queue, ids)).values()} == {0}
        await eventually(lambda: clean(app, redis, queue, ids))
        assert (await worker_ids(redis, queue))[silent.pid] == before[silent.pid]


@pytest.mark.fault("F13", bound_s=RECOVERY_S + 3)  # and the start of a process
async def test_the_result_of_a_run_that_was_overtaken_is_refused_and_told(
    app: App, redis: Redis, queue: str, crew: Crew, recovery: Recovery
) -> None:
    """The worker loses its lease while it runs a job, hears of nothing, and has a result when the next run has begun."""
    await known_to(redis, "heartbeat")
    late = await crew.start(**LONG, failpoints=f"xreadgroup:before=pause:60@3;{SILENT}")
    ids = await app.submit(app.overtaken, range(1))
    await eventually(lambda: app.runs().total() == 1)
    await take_back(app, redis, (await worker_ids(redis, queue))[late.pid])
    recovery.begins()
    await crew.start(**SHORT)

    await final(redis, queue, ids)
    recovery.ends()
    await eventually(lambda: late.log.count("came too late and was refused") == 1)
    assert app.runs() == dict.fromkeys(ids, 2)
    assert {ending.attempt for ending in await invariants.endings_of(redis, queue)} == {2}
    await late.kill()
    await eventually(lambda: clean(app, redis, queue, ids))


@pytest.mark.fault("F14", bound_s=RECOVERY_S)
async def test_slots_and_tokens_of_a_lost_run_are_used_again_within_the_limits(
    app: App, redis: Redis, queue: str, crew: Crew, recovery: Recovery
) -> None:
    """With every slot of a concurrency limit held by one worker that dies, nothing else could start: the slots come back with its jobs."""
    first = await crew.start(**SHORT)
    ids = await app.submit(app.counted, range(SLOTS.capacity), 30.0)
    await eventually(lambda: app.runs().total() == SLOTS.capacity)
    await crew.start(**SHORT)
    others = await app.submit(app.counted, range(10, 30), 0.05)
    await first.kill()
    recovery.begins()

    await eventually(lambda: app.runs().total() == 2 * SLOTS.capacity)  # first in line, they take the slots again
    recovery.ends()
    for job_id in ids:
        await app.runner.client.cancel(job_id)
    await final(redis, queue, ids + others)
    await eventually(lambda: clean(app, redis, queue, ids + others))
    assert app.runs() == dict.fromkeys(ids, 2) | dict.fromkeys(others, 1)


@pytest.mark.fault("F17", bound_s=8)
async def test_a_leader_stopped_past_its_lock_is_followed_and_stays_deposed(
    app: App, redis: Redis, queue: str, crew: Crew, recovery: Recovery
) -> None:
    """Lock, pause between two elections and 3 s; when it goes on, what it still believes to be its duty changes nothing."""
    leader, other = await crew.start(**SHORT), await crew.start(**SHORT)
    await eventually(lambda: leads(redis, queue, leader.pid))
    ids = await app.submit(app.metered, range(150))
    leader.signal(signal.SIGSTOP)
    recovery.begins()
    ids += await app.submit(app.nap, range(150, 160), delay=1.0)

    await eventually(lambda: leads(redis, queue, other.pid))
    recovery.ends()
    term = await command(redis, "GET", Keys(queue).leader)
    leader.signal(signal.SIGCONT)
    await final(redis, queue, ids)

    await eventually(lambda: clean(app, redis, queue, ids))
    assert await command(redis, "GET", Keys(queue).leader) == term


async def leads(redis: Redis, queue: str, pid: int) -> bool:
    leader = await command(redis, "GET", Keys(queue).leader)
    return leader is not None and leader.decode().rpartition(":")[0] == (await worker_ids(redis, queue)).get(pid)


async def known_to(redis: Redis, *names: str) -> None:
    """Let the server know these scripts, so that each call of them is one."""
    for name in names:
        await redis.script_load(scripts.load(name).source)


async def take_back(app: App, redis: Redis, worker: str) -> None:
    """As if this worker had been silent for a lease, and a leader looked just then."""
    await redis.zadd(Keys(app.runner.queue).workers, {worker: 1})
    await store_of(app.runner).reclaim()


async def is_blocked(redis: Redis) -> bool:
    """Whether a worker waits in a blocking read."""
    return any(client["cmd"].startswith("xreadgroup") and "b" in client["flags"] for client in await redis.client_list())


async def holds_unstarted(redis: Redis, queue: str, worker: str) -> bool:
    """Whether this worker has read an entry that it has not started."""
    stream = Keys(queue).stream(Priority.normal)
    for row in await redis.xpending_range(stream, GROUP, "-", "+", 100, worker):
        for _, fields in await command(redis, "XRANGE", stream, row["message_id"], row["message_id"]):
            if await redis.hget(Keys(queue).job(fields[b"id"].decode()), "state") == b"queued":
                return True
    return False


async def has_another_id(redis: Redis, queue: str, pid: int, old: str) -> bool:
    return (await worker_ids(redis, queue)).get(pid, old) != old


async def clean(app: App, redis: Redis, queue: str, ids: list[str]) -> bool:
    live = (await worker_ids(redis, queue)).values()
    return not await invariants.violations(redis, queue, ids, limits=LIMITS, runs=app.runs(), live=live)
