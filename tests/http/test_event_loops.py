"""One app in many event loops, as a TestClient makes for each request and pytest for each test: it counts in one place, and waits in each."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import httpx
from fastapi import FastAPI

from runner import Runner, TokenBucket, load_settings
from runner.asgi import Rule
from runner.http import router
from tests.http.metered import PATIENT_S, metered
from tests.worker.test_event_loops import nothing_left_open, run

__all__ = ["nothing_left_open"]


def inside(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def test_requests_in_loops_of_their_own_one_by_one_and_at_once_share_a_count(
    redis_url: str, queue: str, nothing_left_open: None
) -> None:
    jobs = Runner(queue, settings=load_settings(redis_url=redis_url, command_timeout_s=PATIENT_S))
    app = metered(jobs, [Rule(limit=TokenBucket("scarce", capacity=5, refill=1, every=3600))])

    async def request() -> int:
        async with inside(app) as http:
            return (await http.get("/")).status_code

    answers = [await asyncio.to_thread(run, request) for _ in range(4)]
    with ThreadPoolExecutor(8) as threads:
        answers += await asyncio.gather(*(asyncio.wrap_future(threads.submit(run, request)) for _ in range(8)))

    assert sorted(answers) == [200] * 5 + [429] * 7


async def test_a_request_waits_for_its_job_in_every_loop(redis_url: str, queue: str, nothing_left_open: None) -> None:
    jobs = Runner(queue, redis_url=redis_url)
    app = FastAPI()
    app.include_router(router(jobs))

    @jobs.task
    async def work() -> None: ...

    async def request() -> str:
        job = await work.with_options(delay=60).submit()
        async with inside(app) as http:
            answer = asyncio.create_task(http.get(f"/v1/jobs/{job.id}?wait=30"))
            session = jobs._session
            while not session._listener._watches and not answer.done():  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
            await job.cancel()
            state: str = (await answer).json()["state"]
        return state

    assert [await asyncio.to_thread(run, request) for _ in range(3)] == ["cancelled"] * 3
