"""A lost worker that held many entries: other workers run all the jobs, and nothing of the lost one remains."""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from runner.connection.client import command
from runner.jobs.job import Priority, StartedJob
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
    started: list[StartedJob] = []
    while len(started) < STARTED:
        started += (await store.claim("lost", ClaimRequest(STARTED - len(started), read_more=True))).jobs
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
    assert sum(record.crashes for record in records.values()) == len(started) == STARTED
    sweeps = [int(found[1]) for found in re.finditer(r"took back (\d+) entries", caplog.text)]
    assert sum(sweeps) == DEAD_ENTRIES
    assert max(sweeps) <= MOST_PER_SWEEP
    # A sweep is bounded, so no other command waits long for it. Measured by the server, because the machine may be busy.
    latencies = (await redis.info("latencystats")).get("latency_percentiles_usec_evalsha", {})
    assert float(latencies.get("p99", 0)) < 250_000, latencies


def _counting(runs: Counter[int]) -> Callable[[int], Awaitable[None]]:
    async def note(number: int) -> None:
        runs[number] += 1

    return note


async def _drained(redis: Redis, queue: str, crew: Crew) -> bool:
    return not await invariants.left_behind(redis, queue, crew.ids)
