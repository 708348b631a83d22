"""examples/metered_api.py as its users meet it: through HTTP, with no worker and no leader."""

import asyncio

import httpx
import pytest

from examples.metered_api import build
from runner import Runner
from runner.asgi import by_header
from runner.asgi.circuit_breaker import LONGEST_PAUSE_S
from tests.eventually import eventually
from tests.http.metered import passed
from tests.http.uvicorn_server import serving
from tests.servers import Server

CONGRATULATION = {"message": "Congrats, your request was succesfull!"}


async def statuses(http: httpx.AsyncClient, count: int, user: str = "") -> list[int]:
    return [(await http.get("/", headers={"X-User": user})).status_code for _ in range(count)]


async def test_five_requests_pass_the_sixth_is_429_and_in_time_the_next_passes(redis_url: str, queue: str) -> None:
    jobs = Runner(queue, redis_url=redis_url)
    async with serving(build(jobs, per=1)) as http:
        assert await jobs.client.workers() == []
        for _ in range(2):
            answers = [await http.get("/") for _ in range(5)]
            assert [(answer.status_code, answer.json()) for answer in answers] == [(200, CONGRATULATION)] * 5
            refused = await http.get("/")
            assert refused.status_code == 429
            assert refused.headers["content-type"] == "application/problem+json"
            assert refused.headers["retry-after"] == "1"
            await passed(int(refused.headers["retry-after"]))


async def test_the_five_are_for_a_minute_and_for_all_users(redis_url: str, queue: str) -> None:
    async with serving(build(Runner(queue, redis_url=redis_url))) as http:
        assert [(await statuses(http, 1, user))[0] for user in "abcdef"] == [200] * 5 + [429]
        assert 50 <= int((await http.get("/")).headers["retry-after"]) <= 60


async def test_two_processes_share_the_five(redis_url: str, queue: str) -> None:
    async with (
        serving(build(Runner(queue, redis_url=redis_url))) as one,
        serving(build(Runner(queue, redis_url=redis_url))) as other,
    ):
        assert [(await statuses(http, 1))[0] for http in (one, other) * 3] == [200] * 5 + [429]


async def test_with_a_key_each_user_has_five(redis_url: str, queue: str) -> None:
    async with serving(build(Runner(queue, redis_url=redis_url), key=by_header("X-User"))) as http:
        assert await statuses(http, 6, "ada") == [200] * 5 + [429]
        assert await statuses(http, 6, "bob") == [200] * 5 + [429]


@pytest.mark.parametrize(
    ("on_error", "meanwhile"),
    [("local", [200, 200] + [429] * 6), ("open", [200] * 8), ("closed", [503] * 8)],
)
async def test_while_redis_is_away_it_does_as_told_and_afterwards_the_five_hold_again(
    private_server: Server, on_error: str, meanwhile: list[int]
) -> None:
    jobs = Runner("metered", redis_url=private_server.url)
    async with serving(build(jobs, on_error=on_error, instances=2)) as http:  # type: ignore[arg-type] # one of the three
        assert await statuses(http, 1) == [200]
        await asyncio.to_thread(private_server.stop)
        assert await statuses(http, 8) == meanwhile
        await asyncio.to_thread(private_server.start)

        async def redis_decides() -> bool:
            answer = await http.get("/")
            return bool(answer.headers.get("ratelimit-policy") == '"requests";q=5;w=60')

        await eventually(redis_decides, within_s=LONGEST_PAUSE_S + 2)
        assert (await statuses(http, 5))[3:] == [429, 429]
