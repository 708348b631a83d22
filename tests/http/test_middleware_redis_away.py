"""The 429 middleware while Redis is stopped, hangs, or has never been there: what was chosen happens, quickly, and never a 500."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from runner import Runner, SlidingWindow, TokenBucket
from runner.asgi import Rule
from runner.asgi.circuit_breaker import LONGEST_PAUSE_S
from tests.conftest import connect
from tests.eventually import eventually
from tests.http.metered import metered, serving_metered, statuses
from tests.http.uvicorn_server import serving
from tests.pace import TICK_S, Pace
from tests.servers import Server

DEADLINE_S = 0.05
SLACK_S = 0.25
"""What the service does before and after it waits for Redis."""
LIMIT = TokenBucket("calls", capacity=20, refill=1, every=3600)
FULL, SHARE = '"calls";q=20;w=72000', '"calls";q=5;w=72000'


@asynccontextmanager
async def serving_away(server: Server, on_error: str, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """An app that has been served by Redis, which is then stopped."""
    async with serving_metered(server.url, "away", [Rule(limit=LIMIT)], on_error=on_error, **options) as http:
        assert (await http.get("/")).headers["ratelimit-policy"] == FULL
        await asyncio.to_thread(server.stop)
        yield http


async def is_shared(http: httpx.AsyncClient) -> bool:
    answer = await http.get("/")
    return bool(answer.headers.get("ratelimit-policy") == FULL)


@asynccontextmanager
async def hanging(server: Server) -> AsyncIterator[None]:
    """The server takes what is sent to it and says nothing."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


async def timed(http: httpx.AsyncClient, pace: Pace, count: int) -> list[tuple[int, float]]:
    answers = []
    for _ in range(count):
        before_s = pace.now_s
        status = (await http.get("/")).status_code
        answers.append((status, pace.now_s - before_s))
    return answers


async def test_local_lets_a_share_through_and_goes_back_by_itself(private_server: Server, caplog: pytest.LogCaptureFixture) -> None:
    async with serving_away(private_server, "local", instances=4) as http:
        answers = await asyncio.gather(*[http.get("/") for _ in range(60)])
        assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 55
        assert {answer.headers["ratelimit-policy"] for answer in answers} == {SHARE}
        refused = await http.get("/")
        assert refused.json()["violated-policies"] == ["calls"]
        assert int(refused.headers["retry-after"]) > 3600

        await asyncio.to_thread(private_server.start)
        await eventually(lambda: is_shared(http), within_s=LONGEST_PAUSE_S + 2)
        assert (await http.get("/")).status_code == 200

    told = [record.message for record in caplog.records if record.name == "runner"]
    assert len(told) == 2
    assert "without Redis until it answers again" in told[0]
    assert "Redis answers again" in told[1]


async def test_an_outage_that_comes_and_goes_does_not_hand_out_the_share_each_time(private_server: Server) -> None:
    async with serving_away(private_server, "local", instances=4) as http:
        assert await statuses(http, 6) == [200] * 5 + [429]
        await asyncio.to_thread(private_server.start)
        await eventually(lambda: is_shared(http), within_s=LONGEST_PAUSE_S + 2)
        await asyncio.to_thread(private_server.stop)
        assert await statuses(http, 6) == [429] * 6


async def test_open_lets_everybody_through(private_server: Server) -> None:
    async with serving_away(private_server, "open") as http:
        answers = [await http.get("/") for _ in range(40)]
        assert {answer.status_code for answer in answers} == {200}
        assert not any("ratelimit" in answer.headers for answer in answers)

        await asyncio.to_thread(private_server.start)
        await eventually(lambda: is_shared(http), within_s=LONGEST_PAUSE_S + 2)
        assert 429 in await statuses(http, 20)


async def test_closed_refuses_with_503_and_never_blames_the_caller(private_server: Server) -> None:
    async with serving_away(private_server, "closed") as http:
        answers = [await http.get("/") for _ in range(40)]
        assert {answer.status_code for answer in answers} == {503}
        assert all(1 <= int(answer.headers["retry-after"]) <= LONGEST_PAUSE_S for answer in answers)
        assert answers[0].headers["content-type"] == "application/problem+json"
        assert answers[0].json()["type"].endswith("#temporary-reduced-capacity")

        await asyncio.to_thread(private_server.start)
        await eventually(lambda: is_shared(http), within_s=LONGEST_PAUSE_S + 2)


@pytest.mark.parametrize(("on_error", "expected"), [("closed", [503] * 30), ("open", [200] * 30), ("local", [200] * 5 + [429] * 25)])
async def test_a_redis_that_hangs_costs_a_deadline_for_a_few_and_nothing_for_the_others(
    private_server: Server, pace: Pace, on_error: str, expected: Sequence[int]
) -> None:
    options = {"on_error": on_error, "instances": 4, "deadline": DEADLINE_S}
    async with serving_metered(private_server.url, "hang", [Rule(limit=LIMIT)], **options) as http:
        await eventually(lambda: is_shared(http))
        async with hanging(private_server):
            answers = await timed(http, pace, 30)
        await eventually(lambda: is_shared(http), within_s=LONGEST_PAUSE_S + 2)

    assert [status for status, _ in answers] == expected
    assert max(seconds for _, seconds in answers) < DEADLINE_S + SLACK_S
    assert sum(seconds >= DEADLINE_S - 2 * TICK_S for _, seconds in answers) <= 10


async def test_a_slow_redis_is_not_met_by_a_storm_of_connections(private_server: Server) -> None:
    rules = [Rule(limit=LIMIT)]
    async with (
        serving_metered(private_server.url, "slow", rules, instances=4, deadline=DEADLINE_S) as http,
        connect(private_server.url) as own,
    ):
        await eventually(lambda: is_shared(http))
        before = (await own.info("stats"))["total_connections_received"]
        for _ in range(5):
            async with hanging(private_server):
                await statuses(http, 4)
            await eventually(lambda: is_shared(http), within_s=LONGEST_PAUSE_S + 2)
        after = (await own.info("stats"))["total_connections_received"]

    assert after - before <= 4


async def test_a_loop_that_was_held_up_is_not_taken_for_a_redis_that_is_away(redis_url: str, queue: str) -> None:
    deadline_s = 0.3
    app = metered(Runner(queue, redis_url=redis_url), [Rule(limit=LIMIT)], deadline=deadline_s, on_error="closed")
    async with serving(app) as http:
        await eventually(lambda: is_shared(http))
        asking = [asyncio.create_task(http.get("/")) for _ in range(3)]
        while not any(task.get_name() == "rate-limit" for task in asyncio.all_tasks()):  # noqa: ASYNC110 - for a turn or two
            await asyncio.sleep(0)
        time.sleep(3 * deadline_s)  # noqa: ASYNC251 - the loop is to be held up
        answers = await asyncio.gather(*asking)

    assert [answer.status_code for answer in answers] == [200] * 3


@pytest.mark.parametrize(("on_error", "expected"), [("local", [200] * 5 + [429]), ("open", [200] * 6), ("closed", [503] * 6)])
async def test_an_app_that_starts_without_redis_serves(private_server: Server, on_error: str, expected: list[int]) -> None:
    private_server.stop()
    limit = SlidingWindow("calls", 5, per=3600)
    async with serving_metered(private_server.url, "late", [Rule(limit=limit)], on_error=on_error) as http:
        assert await statuses(http, 6) == expected
        private_server.start()

        async def answers_again() -> bool:
            answer = await http.get("/")
            return '"calls";r=' in answer.headers.get("ratelimit", "")

        await eventually(answers_again, within_s=LONGEST_PAUSE_S + 2)


async def test_a_defect_in_deciding_is_logged_and_fails_no_request(private_server: Server, caplog: pytest.LogCaptureFixture) -> None:
    rules = [Rule(limit=LIMIT)]
    async with connect(private_server.url) as own, serving_metered(private_server.url, "broken", rules, on_error="closed") as http:
        await own.set("runner:{broken}:limits", "not a hash")
        assert await statuses(http, 1) == [503]

    assert any(record.levelno == logging.ERROR and record.exc_info for record in caplog.records)
