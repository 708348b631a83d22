"""TestQueue: workers that die, a server that is away, cancellations, handlers that sleep; and plain tests."""

import asyncio
import time
import unittest
from collections.abc import Callable
from datetime import timedelta

import pytest

from runner import Client, ConfigurationError, Runner, Settings, State, StoreUnavailable, TokenBucket, Worker
from runner.testing import NeverIdle, TestQueue, run

MakeQueue = Callable[..., TestQueue]


async def test_a_job_whose_worker_dies_runs_again_when_its_lease_is_over(test_queue: MakeQueue, app: Runner) -> None:
    calls = []

    @app.task
    async def charge(order: str) -> int:
        calls.append(order)
        return len(calls)

    async with test_queue(app) as queue:
        job, other = await charge.submit("o-1"), await charge.submit("o-2")
        queue.lose(job)
        await queue.run_until_idle()

        assert sorted(calls) == ["o-1", "o-1", "o-2"]
        assert await job.result() == 3
        assert (await other.status()).attempt == 1
        assert [(start.job == job.id, start.at, start.attempt) for start in queue.starts][2:] == [(True, 10.0, 2)]
        assert queue.starts[0].worker != queue.starts[2].worker
        assert (await job.status()).crashes == 1


async def test_a_job_that_loses_every_worker_is_given_up(test_queue: MakeQueue, app: Runner) -> None:
    @app.task
    async def work() -> None: ...

    async with test_queue(app) as queue:
        job = await work.submit()
        queue.lose(job, times=3)
        await queue.run_until_idle()

        assert len(queue.starts) == 3
        assert (await job.status()).state == "failed"
        with pytest.raises(AssertionError, match="poison"):
            queue.assert_no_dead_letters()


async def test_while_the_server_is_away_nothing_is_accepted(test_queue: MakeQueue, app: Runner) -> None:
    @app.task
    async def work() -> None: ...

    async with test_queue(app) as queue:
        with queue.redis_down():
            with pytest.raises(StoreUnavailable):
                await work.submit()
            with pytest.raises(ConfigurationError, match="leave `redis_down"):
                await queue.run_until_idle()
        await work.submit()
        await queue.run_until_idle()

        assert len(queue.jobs(State.succeeded)) == 1


async def test_handlers_sleep_on_the_clock_of_the_queue(test_queue: MakeQueue) -> None:
    app = Runner("shop", settings=Settings(concurrency=2, redis_url="redis://nowhere.invalid:1/0"))

    @app.task(retries=0, timeout=45)
    async def work(seconds: float) -> float:
        began_s = asyncio.get_running_loop().time()
        await asyncio.sleep(seconds)
        return asyncio.get_running_loop().time() - began_s

    real_s = time.monotonic()
    async with test_queue(app, virtual_sleep=True) as queue:
        await app.submit_many([work.prepare(30) for _ in range(20)])
        await queue.run_until_idle()
        assert queue.seconds == pytest.approx(300)
        assert [job.result for job in queue.jobs()] == [pytest.approx(30)] * 20

        late = await work.submit(60)
        await queue.run_until_idle()
        assert queue.seconds == pytest.approx(345)
        assert "time-out of 45 s" in str((await late.status()).error)

        before_s = asyncio.get_running_loop().time()
        await asyncio.sleep(0.01)  # the test itself sleeps for real
        assert 0.005 < asyncio.get_running_loop().time() - before_s < 60
    assert time.monotonic() - real_s < 300
    assert "call_at" not in vars(asyncio.get_running_loop())


async def test_a_handler_that_hangs_is_ended_by_its_time_out(test_queue: MakeQueue, app: Runner) -> None:
    @app.task(retries=0, timeout=3600)
    async def hang() -> None:
        await asyncio.Event().wait()

    async with test_queue(app, virtual_sleep=True) as queue:
        await hang.submit()
        await queue.run_until_idle()

        assert queue.seconds == pytest.approx(3600)
        assert len(queue.jobs("failed")) == 1


async def test_real_work_of_a_handler_holds_the_clock(test_queue: MakeQueue, app: Runner) -> None:
    @app.task(timeout=30)
    async def work() -> str:
        await asyncio.to_thread(time.sleep, 0.05)
        return "done"

    @app.task
    def plain() -> str:
        time.sleep(0.05)
        return "done"

    async with test_queue(app, virtual_sleep=True) as queue:
        jobs = [await work.submit(), await plain.submit()]
        later = await work.with_options(delay=60).submit()
        await queue.run_until_idle()

        assert [await job.result() for job in [*jobs, later]] == ["done"] * 3
        assert queue.seconds == 60


async def test_a_job_that_runs_can_be_cancelled(test_queue: MakeQueue, app: Runner) -> None:
    @app.task
    async def work() -> None:
        await asyncio.sleep(3600)

    async with test_queue(app, virtual_sleep=True) as queue:
        job = await work.submit()
        await queue.run_until_idle(queue.now + timedelta(seconds=5))
        assert (await job.status()).state == "running"
        await job.cancel()
        await queue.run_until_idle()

        assert (await job.status()).state == "cancelled"
        assert queue.seconds < 10


async def test_two_workers_have_twice_the_slots(test_queue: MakeQueue) -> None:
    app = Runner("shop", settings=Settings(concurrency=3, redis_url="redis://nowhere.invalid:1/0"))
    running, most = 0, 0

    @app.task
    async def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(10)
        running -= 1

    async with test_queue(app, workers=2, virtual_sleep=True) as queue:
        await app.submit_many([work.prepare() for _ in range(12)])
        await queue.run_until_idle()

        assert most == 6
        assert queue.seconds == pytest.approx(20)
        assert len({start.worker for start in queue.starts}) == 2


async def test_plain_tasks_use_the_queue_too(test_queue: MakeQueue, app: Runner) -> None:
    @app.task(limits=[TokenBucket("slow", rate="1/min", burst=1)])
    def child(n: int) -> int:
        return n

    @app.task
    def parent() -> list[int]:
        children = [child.blocking.submit(n) for n in range(3)]
        return [one.result(timeout=600) for one in children]

    async with test_queue(app) as queue:
        job = await parent.submit()
        await queue.run_until_idle()

        assert await job.result() == [0, 1, 2]
        assert queue.seconds == pytest.approx(120, abs=0.001)


async def test_an_app_and_a_client_by_name_meet_in_one_queue(test_queue: MakeQueue, app: Runner) -> None:
    @app.task
    async def work(n: int) -> int:
        return n + 1

    other, client = Runner("mail", redis_url="redis://nowhere.invalid:1/0"), Client("shop", redis_url="redis://nowhere.invalid:1/0")

    @other.task
    async def send() -> None: ...

    async with test_queue(app, client, other) as queue:
        job = await client.submit("work", {"n": 1})
        await send.submit()
        await queue.run_until_idle()

        assert await job.result() == 2
        assert sorted(start.task for start in queue.starts) == ["send", "work"]
        queue.assert_submitted(send)


async def test_a_worker_of_the_program_rests_meanwhile(test_queue: MakeQueue, app: Runner) -> None:
    @app.task
    async def work() -> None: ...

    async with test_queue(app) as queue:
        worker = Worker(app)
        running = asyncio.create_task(worker.run())
        await worker.wait_until_working()
        await work.submit()
        await asyncio.sleep(0.05)
        assert not queue.starts
        await queue.run_until_idle()
        worker.stop()
        await running

        assert len(queue.starts) == 1


async def test_what_was_submitted_can_be_asked_before_it_runs(test_queue: MakeQueue, app: Runner) -> None:
    @app.task
    async def work(n: int, note: str = "none") -> None: ...

    @app.task
    async def other() -> None: ...

    async with test_queue(app) as queue:
        await work.submit(1)
        queue.assert_submitted(work, 1)
        queue.assert_submitted(work, n=1)
        queue.assert_not_submitted(other)
        assert [job.state for job in queue.jobs()] == ["queued"]
        with pytest.raises(AssertionError, match=r"task 'work' was not submitted with {'n': 2}; it was submitted with {'n': 1}"):
            queue.assert_submitted(work, 2)
        with pytest.raises(AssertionError, match=r"task 'work' was submitted with {'n': 1}"):
            queue.assert_not_submitted(work)


def test_a_plain_test_has_the_same(test_queue: MakeQueue, app: Runner) -> None:
    @app.task(limits=[TokenBucket("slow", rate="1/min", burst=1)])
    async def work(n: int) -> int:
        return n

    with test_queue(app) as queue:
        jobs = [work.blocking.submit(n) for n in range(3)]
        queue.blocking.run_until_idle()
        assert [job.result() for job in jobs] == [0, 1, 2]
        assert queue.seconds == pytest.approx(120, abs=0.001)
        assert work.blocking.submit(7).result(timeout=600) == 7
        assert queue.seconds == pytest.approx(180, abs=0.001)
        queue.blocking.advance(60)
        assert queue.seconds == pytest.approx(240, abs=0.001)


def test_an_app_that_names_no_task_and_options_that_make_no_sense_are_refused(app: Runner) -> None:
    with pytest.raises(ConfigurationError, match=r"TestQueue\(jobs\)"):
        TestQueue(Client("shop", redis_url="redis://nowhere.invalid:1/0"))
    with pytest.raises(ConfigurationError, match="workers is 0"):
        TestQueue(app, workers=0)


async def test_a_queue_is_used_once_and_in_its_own_loop(test_queue: MakeQueue, app: Runner) -> None:
    async with test_queue(app) as queue:
        with pytest.raises(ConfigurationError, match="in the event loop whose"):
            await asyncio.to_thread(lambda: asyncio.run(queue.run_until_idle()))
    with pytest.raises(ConfigurationError, match="used before"):
        async with queue:
            pass


async def test_most_is_a_bound_for_what_submits_itself(test_queue: MakeQueue, app: Runner) -> None:
    @app.task
    async def again() -> None:
        await again.submit()

    async with test_queue(app) as queue:
        await again.submit()
        with pytest.raises(NeverIdle, match=r"(?s)more attempts were started than `most` allows, at 0 s:.*again"):
            await queue.run_until_idle(most=50)


class TestsOfUnittest(unittest.IsolatedAsyncioTestCase):
    async def test_it_works_without_pytest(self) -> None:
        app = Runner("shop", redis_url="redis://nowhere.invalid:1/0")

        @app.task
        async def work(n: int) -> int:
            return n

        async with TestQueue(app) as queue:
            job = await work.with_options(delay=3600).submit(5)
            assert await job.result() == 5
            assert queue.seconds == 3600
        assert (await run(work, 6)).result == 6


async def test_the_clock_stands_until_a_worker_that_died_is_known_to_be_dead(test_queue: MakeQueue, app: Runner) -> None:
    """However many turns of the event loop its handler takes."""

    @app.task
    async def turn(times: int) -> int:
        for _ in range(times):
            await asyncio.sleep(0)
        return times

    async with test_queue(app) as queue:
        for times in range(1, 800, 9):
            job = await turn.submit(times)
            queue.lose(job)
            began_s = queue.seconds
            assert await job.result(timeout=600) == times
            assert queue.seconds == pytest.approx(began_s + 10)
