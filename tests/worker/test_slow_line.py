"""A slow line to Redis: large results and arguments arrive, and hold up no small ones."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import JobHandle, JobRequest, Runner, Worker
from runner.store.keys import Keys
from tests.eventually import eventually
from tests.proxy import SMALL_BUFFER, Proxy
from tests.worker.conftest import Crew, MakeApp

MBIT = 125_000
"""Bytes a second."""
LARGE = 10_000_000
SMALL_JOBS = 30


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(redis_url, buffer_bytes=SMALL_BUFFER) as proxy:
        yield proxy


async def start_behind(proxy: Proxy, make_app: MakeApp, crew: Crew, timeout_s: float = 1.5) -> Worker:
    """A worker on the slow line, whose jobs return as much as they are asked for."""
    behind = make_app(redis_url=proxy.url, command_timeout_s=timeout_s)

    @behind.task
    async def work(size: int) -> str:
        return "x" * size

    return await crew.start(behind)


async def small_ones_arrive(app: Runner, proxy: Proxy, within_s: float) -> None:
    """Once a large one is on its way."""
    await eventually(lambda: proxy.carried > 200_000)
    small = await app.client.submit_many([JobRequest("work", {"size": number}) for number in range(SMALL_JOBS)])
    for number, job in enumerate(small):
        assert await job.result(timeout=within_s) == "x" * number


@pytest.mark.parametrize(("line", "size"), [(48 * MBIT, 10_000_000), (4 * MBIT, 2_500_000)], ids=["48 Mbit/s", "4 Mbit/s"])
@pytest.mark.fault("X07")
async def test_a_large_result_arrives_behind_many_small_ones(
    make_app: MakeApp, proxy: Proxy, crew: Crew, app: Runner, line: int, size: int
) -> None:
    await start_behind(proxy, make_app, crew)
    proxy.throttle(line)
    large = await app.client.submit("work", {"size": size})
    waiting = asyncio.create_task(large.result(timeout=60))
    await small_ones_arrive(app, proxy, within_s=10)
    assert not waiting.done()

    assert len(await waiting) == size


async def test_on_a_line_too_slow_for_it_a_large_result_holds_up_no_small_ones(
    make_app: MakeApp, proxy: Proxy, crew: Crew, app: Runner
) -> None:
    await start_behind(proxy, make_app, crew)
    proxy.throttle(MBIT)
    large = await app.client.submit("work", {"size": LARGE})
    await small_ones_arrive(app, proxy, within_s=20)

    assert (await large.status()).state == "running"
    proxy.heal()
    assert len(await large.result(timeout=20)) == LARGE


TIMEOUT_S = 0.5
"""Of the workers that are stopped: what is on its way then takes many times as long."""


async def stopped_on_its_way(worker: Worker, app: Runner, proxy: Proxy, line: int, size: int) -> JobHandle[Any]:
    """A job whose result is being sent when its worker is told to stop."""
    proxy.throttle(line)
    before = proxy.carried
    job = await app.client.submit("work", {"size": size})
    await eventually(lambda: proxy.carried > before + 300_000)
    worker.stop()
    return job


@pytest.mark.fault("X07")
async def test_a_worker_that_is_stopped_delivers_the_large_results_that_are_on_their_way(
    make_app: MakeApp, proxy: Proxy, crew: Crew, app: Runner
) -> None:
    worker = await start_behind(proxy, make_app, crew, TIMEOUT_S)
    second = await app.client.submit("work", {"size": 500_000})
    first = await stopped_on_its_way(worker, app, proxy, 4 * MBIT, 2_000_000)
    await crew.ended(worker)

    for job, size in ((first, 2_000_000), (second, 500_000)):
        status = await job.status()
        assert (status.state, status.attempt, len(status.result)) == ("succeeded", 1, size)
    assert not worker.state.is_enlisted
    assert worker.state.delivering_s == 0


@pytest.mark.parametrize("cut", ["second signal", "lost lease", "too slow", "silence"])
async def test_a_worker_that_cannot_deliver_a_large_result_leaves_and_the_job_runs_again(
    make_app: MakeApp, proxy: Proxy, crew: Crew, app: Runner, redis: Redis, queue: str, cut: str
) -> None:
    worker = await start_behind(proxy, make_app, crew, TIMEOUT_S)
    job = await stopped_on_its_way(worker, app, proxy, MBIT if cut == "too slow" else 4 * MBIT, LARGE)
    if cut == "second signal":
        before = proxy.carried
        await eventually(lambda: proxy.carried > before + 300_000)  # by then it signs off
        worker.stop()
    elif cut == "lost lease":
        await redis.zrem(Keys(queue).workers, worker.id)
    elif cut == "silence":
        proxy.black_hole()
    began_s = asyncio.get_running_loop().time()
    await crew.ended(worker)

    assert asyncio.get_running_loop().time() - began_s < LARGE / (4 * MBIT) / 2, "it waited for the result"
    assert worker.state.is_enlisted == (cut in ("lost lease", "silence"))
    proxy.heal()
    await start_behind(proxy, make_app, crew)
    assert len(await job.result(timeout=20)) == LARGE
    status = await job.status()
    assert (status.attempt, status.failures, status.crashes) == (2, 0, int(worker.state.is_enlisted))


async def test_large_arguments_hold_up_no_small_submission(make_app: MakeApp, proxy: Proxy) -> None:
    behind = make_app(redis_url=proxy.url, command_timeout_s=1.5)

    @behind.task
    async def work(text: str) -> None: ...

    await work.submit("")
    proxy.throttle(4 * MBIT)
    large = [asyncio.create_task(work.submit("x" * 900_000)) for _ in range(3)]
    await asyncio.sleep(0)
    for _ in range(5):
        await work.submit("small")

    assert not any(one.done() for one in large)
    for one in large:
        assert (await one).first_state == "queued"
