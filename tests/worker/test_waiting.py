"""Awaiting jobs: Redis announces their end, and no client polls."""

import asyncio

import pytest
from redis.asyncio import Redis

from runner import JobFailed, Runner, StoreUnavailable, UnknownJob
from tests.eventually import PATIENCE_S, eventually
from tests.pace import Pace
from tests.proxy import Proxy
from tests.servers import Server
from tests.worker.conftest import Crew, a_crew, short_settings, state_of


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


async def test_a_waiter_learns_that_redis_is_away_and_one_after_it_works_again(private_server: Server) -> None:
    app = Runner("waiting", settings=short_settings(private_server.url))

    @app.task
    async def work() -> str:
        return "done"

    job = await work.with_options(delay=1).submit()
    asked = asyncio.create_task(job.wait(timeout=2 * PATIENCE_S))
    await eventually(lambda: _is_watched(private_server.url, job.id))
    private_server.kill()

    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(StoreUnavailable):
            await asked
    private_server.start()
    async with a_crew() as crew:
        await crew.start(app)
        assert await job.result(timeout=10) == "done"
    await app.close()


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
