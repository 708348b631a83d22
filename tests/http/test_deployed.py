"""The service as this repository deploys it, in processes of their own: `python -m api` and `uvicorn api.main:app`."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from runner import Runner
from tests.app_internals import store_of
from tests.eventually import PATIENCE_S, eventually

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def serving(folder: Path, *words: str, **variables: str) -> AsyncIterator[tuple[Process, str]]:
    """`python -m` and these words in a folder, and the URL that it says it listens on."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RUNNER_")}
    environment |= {"PYTHONPATH": str(ROOT), **variables}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *words, "--port", "0", cwd=folder, env=environment, stdout=PIPE, stderr=STDOUT
    )
    try:
        yield process, await url_of(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def url_of(process: Process) -> str:
    assert process.stdout is not None
    said = ""
    async with asyncio.timeout(PATIENCE_S):
        while line := (await process.stdout.readline()).decode():
            if found := re.search(r"(?:listening on|running on) (http://127\.0\.0\.1:\d+)", line):
                return found[1]
            said += line
    raise AssertionError(f"it ended: {said}")


@pytest.mark.parametrize("words", [("api",), ("uvicorn", "api.main:app")], ids=" ".join)
async def test_the_service_serves_the_queue_of_the_app_in_the_environment(
    app: Runner, redis_url: str, tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "shop.py").write_text(f"from runner import Runner\njobs = Runner({app.queue!r})\n")
    async with serving(tmp_path, *words, RUNNER_REDIS_URL=redis_url, RUNNER_APP="shop:jobs") as (process, url):
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            assert {task["name"] for task in (await http.get("/v1/tasks")).json()["tasks"]} == set(app.tasks)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            await process.communicate()


async def test_a_signal_ends_the_module_with_a_request_that_waits(app: Runner, redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(f"from runner import Runner\njobs = Runner({app.queue!r})\n")
    async with serving(tmp_path, "api", RUNNER_REDIS_URL=redis_url, RUNNER_APP="shop:jobs") as (process, url):
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE_S) as http:
            job_id = (await http.post("/v1/jobs", json={"task": "held"})).json()["id"]
            waiting = asyncio.create_task(http.get(f"/v1/jobs/{job_id}", params={"wait": 60}))
            await eventually(lambda: store_of(app).redis.hexists(store_of(app).keys.job(job_id), "watched"))
            process.send_signal(signal.SIGTERM)
            assert (await waiting).json()["state"] == "queued"
        async with asyncio.timeout(PATIENCE_S):
            await process.communicate()
        assert process.returncode == 0


async def test_an_app_that_is_not_there_is_named_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"^it ended: runner: app 'shop:jobs': there is no module 'shop' in [^\n]*\n$"):
        async with serving(tmp_path, "api", RUNNER_APP="shop:jobs"):
            pass


async def test_the_service_and_a_project_that_has_its_own_api_do_not_hide_each_other(app: Runner, redis_url: str, tmp_path: Path) -> None:
    """As in the image: the service in a folder of its own, the project in another on the path."""
    service, project = tmp_path / "service", tmp_path / "project"
    shutil.copytree(ROOT / "api", service / "api")
    (project / "api").mkdir(parents=True)
    (project / "api" / "__init__.py").write_text("raise RuntimeError('the API needs no code of the project')\n")
    path = os.pathsep.join([str(project), str(ROOT)])
    variables = {"RUNNER_REDIS_URL": redis_url, "RUNNER_APP": "api.tasks:jobs", "PYTHONPATH": path}

    async with (
        serving(service, "api", **variables, RUNNER_QUEUE=app.queue) as (_, url),
        httpx.AsyncClient(base_url=url, trust_env=False) as http,
    ):
        assert {task["name"] for task in (await http.get("/v1/tasks")).json()["tasks"]} == set(app.tasks)


def test_an_app_that_the_service_hides_is_told_the_way(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "api", tmp_path / "api")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "RUNNER_APP": "api.tasks:jobs"}
    ended = subprocess.run([sys.executable, "-m", "api"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert ended.returncode != 0
    assert "set RUNNER_QUEUE to the queue's name" in ended.stderr


def test_the_image_serves_the_api_from_the_folder_it_is_copied_to() -> None:
    (folder,) = re.findall(r"COPY api (\S+)/api", (ROOT / "Dockerfile").read_text())

    assert f"working_dir: {folder}\n" in (ROOT / "docker-compose.yml").read_text()
    assert "!api\n" in (ROOT / ".dockerignore").read_text()
