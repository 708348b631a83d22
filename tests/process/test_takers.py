"""Takers in processes of their own, without any worker: order, and what is left of one that is killed."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
from redis.asyncio import Redis

from runner import Runner, TakeRefused
from runner.store.keys import Keys
from tests.eventually import PATIENCE_S, eventually
from tests.process.taker_main import GPU, PACED, taker_settings

Spawn = Callable[[int, float], Awaitable[Process]]


@pytest.fixture
async def spawn(redis_url: str, queue: str) -> AsyncIterator[Spawn]:
    started: list[Process] = []

    async def start(count: int, hold_s: float = 0.0) -> Process:
        words = ("-m", "tests.process.taker_main", redis_url, queue, str(count), str(hold_s))
        started.append(await asyncio.create_subprocess_exec(sys.executable, *words, stdout=PIPE))
        return started[-1]

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@pytest.fixture
async def jobs(redis_url: str, queue: str) -> AsyncIterator[Runner]:
    """The test's own app on the queue."""
    app = Runner(queue, settings=taker_settings(redis_url))
    app.limit(PACED)
    app.limit(GPU)
    yield app
    await app.close()


async def taken(process: Process) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        assert await process.stdout.readline() == b"taken\n"


async def stand(redis: Redis, queue: str, bucket: str, count: int) -> None:
    async def stand_there() -> bool:
        return bool(await redis.zcard(Keys(queue).line(f"1|{bucket}")) == count)

    await eventually(stand_there)


async def test_takers_of_several_processes_are_served_in_the_order_in_which_they_came(
    spawn: Spawn, jobs: Runner, redis: Redis, queue: str
) -> None:
    await jobs.take(PACED)
    await jobs.client.control.pause("paced")
    processes = []
    for count in range(1, 4):
        processes.append(await spawn(1, 0.0))
        await stand(redis, queue, "paced", count)
    order: list[int] = []

    async def note(number: int) -> None:
        await taken(processes[number])
        order.append(number)

    await jobs.client.control.resume("paced")
    await asyncio.gather(*map(note, range(3)))
    assert order == [0, 1, 2]


async def test_a_taker_that_is_killed_in_line_lets_the_next_one_by_and_another_process_looks(
    spawn: Spawn, jobs: Runner, redis: Redis, queue: str
) -> None:
    await jobs.take(PACED)
    looks, waits = await spawn(1_000, 0.0), await spawn(1_000, 0.0)
    for _ in range(3):
        await taken(looks)
        await taken(waits)

    looks.kill()

    for _ in range(8):
        await taken(waits)
    waits.kill()
    await waits.wait()

    async def the_line_is_empty() -> bool:
        with suppress(TakeRefused):
            await jobs.take(PACED)
        return not await redis.exists(Keys(queue).line("1|paced"), Keys(queue).lines_waiting("paced"), Keys(queue).expiring)

    await eventually(the_line_is_empty)


async def test_no_slot_stays_with_a_holder_or_a_taker_that_is_killed(spawn: Spawn, jobs: Runner, redis: Redis, queue: str) -> None:
    holder = await spawn(1, 600.0)
    await taken(holder)
    waiter = await spawn(1, 600.0)
    await stand(redis, queue, "gpu", 1)
    last = asyncio.create_task(hold(jobs))
    await stand(redis, queue, "gpu", 2)

    waiter.kill()
    holder.kill()

    async with asyncio.timeout(PATIENCE_S):
        await last
    assert await redis.exists(Keys(queue).line("1|gpu"), Keys(queue).holders("gpu"), Keys(queue).expiring) == 0


async def hold(jobs: Runner) -> None:
    async with jobs.slot(GPU):
        pass
