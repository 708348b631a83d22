"""Awaiting jobs: Redis announces their end, and no client polls."""

import asyncio
import os
import signal
from collections.abc import Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import JobFailed, Runner, StoreUnavailable, UnknownJob
from runner.store import Jobs
from tests.eventually import PATIENCE_S, eventually
from tests.pace import Pace
from tests.proxy import SMALL_BUFFER, Proxy
from tests.servers import Server
from tests.worker.conftest import Crew, MakeApp, a_crew, short_settings, state_of


async def commands(redis: Redis) -> int:
    return int((await redis.info("stats"))["total_commands_processed"])


async def test_a_result_arrives_by_announcement(app: Runner, crew: Crew, pace: Pace) -> None:
    release = asyncio.Event()

    @app.task
    async def work() -> str:
        await release.wait()
        return "done"

    await crew.start(app)
    job = await work.submit()
    asked = asyncio.create_task(job.result(timeout=10))
    await state_of(app, job.id, "running")
    release.set()

    released_s = pace.now_s
    assert await asked == "done"
    assert pace.now_s - released_s < 0.4


async def test_waiting_sends_no_commands(private_server: Server) -> None:
    app = Runner("waiting", settings=short_settings(private_server.url, block_s=20))

    @app.task
    async def work() -> None: ...

    waiters = [await work.with_options(delay=600).submit() for _ in range(50)]
    tasks = [asyncio.create_task(job.wait(timeout=60)) for job in waiters]
    async with Redis.from_url(private_server.url) as redis:
        await eventually(lambda: _watched(redis, [job.id for job in waiters]))
        before = await commands(redis)
        await asyncio.sleep(1)
        during = await commands(redis) - before

    for job in waiters:
        await job.cancel()
    assert {status.state for status in await asyncio.gather(*tasks)} == {"cancelled"}
    await app.close()
    assert during <= 3


async def _watched(redis: Redis, ids: list[str]) -> bool:
    return all([await redis.hexists(f"runner:{{waiting}}:job:{job_id}", "watched") for job_id in ids])


async def test_many_waiters_share_one_connection_and_all_get_their_result(app: Runner, crew: Crew) -> None:
    @app.task
    async def work(number: int) -> int:
        if number == 13:
            raise ValueError("unlucky")
        return number

    jobs = await app.submit_many([work.prepare(number) for number in range(100)])
    asked = [asyncio.create_task(job.result(timeout=20)) for job in jobs[:13] + jobs[14:]]
    await crew.start(app)

    assert sorted(await asyncio.gather(*asked)) == [number for number in range(100) if number != 13]
    await jobs[13].cancel()


async def test_the_result_of_a_job_that_has_ended_is_there_at_once(app: Runner, crew: Crew) -> None:
    @app.task(retries=0)
    async def work() -> None:
        raise ValueError("gone")

    await crew.start(app)
    job = await work.submit()
    await state_of(app, job.id, "failed")

    with pytest.raises(JobFailed, match="ValueError: gone"):
        await job.result(timeout=5)


@pytest.mark.parametrize("timeout", [0, 0.0001, 0.2])
async def test_a_wait_that_runs_out_returns_the_state_and_a_result_raises(app: Runner, timeout: float) -> None:
    @app.task
    async def work() -> None: ...

    job = await work.with_options(delay=60).submit()

    assert (await job.wait(timeout=timeout)).state == "scheduled"
    with pytest.raises(TimeoutError, match="still scheduled after"):
        await job.result(timeout=timeout)


async def test_an_unknown_job_is_reported_at_once_whatever_the_timeout(app: Runner) -> None:
    with pytest.raises(UnknownJob, match="no job 'nobody' on queue"):
        await app.client.result("nobody", timeout=60)


async def test_waits_ride_out_a_dead_server_and_end_as_jobs_do(private_server: Server, caplog: pytest.LogCaptureFixture) -> None:
    app = Runner("waiting", settings=short_settings(private_server.url))

    @app.task
    async def work() -> str:
        return "done"

    job = await work.with_options(delay=1).submit()
    asked = asyncio.create_task(job.wait(timeout=2 * PATIENCE_S))
    await eventually(lambda: _is_watched(private_server.url, job.id))
    private_server.kill()
    others = [asyncio.create_task(job.result(timeout=2 * PATIENCE_S)) for _ in range(3)]
    await asyncio.sleep(1)
    assert not any(wait.done() for wait in (asked, *others))
    private_server.start()
    async with a_crew() as crew:
        await crew.start(app)
        assert (await asked).result == "done"
        assert await asyncio.gather(*others) == ["done"] * 3
    assert [record.message for record in caplog.records if "are waited for" in record.message] == [
        f"1 jobs are waited for until Redis is back: {caplog.records[0].args[1]}"  # type: ignore[index]
    ]
    await app.close()


async def test_a_client_that_waits_for_nothing_any_more_says_nothing_of_an_outage(
    private_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    app = Runner("waiting", settings=short_settings(private_server.url))

    @app.task
    async def work() -> None: ...

    job = await work.submit()
    await job.wait(timeout=0.05)
    listener = app._session._listener
    await eventually(listener._listening.is_set)
    private_server.kill()
    await eventually(lambda: listener.away is not None)

    assert not [record for record in caplog.records if "are waited for" in record.message]
    await app.close()


async def test_results_arrive_though_redis_stands_still_for_many_time_outs(private_server: Server) -> None:
    app = Runner("waiting", settings=short_settings(private_server.url, command_timeout_s=0.3, lease_s=30.0))

    @app.task
    async def work(number: int) -> int:
        return number

    jobs = await app.submit_many([work.prepare(number) for number in range(200)])
    async with a_crew() as crew:
        await jobs[0].wait(timeout=0.01)
        await eventually(app._session._listener._listening.is_set)
        os.kill(private_server.pid, signal.SIGSTOP)
        asked = [asyncio.create_task(job.result(timeout=60)) for job in jobs]
        await asyncio.sleep(3)
        os.kill(private_server.pid, signal.SIGCONT)
        await crew.start(app)
        assert await asyncio.gather(*asked) == list(range(200))
    await app.close()


async def test_a_wait_whose_time_ends_while_redis_is_away_says_so_at_once(private_server: Server) -> None:
    app = Runner("waiting", settings=short_settings(private_server.url))

    @app.task
    async def work() -> None: ...

    job = await work.submit()
    private_server.kill()

    for ask in (job.wait, job.result):
        with pytest.raises(TimeoutError) as ended:
            await asyncio.wait_for(ask(timeout=1), 2)
        assert isinstance(ended.value, StoreUnavailable)
        assert isinstance(ended.value.__cause__, StoreUnavailable)
    with pytest.raises(StoreUnavailable) as at_once:
        await job.wait(timeout=0)
    assert not isinstance(at_once.value, TimeoutError)
    await app.close()
    private_server.start()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many jobs each call of get.lua asks for, in this process."""
    ask, counts = Jobs._ask, list[int]()

    async def counted(store: Jobs, ids: Sequence[str], *rest: Any, **more: Any) -> list[Any]:
        counts.append(len(ids))
        return await ask(store, ids, *rest, **more)

    monkeypatch.setattr(Jobs, "_ask", counted)
    return counts


async def test_five_thousand_waiters_cost_a_hundred_calls_and_no_more_for_all_their_ends(
    make_app: MakeApp, crew: Crew, asked: list[int]
) -> None:
    app = make_app(concurrency=100, record_starts=False)
    release = asyncio.Event()

    @app.task
    async def work(number: int) -> int:
        await release.wait()
        return number

    jobs = await app.submit_many([work.prepare(number) for number in range(5_000)])
    waiting = [asyncio.create_task(job.result(timeout=120)) for job in jobs]
    await eventually(lambda: sum(asked) == 5_000, 30)
    assert len(asked) <= 101

    await crew.start(app)
    release.set()
    assert await asyncio.gather(*waiting) == list(range(5_000))
    assert sum(asked) == 10_000  # and every job is asked for once at its end


async def test_many_waiters_for_one_job_ask_once_and_once_at_its_end(app: Runner, crew: Crew, asked: list[int]) -> None:
    release = asyncio.Event()

    @app.task
    async def work() -> list[int]:
        await release.wait()
        return [1]

    job = await work.submit()
    waiting = [asyncio.create_task(app.client.result(job.id, 30)) for _ in range(2_000)]
    await eventually(lambda: asked)
    await crew.start(app)
    release.set()
    results = await asyncio.gather(*waiting)

    assert results == [[1]] * 2_000
    assert len({id(result) for result in results}) == 2_000  # each may change its own
    assert asked == [1, 1]


async def test_a_wait_that_begins_after_a_retry_is_not_told_the_end_before_it(
    private_server: Server, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Runner("waiting", settings=short_settings(private_server.url))
    runs, answered, goes_on = list[int](), asyncio.Event(), asyncio.Event()

    @app.task(retries=0)
    async def work() -> str:
        runs.append(1)
        if len(runs) == 1:
            raise ValueError("at first")
        return "done"

    await crew.start(app)
    job = await work.submit()
    await state_of(app, job.id, "failed")
    ask = Jobs._ask

    async def late(store: Jobs, *args: Any, **more: Any) -> list[Any]:
        answers = await ask(store, *args, **more)
        if more.get("watch") and not answered.is_set():
            answered.set()
            await goes_on.wait()
        return answers

    monkeypatch.setattr(Jobs, "_ask", late)
    before = asyncio.create_task(job.wait(timeout=10))
    await answered.wait()
    await app.client.retry(job.id)
    after = asyncio.create_task(job.result(timeout=10))
    await asyncio.sleep(0)
    goes_on.set()

    assert (await before).state == "failed"
    assert await after == "done"
    await app.close()


async def test_large_results_hold_up_no_small_ones(make_app: MakeApp, crew: Crew, redis_url: str) -> None:
    async with Proxy(redis_url, buffer_bytes=SMALL_BUFFER) as proxy:
        app, behind = make_app(), make_app(redis_url=proxy.url)

        @app.task
        async def work(size: int) -> str:
            return "x" * size

        await crew.start(app)
        large, *small = await app.submit_many([work.prepare(size) for size in (3_000_000, *range(50))])
        await state_of(app, large.id, "succeeded")
        assert await behind.client.result(small[0].id, 10) == ""
        proxy.throttle(500_000)
        waiting = asyncio.create_task(behind.client.result(large.id, 60))
        await asyncio.sleep(0.2)
        for size, job in enumerate(small):
            assert await behind.client.result(job.id, 10) == "x" * size
        assert not waiting.done()

        assert len(await waiting) == 3_000_000


async def _is_watched(url: str, job_id: str) -> bool:
    async with Redis.from_url(url) as redis:
        return await _watched(redis, [job_id])


async def test_a_silent_connection_is_noticed_and_the_end_of_a_job_not_missed(private_server: Server) -> None:
    async with Proxy(private_server.url) as proxy, a_crew() as crew:
        direct = Runner("waiting", settings=short_settings(private_server.url))
        behind = Runner("waiting", settings=short_settings(proxy.url))
        release = asyncio.Event()

        @direct.task
        async def work() -> str:
            await release.wait()
            return "done"

        await crew.start(direct)
        job = await work.submit()
        asked = asyncio.create_task(behind.client.result(job.id, timeout=20))
        await eventually(lambda: _is_watched(private_server.url, job.id))
        assert proxy.freeze_connections("SUBSCRIBE") == 1
        release.set()

        assert await asked == "done"
        await behind.close()
        await direct.close()
