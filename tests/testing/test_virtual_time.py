"""TestQueue: the time of the queue jumps from one thing to do to the next, and every rate, delay and back-off is kept on it exactly."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from runner import Backoff, JobFailed, Runner, State, TokenBucket
from runner.testing import NeverIdle, TestQueue

MakeQueue = Callable[..., TestQueue]


async def test_a_hundred_jobs_at_ten_a_minute_take_nine_minutes_of_the_queue(test_queue: MakeQueue, app: Runner) -> None:
    @app.task(limits=[TokenBucket("api", rate="10/min", burst=10)])
    async def call(n: int) -> int:
        return n

    async with test_queue(app) as queue:
        handles = [await call.submit(n) for n in range(100)]
        await queue.run_until_idle()

        assert queue.seconds == pytest.approx(540, abs=0.001)
        at = [start.at for start in queue.starts]
        assert at[:10] == [0] * 10
        assert at[10:] == pytest.approx([6.0 * n for n in range(1, 91)], abs=0.001)
        assert [start.arguments["n"] for start in queue.starts] == list(range(100))
        assert [await handle.result() for handle in handles] == list(range(100))
        queue.assert_submitted(call, 99)
        queue.assert_no_dead_letters()


async def test_a_hundred_jobs_cost_less_than_half_a_second_of_this_process(test_queue: MakeQueue, app: Runner) -> None:
    @app.task(limits=[TokenBucket("api", rate="10/min", burst=10)])
    async def call(n: int) -> None: ...

    spent_s = []
    for _ in range(3):  # the first also starts the server
        began_s = time.process_time()
        async with test_queue(app) as queue:
            for n in range(100):
                await call.submit(n)
            await queue.run_until_idle()
            assert queue.seconds == pytest.approx(540, abs=0.001)
        spent_s.append(time.process_time() - began_s)

    assert min(spent_s) < 0.5


@pytest.mark.parametrize("per_s", [3, 7, 30, 200, 333, 1_000])
async def test_any_rate_is_kept_whatever_its_seconds_are_as_a_fraction(test_queue: MakeQueue, app: Runner, per_s: int) -> None:
    @app.task(limits=[TokenBucket("api", rate=f"{per_s}/s", burst=1)])
    async def call(n: int) -> None: ...

    async with test_queue(app) as queue:
        await app.submit_many([call.prepare(n) for n in range(60)])
        await queue.run_until_idle()

        assert [start.at for start in queue.starts] == pytest.approx([n / per_s for n in range(60)], abs=0.0002)


async def test_retries_come_after_their_back_offs(test_queue: MakeQueue, app: Runner) -> None:
    @app.task(retries=3, backoff=Backoff(base=10, factor=2, jitter=0))
    async def fail() -> None:
        raise ValueError("no")

    async with test_queue(app) as queue:
        job = await fail.submit()
        await queue.run_until_idle()

        assert [start.at for start in queue.starts] == pytest.approx([0, 10, 30, 70], abs=0.001)
        assert [failed.id for failed in queue.jobs("failed")] == [job.id]
        with pytest.raises(AssertionError, match=r"(?s)1 dead letters:\nfail .*: ValueError: no\n.*raise ValueError"):
            queue.assert_no_dead_letters()


async def test_delays_and_instants_are_by_the_clock_of_the_queue(test_queue: MakeQueue, app: Runner) -> None:
    @app.task
    async def work(name: str) -> None: ...

    async with test_queue(app) as queue:
        await work.with_options(run_at=queue.now + timedelta(hours=2)).submit("at two")
        await work.with_options(delay=3600).submit("after one")
        await work.submit("now")
        await queue.advance(1800)
        assert [start.arguments["name"] for start in queue.starts] == ["now"]
        assert queue.seconds == 1800
        await queue.run_until_idle()

        assert [(start.arguments["name"], start.at) for start in queue.starts[1:]] == [("after one", 3600), ("at two", 7200)]
        assert queue.seconds == 7200


async def test_a_run_can_end_at_an_instant(test_queue: MakeQueue, app: Runner) -> None:
    @app.task
    async def again() -> None:
        await again.with_options(delay=60).submit()

    async with test_queue(app) as queue:
        await again.submit()
        await queue.run_until_idle(queue.now + timedelta(minutes=10))

        assert (len(queue.starts), queue.seconds) == (11, 600)
        with pytest.raises(NeverIdle, match="more attempts were started than `most` allows, at"):
            await queue.run_until_idle(most=20)


async def test_a_job_that_waits_too_long_expires(test_queue: MakeQueue, app: Runner) -> None:
    @app.task(limits=[TokenBucket("slow", rate="1/min", burst=1)], max_wait=90)
    async def work(n: int) -> None: ...

    async with test_queue(app) as queue:
        for n in range(4):
            await work.submit(n)
        await queue.run_until_idle()

        assert [start.at for start in queue.starts] == pytest.approx([0, 60], abs=0.001)
        assert len(queue.jobs(State.expired)) == 2
        assert queue.seconds == pytest.approx(90, abs=0.001)


async def test_a_higher_priority_comes_first(test_queue: MakeQueue, app: Runner) -> None:
    @app.task(limits=[TokenBucket("slow", rate="1/s", burst=1)])
    async def work(name: str) -> None: ...

    async with test_queue(app) as queue:
        await app.submit_many([work.with_options(priority=name).prepare(name) for name in ("low", "normal", "high")])
        await queue.run_until_idle()

    assert [start.arguments["name"] for start in queue.starts] == ["low", "high", "normal"]


async def test_a_result_that_is_waited_for_makes_time_pass(test_queue: MakeQueue, app: Runner) -> None:
    @app.task
    async def work(n: int) -> int:
        return 2 * n

    async with test_queue(app) as queue:
        job = await work.with_options(delay=600).submit(21)
        assert await job.result(timeout=3600) == 42
        assert queue.seconds == 600

        late = await work.with_options(delay=600).submit(1)
        with pytest.raises(TimeoutError):
            await late.result(timeout=60)
        assert queue.seconds == 660

        both = await asyncio.gather(*[(await work.with_options(delay=delay).submit(delay)).result() for delay in (10, 20)])
        assert (both, queue.seconds) == ([20, 40], 680)


async def test_a_result_that_never_comes_is_no_endless_wait(test_queue: MakeQueue, app: Runner) -> None:
    @app.task(limits=[TokenBucket("slow", rate="1/s")])
    async def work() -> None: ...

    async with test_queue(app) as queue:
        await work.submit()
        await queue.run_until_idle()
        await app.client.control.pause("slow", reason="their maintenance")
        job = await work.submit()

        with pytest.raises(NeverIdle, match=r"(?s)nothing will happen any more.*their maintenance.*somebody waits for job " + job.id):
            await job.result()
        with pytest.raises(NeverIdle, match="their maintenance"):
            await queue.run_until_idle()
        await app.client.control.resume("slow")
        await job.result()


async def test_a_handler_waits_for_its_children_on_the_same_clock(test_queue: MakeQueue, app: Runner) -> None:
    @app.task(retries=1, backoff=Backoff(base=30, jitter=0))
    async def child(n: int) -> int:
        if len([start for start in queue.starts if start.arguments == {"n": n}]) == 1:
            raise ValueError("the first time")
        return n

    @app.task
    async def parent() -> list[int]:
        children = [await child.with_options(delay=60 * n).submit(n) for n in range(3)]
        return [await one.result(timeout=600) for one in children]

    async with test_queue(app) as queue:
        job = await parent.submit()
        await queue.run_until_idle()

        assert await job.result() == [0, 1, 2]
        assert [start.at for start in queue.starts] == pytest.approx([0, 0, 30, 60, 90, 120, 150], abs=0.001)


async def test_tokens_that_are_waited_for_land_on_the_same_clock(test_queue: MakeQueue, app: Runner) -> None:
    slow = app.limit(TokenBucket("slow", rate="1/min", burst=1))
    took = []

    @app.task
    async def work() -> None:
        await app.take(slow, wait=300)
        took.append(queue.seconds)

    async with test_queue(app) as queue:
        await app.submit_many([work.prepare() for _ in range(3)])
        await queue.run_until_idle()
        assert took == pytest.approx([0, 60, 120], abs=0.001)
        await app.take(slow, wait=300)
        assert queue.seconds == pytest.approx(180, abs=0.001)


async def test_what_fails_keeps_its_words(test_queue: MakeQueue, app: Runner) -> None:
    @app.task(retries=0)
    async def work() -> None:
        raise ValueError("no")

    async with test_queue(app):
        job = await work.submit()
        with pytest.raises(JobFailed, match="ValueError: no"):
            await job.result()


async def test_an_app_comes_back_as_it_was(test_queue: MakeQueue, app: Runner) -> None:
    @app.task
    async def work() -> None: ...

    before = dict(vars(app))
    async with test_queue(app) as queue:
        assert app.queue.startswith("shop-")
        await work.submit()
        await queue.run_until_idle()

    assert vars(app) == before


async def test_results_together_are_waited_for_by_the_clock_of_the_queue(test_queue: MakeQueue, app: Runner) -> None:
    @app.task(limits=[TokenBucket("api", rate="1/min", burst=1)])
    async def call(n: int) -> int:
        return n

    @app.task
    async def total() -> int:
        return sum(await app.gather(await app.submit_many([call.prepare(n) for n in range(3)])))

    async with test_queue(app) as queue:
        job = await total.submit()
        await queue.run_until_idle()
        assert await job.result() == 3
        assert queue.seconds == pytest.approx(120, abs=0.001)
        late = [await call.with_options(delay=600).submit(7), await call.with_options(delay=1200).submit(8)]
        met = []
        with pytest.raises(TimeoutError):  # noqa: PT012 - what came before it counts
            async for one in app.as_completed(late, timeout=900):
                met.append(one.result())  # noqa: PERF401
        assert met == [7]
        assert queue.seconds == pytest.approx(1020, abs=0.001)
        assert [done.result() async for done in app.map(call, range(2), ordered=True)] == [0, 1]


async def test_schedules_are_fired_as_the_time_of_the_queue_passes(test_queue: MakeQueue, app: Runner) -> None:
    @app.cron("*/15 * * * *", overlap="queue")
    @app.task
    async def report() -> None: ...

    async with test_queue(app) as queue:
        await queue.advance(3_600)
        assert len(queue.starts) == 4
        assert [job.id.partition(":")[0] for job in queue.jobs()] == ["report"] * 4
        assert [start.at % 60 for start in queue.starts] == [0] * 4
        await queue.run_until_idle()
        assert len(queue.starts) == 4


async def test_a_queue_with_a_schedule_is_idle_when_its_jobs_have_ended(test_queue: MakeQueue, app: Runner) -> None:
    @app.every(3_600)
    @app.task
    async def sync() -> None: ...

    @app.task
    async def charge() -> None: ...

    async with test_queue(app) as queue:
        await charge.submit()
        await charge.with_options(delay=60).submit()
        await queue.run_until_idle()
        assert [start.task for start in queue.starts] == ["charge", "charge"]
        assert queue.seconds == 60
        await charge.with_options(delay=5_000).submit()
        await queue.run_until_idle()
        assert [start.task for start in queue.starts[2:]] == ["sync", "charge"]
