"""examples/mounted_queue.py as its users meet it, through a real server."""

from collections.abc import AsyncIterator

import httpx
import pytest

from examples.mounted_queue import build
from runner import Runner
from tests.http.uvicorn_server import serving

STAFF = {"Authorization": "Bearer staff-token"}
OPERATOR = {"Authorization": "Bearer operator-token"}


@pytest.fixture
async def http(redis_url: str, queue: str) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(build(Runner(queue, redis_url=redis_url))) as http:
        yield http


async def test_staff_follow_the_job_of_an_order_to_its_end(http: httpx.AsyncClient) -> None:
    paid = (await http.post("/orders/o-17/payment", headers=STAFF)).json()
    assert paid["by"] == "staff"
    ended = await http.get(f"/queue/v1/jobs/{paid['job']}", params={"wait": 20}, headers=STAFF)
    assert (ended.json()["state"], ended.json()["result"]) == ("succeeded", "charged o-17")
    again = await http.post("/queue/v1/jobs", json={"task": "charge", "args": {"order": "o-18"}}, headers=STAFF)
    assert again.status_code == 202
    assert (await http.get(again.headers["location"], headers=STAFF)).json()["id"] == again.json()["id"]


async def test_strangers_get_the_answer_of_the_shop_and_reach_nothing(http: httpx.AsyncClient) -> None:
    for path in ("/queue/v1/limits", "/queue/healthz", "/queue/v1/jobs/x"):
        answer = await http.get(path)
        assert (answer.status_code, answer.json()) == (401, {"detail": "log in first"})
        assert answer.headers["www-authenticate"] == "Bearer"
    for headers in ({}, STAFF):
        for path in ("/operators/v1/limits", "/operators/openapi.json", "/operators/nothing"):
            answer = await http.get(path, headers=headers)
            assert (answer.status_code, answer.json()) == (403, {"detail": "operators only"})


async def test_operators_have_the_whole_service_under_its_own_prefix(http: httpx.AsyncClient) -> None:
    await http.post("/orders/o-18/payment", headers=STAFF)  # the first submission puts the limit into the catalog
    paused = await http.post("/operators/v1/limits/payments/pause", json={"reason": "audit"}, headers=OPERATOR)
    assert paused.json()["paused"]["reason"] == "audit"
    waiting = (await http.post("/orders/o-19/payment", headers=STAFF)).json()["job"]
    status = (await http.get(f"/operators/v1/jobs/{waiting}", params={"explain": 1}, headers=OPERATOR)).json()
    assert (status["state"], status["reason"]) == ("waiting", "paused")
    unknown = await http.get("/operators/v1/jobs/nothing", headers=OPERATOR)
    assert unknown.json()["type"] == "/operators/problems/not-found"


async def test_the_description_of_the_shop_has_the_routes_of_the_queue(http: httpx.AsyncClient) -> None:
    paths = (await http.get("/openapi.json")).json()["paths"]
    assert {"/orders/{order}/payment", "/queue/v1/jobs", "/queue/v1/jobs/{id}"} <= paths.keys()
    assert not any(path.startswith("/operators") for path in paths)
