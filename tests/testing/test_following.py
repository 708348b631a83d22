"""Whoever follows jobs in a queue of a test lets its time pass, and sees what happens at each instant."""

import asyncio
import time
from collections.abc import Callable

import pytest

from runner import Runner, current_job
from runner.testing import NeverIdle, TestQueue

MakeQueue = Callable[..., TestQueue]


async def test_changes_of_a_job_are_told_over_days(test_queue: MakeQueue, app: Runner) -> None:
    @app.task(retries=1)
    async def charge() -> None:
        if current_job().attempt == 1:
            raise ConnectionError("away")

    async with test_queue(app) as queue:
        job = await charge.with_options(delay=3 * 86_400).submit()
        told = [(status.state.value, status.attempt) async for status in job.changes()]
        assert told == [("scheduled", 0), ("scheduled", 1), ("succeeded", 2)]
        assert queue.seconds == pytest.approx(3 * 86_400, abs=2)


async def test_progress_is_told_at_the_instants_at_which_it_was_said(test_queue: MakeQueue, app: Runner) -> None:
    @app.task
    async def work() -> None:
        for number in range(3):
            current_job().progress(number, 3)
            await asyncio.sleep(10)

    async with test_queue(app, virtual_sleep=True) as queue:
        begun_at = queue.now.timestamp()
        job = await work.submit()
        told = [(one.done, one.at - begun_at) async for one in job.progress()]
        assert told == [(0, 0), (1, 10), (2, 20)]


async def test_progress_of_a_handler_that_takes_real_time_is_told_meanwhile(test_queue: MakeQueue, app: Runner) -> None:
    seen = [asyncio.Event() for _ in range(3)]

    @app.task
    async def work() -> None:
        for number in range(3):
            current_job().progress(number, 3)
            await seen[number].wait()

    async with test_queue(app) as queue:
        job = await work.submit()
        told = []
        async for one in job.progress():
            told.append(one.done)
            seen[int(one.done)].set()
        assert told == [0, 1, 2]
        assert queue.seconds == 0


async def test_many_follow_at_once_and_each_sees_its_job(test_queue: MakeQueue, app: Runner) -> None:
    @app.task
    async def charge(number: int) -> int:
        return number

    async with test_queue(app) as queue:
        jobs = [await charge.with_options(delay=100 * number + 1).submit(number) for number in range(5)]
        told = await asyncio.gather(*(_states(job) for job in jobs))
        assert told == [["scheduled", "succeeded"]] * 5
        assert queue.seconds == 401


async def test_who_follows_a_job_sees_what_it_does_to_it_itself(test_queue: MakeQueue, app: Runner) -> None:
    @app.task
    async def charge() -> None: ...

    async with test_queue(app) as queue:
        job = await charge.with_options(delay=60).submit()
        told = []
        async for status in job.changes():
            told.append(status.state.value)
            if status.state == "scheduled":
                await job.cancel()
        assert (told, queue.seconds) == (["scheduled", "cancelled"], 0)


async def test_a_handler_follows_its_child_on_the_same_clock(test_queue: MakeQueue, app: Runner) -> None:
    @app.task
    async def child() -> None: ...

    @app.task
    async def parent() -> list[str]:
        return await _states(await child.with_options(delay=50).submit())

    async with test_queue(app) as queue:
        assert await (await parent.submit()).result() == ["scheduled", "succeeded"]
        assert queue.seconds == 50


async def test_a_job_that_never_changes_again_is_no_endless_wait(test_queue: MakeQueue, app: Runner) -> None:
    @app.task
    async def charge() -> None: ...

    async with test_queue(app):
        await app.client.pauses.pause("queue", reason="maintenance")
        job = await charge.submit()
        with pytest.raises(NeverIdle, match=r"(?s)nothing will happen any more.*maintenance.*somebody follows " + job.id):
            await _states(job)


async def test_events_are_told_as_time_passes_and_make_none_pass(test_queue: MakeQueue, app: Runner) -> None:
    @app.task
    async def charge(number: int) -> None: ...

    told: list[tuple[str, float]] = []
    async with test_queue(app) as queue:
        listening = asyncio.create_task(_listen(app, queue, told))
        await asyncio.sleep(0.01)
        ids = [(await charge.with_options(delay=10 * number).submit(number)).id for number in range(3)]
        assert (queue.starts, queue.seconds) == ([], 0)
        await queue.run_until_idle()
        assert told == [(ids[0], 0), (ids[1], 10), (ids[2], 20)]
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_a_batch_is_waited_for_and_what_follows_it_reads_its_jobs(test_queue: MakeQueue, app: Runner) -> None:
    @app.task
    async def load(number: int) -> int:
        return number

    @app.task
    async def total() -> int:
        return sum(parent.result() for parent in await current_job().parents(result=int))

    async with test_queue(app) as queue:
        async with app.batch("import", then=total.prepare()) as batch:
            for number in range(5):
                batch.add(load.with_options(delay=100 * number).prepare(number))
        early = await batch.wait(timeout=150)
        assert (early.succeeded, early.pending, queue.seconds) == (2, 3, 150)
        began_s = time.process_time()
        assert (await batch.wait()).succeeded == 5
        assert queue.seconds == 400
        assert time.process_time() - began_s < 1
        assert batch.then is not None
        assert await batch.then.result() == 10


async def _states(job: object) -> list[str]:
    return [status.state.value async for status in job.changes()]  # type: ignore[attr-defined] # a handle


async def _listen(app: Runner, queue: TestQueue, told: list[tuple[str, float]]) -> None:
    async for event in app.client.events():
        told.append((event.job_id, queue.seconds))  # noqa: PERF401 - the list is looked at meanwhile
