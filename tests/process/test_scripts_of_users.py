"""Scripts of users as processes of their own: how they end, and what Ctrl-C does to a call that waits and to a worker."""

import sys

import pytest
from redis.asyncio import Redis

from runner.jobs import Priority
from runner.store.keys import Keys
from tests.eventually import eventually
from tests.leftovers import keys_of
from tests.process.scripts import ended, interrupt, script


async def submitted(redis: Redis, queue: str) -> int:
    length: int = await redis.xlen(Keys(queue).stream(Priority.normal))
    return length


async def test_a_script_that_ends_leaves_nothing_open_and_says_nothing(redis: Redis, redis_url: str, queue: str) -> None:
    async with script("greet.blocking.submit('a')", redis_url, queue) as process:
        assert await ended(process) == (0, "")

    assert await submitted(redis, queue) == 1


async def test_a_function_that_runs_at_exit_may_still_submit(redis: Redis, redis_url: str, queue: str) -> None:
    body = """
        greet.blocking.submit("a")
        atexit.register(lambda: greet.blocking.submit("b"))
    """
    async with script(body, redis_url, queue) as process:
        assert await ended(process) == (0, "")

    assert await submitted(redis, queue) == 2


async def test_the_first_call_of_all_may_be_made_at_exit(redis: Redis, redis_url: str, queue: str) -> None:
    async with script('atexit.register(lambda: greet.blocking.submit("a"))', redis_url, queue) as process:
        assert await ended(process) == (0, "")

    assert await submitted(redis, queue) == 1


async def test_the_end_waits_for_the_submission_of_a_daemon_thread_and_not_for_its_result(redis: Redis, redis_url: str, queue: str) -> None:
    body = """
        import time
        from runner.client.blocking import door

        def work():
            greet.blocking.submit("a").result()

        threading.Thread(target=work, daemon=True).start()
        while not door._calls:
            time.sleep(0.01)
    """
    async with script(body, redis_url, queue, RUNNER_FAILPOINTS="submit:before=pause:0.5") as process:
        status, errors = await ended(process)

    assert (status, await submitted(redis, queue)) == (0, 1)
    assert "never awaited" not in errors
    assert "unclosed" not in errors


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
async def test_ctrl_c_in_a_call_that_waits_ends_it_and_takes_its_ticket_back(redis: Redis, redis_url: str, queue: str) -> None:
    body = """
        jobs.blocking.take(limit)
        try:
            jobs.blocking.take(limit, wait=None)
        except KeyboardInterrupt:
            input()
    """
    async with script(body, redis_url, queue) as process:

        async def stands() -> bool:
            return any(":line:" in key for key in await keys_of(redis, queue))

        async def gone() -> bool:
            return not await stands()

        await eventually(stands)
        interrupt(process)
        await eventually(gone)
        assert await ended(process) == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
async def test_ctrl_c_in_a_worker_that_a_script_runs_gives_its_jobs_back(redis: Redis, redis_url: str, queue: str) -> None:
    body = """
        import asyncio
        from runner import Worker

        @jobs.task
        async def work():
            print("begun", flush=True)
            await asyncio.sleep(60)

        async def main():
            await work.with_options(id="job").submit()
            await Worker(jobs).run()

        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            pass
    """
    async with script(body, redis_url, queue) as process:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"begun\n"
        interrupt(process)
        assert (await ended(process))[0] == 0

    state, crashes = await redis.hmget(Keys(queue).job("job"), "state", "crashes")
    assert (state, crashes or b"0") == (b"queued", b"0")
    assert await redis.zcard(Keys(queue).workers) == 0
