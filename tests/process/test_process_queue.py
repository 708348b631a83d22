"""The process queue as its users meet it: uvicorn and a worker as processes of their own, and nothing but its two routes."""

import sys
from collections.abc import AsyncIterator
from statistics import median

import httpx
import pytest

from runner import Client
from tests.app_internals import store_of
from tests.eventually import eventually
from tests.process.modules import answers, running
from tests.servers import Server, free_port

APP = "tests.process.quick_process_queue"


@pytest.fixture
async def service(private_server: Server) -> AsyncIterator[httpx.AsyncClient]:
    port, redis = free_port(), {"RUNNER_REDIS_URL": private_server.url}
    async with (
        running(sys.executable, redis, "runner", "worker", "--app", f"{APP}:jobs", "--record-starts"),
        running(sys.executable, redis, "uvicorn", f"{APP}:app", "--port", str(port), "--log-level", "warning"),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
        Client("process-queue", redis_url=private_server.url) as client,
    ):
        await eventually(lambda: answers(http))
        await eventually(client.workers)
        yield http


async def status(http: httpx.AsyncClient, task_id: str) -> dict[str, str | None]:
    fields: dict[str, str | None] = (await http.get(f"/tasks/status/{task_id}")).raise_for_status().json()
    return fields


async def test_ten_start_at_once_the_others_when_their_tokens_land_and_none_fails(
    service: httpx.AsyncClient, private_server: Server
) -> None:
    submitted = [(await service.post(f"/tasks/process/{number}")).raise_for_status().json() for number in range(15)]
    assert all(answer.keys() == {"task_id", "status"} and answer["status"] == "queued" for answer in submitted)
    ids = [answer["task_id"] for answer in submitted]

    async def states() -> list[str | None]:
        return [(await status(service, task_id))["status"] for task_id in ids]

    assert (await states())[-1] == "waiting"  # for its token, which lands in three seconds

    async def all_have_ended() -> bool:
        return not {"queued", "waiting", "running"} & set(await states())

    await eventually(all_have_ended)
    assert [await status(service, task_id) for task_id in ids] == [
        {"task_id": task_id, "status": "succeeded", "result": f"Processed {number}"} for number, task_id in enumerate(ids)
    ]

    async with Client("process-queue", redis_url=private_server.url) as client:
        starts = await store_of(client).starts()
    assert [start.job for start in starts] == ids
    assert {start.attempt for start in starts} == {1}
    seconds = [(start.at_us - starts[0].at_us) / 1e6 for start in starts]
    late_s = [second - landed_s for second, landed_s in zip(seconds, [0] * 10 + [1, 1, 2, 2, 3], strict=True)]
    assert min(late_s) >= 0
    assert median(late_s[10:]) < 0.5


async def test_an_unknown_task_is_not_found(service: httpx.AsyncClient) -> None:
    assert (await service.get("/tasks/status/0")).status_code == 404
