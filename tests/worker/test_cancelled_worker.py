"""A worker whose `run` is cancelled signs off: its jobs go back at once, no failure and no crash is counted."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import JobHandle, Runner, Worker
from runner.store.keys import Keys
from runner.worker.uncut import uncut
from tests import invariants
from tests.eventually import eventually
from tests.proxy import Proxy
from tests.worker.conftest import Crew, MakeApp
from tests.worker.handler import Handler
from tests.worker.test_event_loops import run

NOBODY = "unix:///nobody/listens.sock"


@asynccontextmanager
async def working(app: Runner) -> AsyncIterator[asyncio.Task[None]]:
    """The task of a worker, which the test cancels."""
    worker = Worker(app)
    task = asyncio.create_task(worker.run())
    await worker.wait_until_working()
    yield task
    with pytest.raises(asyncio.CancelledError):
        await task
    assert worker.state.is_stopped
    assert not worker.state.is_enlisted


async def given_back(app: Runner, redis: Redis, queue: str, *jobs: str) -> None:
    """These jobs wait for another worker, as if none had tried."""
    for status in [await app.client.status(job) for job in jobs]:
        assert (status.state, status.failures, status.crashes) == ("queued", 0, 0)
    assert await redis.zcard(Keys(queue).workers) == 0


@pytest.mark.parametrize("times", [1, 5], ids=["once", "again and again"])
async def test_its_jobs_go_back_at_once_and_are_run_by_another(app: Runner, redis: Redis, queue: str, crew: Crew, times: int) -> None:
    handler = Handler()

    @app.task
    async def work() -> int:
        return await handler.hang_at_first()

    async with working(app) as worker:
        job = await work.submit()
        await handler.begun.wait()
        for _ in range(times):
            worker.cancel()
            await asyncio.sleep(0)

    assert handler.stopped.is_set()
    await given_back(app, redis, queue, job.id)
    live = await crew.start(app)
    assert await job.result(timeout=10) == 2
    assert await invariants.violations(redis, queue, [job.id], live=[live.id]) == []


async def test_what_a_handler_comes_to_meanwhile_counts(app: Runner, redis: Redis, queue: str) -> None:
    begun = asyncio.Event()

    @app.task
    async def charge() -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.05)
        return "charged already"

    async with working(app) as worker:
        job = await charge.submit()
        await begun.wait()
        worker.cancel()

    assert await job.result(timeout=0) == "charged already"
    assert await redis.zcard(Keys(queue).workers) == 0


async def test_an_outcome_that_is_under_way_arrives(make_app: MakeApp, redis: Redis, queue: str) -> None:
    app, ended = make_app(failpoints="finish:before=pause:0.3"), asyncio.Event()

    @app.task
    async def work() -> str:
        ended.set()
        return "done"

    async with working(app) as worker:
        job = await work.submit()
        await ended.wait()
        await asyncio.sleep(0.1)
        worker.cancel()

    assert await job.result(timeout=0) == "done"


async def test_a_handler_that_goes_on_is_left_behind_and_its_job_given_back(app: Runner, redis: Redis, queue: str) -> None:
    release, begun, handler = threading.Event(), threading.Event(), Handler()

    @app.task
    async def deaf() -> int:
        return await handler.be_deaf_at_first()

    @app.task
    def plain() -> None:
        begun.set()
        release.wait(20)

    async with working(app) as worker:
        jobs: list[JobHandle[Any]] = [await deaf.submit(), await plain.submit()]
        await handler.begun.wait()
        await eventually(begun.is_set)
        worker.cancel()

    await given_back(app, redis, queue, *[job.id for job in jobs])
    release.set()
    handler.release()
    await redis.delete(*[key async for key in redis.scan_iter(match=f"runner:{{{queue}}}:stream:*")])


async def test_a_program_that_ends_beside_its_worker_leaves_nothing(app: Runner, redis: Redis, queue: str) -> None:
    """`asyncio.run` cancels every task at once: the worker, its actors and its attempts."""
    handlers = [Handler() for _ in range(5)]

    @app.task
    async def work(number: int) -> int:
        return await handlers[number].hang_at_first()

    ids, workers = list[str](), list[asyncio.Task[None]]()

    async def main() -> None:
        workers.append(asyncio.create_task(Worker(app).run()))
        ids.extend([job.id for job in await app.submit_many([work.prepare(number) for number in range(5)])])
        await eventually(lambda: all(handler.count for handler in handlers))

    await asyncio.to_thread(run, main)

    await given_back(app, redis, queue, *ids)


async def test_one_that_is_cancelled_while_it_drains_gives_back_at_once(app: Runner, redis: Redis, queue: str) -> None:
    handler = Handler()

    @app.task
    async def work() -> int:
        return await handler.hang_at_first()

    worker = Worker(app)
    task = asyncio.create_task(worker.run())
    job = await work.submit()
    await handler.begun.wait()
    worker.stop()
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await given_back(app, redis, queue, job.id)


async def test_one_that_cannot_reach_redis_ends_soon(make_app: MakeApp) -> None:
    task = asyncio.create_task(Worker(make_app(redis_url=NOBODY)).run())
    await asyncio.sleep(0.2)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(10):
            await task


async def test_one_whose_enlisting_is_cut_off_leaves_no_lease(make_app: MakeApp, redis: Redis, queue: str, direct_url: str) -> None:
    async with Proxy(direct_url) as proxy:
        app = make_app(redis_url=proxy.url)
        worker = Worker(app)
        task = asyncio.create_task(worker.run())
        await eventually(lambda: worker.state.is_enlisted)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert await redis.zcard(Keys(queue).workers) == 0
    assert not worker.state.is_enlisted


async def test_uncut_work_begins_anew_if_its_own_task_is_cancelled_and_raises_its_error() -> None:
    begun, ended, go_on = list[int](), list[int](), asyncio.Event()

    async def work() -> None:
        begun.append(1)
        await go_on.wait()
        ended.append(1)

    caller = asyncio.create_task(uncut(work))
    await eventually(lambda: begun)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        if task.get_coro().__name__ in ("work", "uncut"):  # type: ignore[union-attr]
            task.cancel()
    await eventually(lambda: len(begun) == 2)
    go_on.set()

    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ended == [1]

    async def failing() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await uncut(failing)
