"""The example on Celery really runs, so that the comparison in docs/howto/migrating.md is one of two programs that work."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.eventually import eventually
from tests.process.modules import answers, running
from tests.servers import VALKEY, Server, free_port

FOLDER = Path(__file__).parents[2] / "examples" / "celery_before"
PYTHON = os.environ.get("CELERY_PYTHON", "")
CELERY = ("celery", "--app", "process_queue:jobs", "worker", "--beat", "--concurrency", "4")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PYTHON, reason="Celery has an environment of its own: make test-celery, or CELERY_PYTHON=<a python with celery[redis]>"
    ),
]


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    port = free_port()
    with Server(VALKEY, tcp=True) as server:
        variables = {"REDIS_URL": server.url, "PERIOD_S": "1", "WORK_S": "0.1", "PYTHONPATH": ""}
        async with (
            running(PYTHON, variables, *CELERY, "--schedule", str(tmp_path / "beat"), folder=FOLDER),
            running(PYTHON, variables, "uvicorn", "process_queue:app", "--port", str(port), "--log-level", "warning", folder=FOLDER),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
        ):
            await eventually(lambda: answers(http))
            yield http


async def test_the_service_on_celery_and_beat_has_the_same_two_routes(service: httpx.AsyncClient) -> None:
    submitted = [(await service.post(f"/tasks/process/{number}")).raise_for_status().json() for number in range(13)]
    assert {answer["status"] for answer in submitted} == {"queued"}

    async def results() -> list[str | None]:
        return [(await service.get(f"/tasks/status/{answer['task_id']}")).json()["result"] for answer in submitted]

    async def all_have_ended() -> bool:
        return None not in await results()

    await eventually(all_have_ended, within_s=60)
    assert await results() == [f"Processed {number}" for number in range(13)]
