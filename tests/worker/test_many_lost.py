"""Many lost workers, and one that held many entries: other workers run all the jobs, and nothing of the lost ones remains."""

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from runner import Worker
from runner.connection.client import command
from runner.jobs.job import Priority
from runner.store.claims import ClaimRequest
from runner.store.keys import GROUP, Keys
from tests import invariants
from tests.app_internals import publish, store_of
from tests.eventually import eventually
from tests.recovery import Recovery
from tests.worker.conftest import Crew, MakeApp

pytestmark = pytest.mark.slow

DEAD_ENTRIES = 20_000
STARTED = 2_000
MOST_PER_SWEEP = 500
BATCH = 500
RESTARTS = 100
LEASE_S = 1.0
GRACE_S = LEASE_S + 2.0
"""A crash has healed after the lease, one pass of reclaim, and some time for a busy machine."""


@pytest.mark.fault("F23", bound_s=60)
async def test_twenty_thousand_entries_of_a_lost_worker_run_once_each_on_four_others(
    make_app: MakeApp, redis: Redis, queue: str, crew: Crew, recovery: Recovery, caplog: pytest.LogCaptureFixture
) -> None:
    """Most entries were read and not started; those that were running count a crash. No sweep takes more than 500 entries."""
    runs = Counter[int]()
    apps = [make_app(concurrency=100, record_starts=False, history_length=2 * DEAD_ENTRIES) for _ in range(4)]
    for app in apps:
        app.task(name="note")(_counting(runs))
    await publish(apps[0])
    store = store_of(apps[0])
    await store.enlist("lost", "{}")
    note = apps[0].tasks["note"]
    for at in range(0, DEAD_ENTRIES, BATCH):
        await apps[0].submit_many([note.with_options(id=f"j{n}").prepare(n) for n in range(at, at + BATCH)])
    started = await store.claim("lost", ClaimRequest(STARTED, read_more=True))
    await command(redis, "XREADGROUP", "GROUP", GROUP, "lost", "COUNT", DEAD_ENTRIES, "STREAMS", Keys(queue).stream(Priority.normal), ">")
    await command(redis, "ZADD", Keys(queue).workers, 1, "lost")
    await command(redis, "CONFIG", "RESETSTAT")

    recovery.begins()
    with caplog.at_level("WARNING", logger="runner"):
        await asyncio.gather(*(crew.start(app) for app in apps))
        await eventually(lambda: runs.total() >= DEAD_ENTRIES, within_s=60)
        await eventually(lambda: _drained(redis, queue, crew))
    recovery.ends()

    assert runs == dict.fromkeys(range(DEAD_ENTRIES), 1)
    records = await invariants.records_of(redis, queue, [f"j{n}" for n in range(DEAD_ENTRIES)])
    assert sum(record.crashes for record in records.values()) == len(started.jobs) == STARTED
    sweeps = [int(found[1]) for found in re.finditer(r"took back (\d+) entries", caplog.text)]
    assert sum(sweeps) == DEAD_ENTRIES
    assert max(sweeps) <= MOST_PER_SWEEP
    # A sweep is bounded, so no other command waits long for it. Measured by the server, because the machine may be busy.
    latencies = (await redis.info("latencystats")).get("latency_percentiles_usec_evalsha", {})
    assert float(latencies.get("p99", 0)) < 250_000, latencies


@pytest.mark.fault("F24", bound_s=60)
async def test_worker_after_worker_that_vanishes_or_leaves_drops_no_job_and_leaves_no_consumer(
    make_app: MakeApp, redis: Redis, queue: str, crew: Crew, recovery: Recovery, fault_repeats: int
) -> None:
    chance = random.Random(24)
    lease = {"lease_s": LEASE_S, "renew_s": 0.3, "reclaim_s": 0.2}
    stays, comes = make_app(**lease, concurrency=2, max_crashes=1000), make_app(**lease, concurrency=5, max_crashes=1000)
    for app in (stays, comes):
        app.task(name="nap")(_napping)
    await crew.start(stays)
    handles = []
    vanished_s: list[float] = []
    beyond = []
    for number in range(RESTARTS * fault_repeats):
        handles += await stays.submit_many([stays.tasks["nap"].with_options(id=f"j{number}-{n}").prepare(0.02) for n in range(4)])
        worker = Worker(comes)
        running = asyncio.create_task(worker.run())
        await worker.wait_until_working()
        if chance.random() < 0.5:
            running.cancel()  # as if it were killed: it does not sign off, and its lease runs out
            await asyncio.gather(running, return_exceptions=True)
            vanished_s.append(time.monotonic())
        else:
            worker.stop()
            await running
        lately = sum(time.monotonic() - at_s < GRACE_S for at_s in vanished_s)
        beyond.append(len(await _consumers(redis, queue)) - lately - len(crew.ids))

    recovery.begins()
    ids = [handle.id for handle in handles]
    await eventually(lambda: _all_is_well(redis, queue, ids, crew))
    recovery.ends()
    assert max(beyond) <= 0, "consumers that lapsed long ago are still there while others come"


async def _napping(seconds: float) -> None:
    await asyncio.sleep(seconds)


def _counting(runs: Counter[int]) -> Callable[[int], Awaitable[None]]:
    async def note(number: int) -> None:
        runs[number] += 1

    return note


async def _consumers(redis: Redis, queue: str) -> set[str]:
    rows = await redis.xinfo_consumers(Keys(queue).stream(Priority.normal), GROUP)
    return {row["name"].decode() for row in rows}


async def _drained(redis: Redis, queue: str, crew: Crew) -> bool:
    return not await invariants.left_behind(redis, queue, crew.ids)


async def _all_is_well(redis: Redis, queue: str, ids: list[str], crew: Crew) -> bool:
    return not await invariants.violations(redis, queue, ids, live=crew.ids)
