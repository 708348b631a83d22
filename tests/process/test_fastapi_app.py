"""examples/fastapi_app as its users meet it: uvicorn as a process, in a folder without a server, and HTTP."""

import os
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.children import start_child
from tests.eventually import eventually
from tests.servers import free_port

ROOT = Path(__file__).parents[2]
STAFF = {"Authorization": "Bearer staff-token"}
OPERATOR = {"Authorization": "Bearer operator-token"}


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    port, environment = free_port(), {name: value for name, value in os.environ.items() if name != "RUNNER_REDIS_URL"}
    process = await start_child(
        *(sys.executable, "-m", "uvicorn", "examples.fastapi_app.app:app", "--port", str(port), "--log-level", "warning"),
        stdin=DEVNULL,
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(ROOT)},
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as http:
            await eventually(lambda: is_up(http), within_s=90)
            yield http
    finally:
        process.terminate()
        await process.wait()


async def is_up(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/operators/v1/limits")).status_code == 403
    except httpx.TransportError:
        return False


async def test_the_shop_runs_its_jobs_and_shows_them_to_those_who_may_see_them(http: httpx.AsyncClient) -> None:
    paid = (await http.post("/orders/o-17/payment", headers=STAFF)).json()
    assert (await http.get("/orders/o-17/payment", headers=STAFF)).json() == "paid o-17"
    followed = (await http.get(f"/queue/v1/jobs/{paid['id']}", headers=STAFF)).json()
    assert (followed["state"], followed["metadata"]) == ("succeeded", {"by": "staff"})
    again = await http.post("/queue/v1/jobs", json={"task": "charge", "args": {"order": "o-18"}}, headers=STAFF)
    assert (await http.get(again.headers["location"], headers=STAFF)).json()["id"] == again.json()["id"]

    paused = await http.post("/operators/v1/limits/provider/pause", json={"reason": "audit"}, headers=OPERATOR)
    assert paused.json()["paused"]["reason"] == "audit"
    await http.post("/orders/o-19/payment", headers=STAFF)
    waiting = (await http.get("/operators/v1/jobs/pay-o-19", headers=OPERATOR)).json()
    assert (waiting["state"], waiting["reason"]) == ("waiting", "paused")
    assert (await http.get("/operators/v1/jobs/nothing", headers=OPERATOR)).json()["type"] == "/operators/problems/not-found"
    assert "metered-runner" in (await http.get("/operators/ui/", headers=OPERATOR)).text

    for path in ("/queue/v1/limits", "/queue/healthz", "/queue/v1/jobs/x"):
        answer = await http.get(path)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    for path in ("/operators/v1/limits", "/operators/openapi.json", "/operators/ui/"):
        assert (await http.get(path, headers=STAFF)).status_code == 403
