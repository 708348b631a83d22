"""One worker among several that hardly moves: it keeps what it runs, takes no more than its slots, and the others do the work."""

import asyncio
import signal
from typing import Any

import pytest
from redis.asyncio import Redis

from runner.connection.client import command
from runner.jobs.job import Priority
from runner.store.keys import GROUP, Keys
from tests.eventually import eventually
from tests.process.apps import FAST, App
from tests.process.crew import Crew, worker_ids
from tests.process.test_worker_crashes import clean
from tests.recovery import Recovery

SLOTS = int(FAST["concurrency"])
JOBS = 400
STOPPED_S, MOVING_S = 0.3, 0.05
CYCLES = 10


@pytest.mark.fault("F26", bound_s=15)
async def test_a_worker_that_moves_a_seventh_of_the_time_holds_no_more_than_its_slots(
    app: App, redis: Redis, queue: str, crew: Crew, recovery: Recovery
) -> None:
    slow, *_ = await asyncio.gather(*(crew.start() for _ in range(4)))
    ids = await app.submit(app.nap, range(JOBS), 0.1)
    await eventually(lambda: app.runs().total() > 4)
    most_running = most_held = 0
    for _ in range(CYCLES):
        slow.signal(signal.SIGSTOP)
        await asyncio.sleep(STOPPED_S)
        held = await held_by_each(redis, queue)
        most_held = max(most_held, *(len(jobs) for jobs in held.values()))
        most_running = max(most_running, *(sum(state == b"running" for state in jobs) for jobs in held.values()))
        slow.signal(signal.SIGCONT)
        await asyncio.sleep(MOVING_S)
    recovery.begins()
    await eventually(lambda: clean(app, redis, queue, ids))
    recovery.ends()

    assert app.runs() == dict.fromkeys(ids, 1)
    assert 0 < most_running <= SLOTS
    # A blocking read asks each stream for its share, at least one: it can bring one of each to a worker with a single free slot.
    assert most_held <= SLOTS + len(Priority) - 1


async def held_by_each(redis: Redis, queue: str) -> dict[str, list[bytes]]:
    """The states of the jobs whose entries each worker holds."""
    held: dict[str, list[bytes]] = {name: [] for name in (await worker_ids(redis, queue)).values()}
    for priority in Priority:
        stream = Keys(queue).stream(priority)
        rows: list[Any] = await redis.xpending_range(stream, GROUP, "-", "+", 1000)
        for row in rows:
            for _, fields in await command(redis, "XRANGE", stream, row["message_id"], row["message_id"]):
                held[row["consumer"].decode()].append(await command(redis, "HGET", Keys(queue).job(fields[b"id"].decode()), "state"))
    return held
