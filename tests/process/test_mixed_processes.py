"""Workers of a version without a pool for child processes beside those that have one, in both orders: no job is lost, each runs once."""

import os
import signal
import subprocess
import sys
from asyncio.subprocess import STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from runner import Client, JobHandle
from tests.children import start_child
from tests.eventually import PATIENCE_S, eventually
from tests.servers import Server

ROOT = Path(__file__).parents[2]
BEFORE = "41021d6"
"""The last version whose workers decline jobs until they have a free child."""

APP = """
import os, time
from pathlib import Path
from runner import Children, Runner, TokenBucket
API = TokenBucket("api", rate="200/s", burst=5)
jobs = Runner("mixed", children=Children(size=2))

def note(word: str) -> None:
    descriptor = os.open(Path(__file__).parent / "ran", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{word}\\n".encode())
    os.close(descriptor)

@jobs.task(executor="process")
def work(name: str) -> None:
    note(name)
    time.sleep(0.005)

@jobs.task(executor="process", limits=[API])
def metered(name: str) -> None:
    note(name)

@jobs.task
async def quick(name: str) -> None:
    note(name)
"""


class Deployment:
    """Worker processes of the app, each of one of two versions, and jobs that code of this one and callers by name have sent."""

    def __init__(self, url: str, folder: Path, client: Client, stack: AsyncExitStack) -> None:
        self.client = client
        self._url = url
        self._folder = folder
        self._stack = stack
        self.jobs: list[JobHandle[object]] = []

    async def start(self, checkout: Path) -> Process:
        before = len(await self.client.workers())
        environment = {**os.environ, "RUNNER_REDIS_URL": self._url, "PYTHONPATH": str(checkout)}
        words = ("-m", "runner", "worker", "--app", "app:jobs", "--lease", "3")
        with (self._folder / "output").open("ab") as output:
            process = await start_child(sys.executable, *words, cwd=self._folder, env=environment, stdout=output, stderr=STDOUT)
        self._stack.push_async_callback(self._end, process)

        async def has_come() -> bool:
            return len(await self.client.workers()) > before

        await eventually(has_come)
        return process

    async def leave(self, process: Process) -> None:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0, (self._folder / "output").read_text()

    @staticmethod
    async def _end(process: Process) -> None:
        if process.returncode is None:
            process.kill()
        await process.wait()

    async def submit(self, start: int) -> None:
        for n in range(start, start + 30):
            task = ("work", "metered", "quick")[n % 3]
            self.jobs.append(await self.client.submit(task, {"name": f"{task}-{n}"}))

    @property
    def ran(self) -> list[str]:
        noted = self._folder / "ran"
        return noted.read_text().split() if noted.exists() else []


@pytest.fixture
def before(tmp_path: Path) -> Path:
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", BEFORE, "runner"], capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"commit {BEFORE} is not in this checkout")
    folder = tmp_path / "before"
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


@pytest.fixture
async def deployment(private_server: Server, tmp_path: Path) -> AsyncIterator[Deployment]:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client("mixed", redis_url=private_server.url))
        yield Deployment(private_server.url, folder, client, stack)


@pytest.mark.parametrize("order", ["old first", "new first"])
async def test_versions_with_and_without_a_pool_for_processes_replace_each_other(deployment: Deployment, before: Path, order: str) -> None:
    first, second = (before, ROOT) if order == "old first" else (ROOT, before)
    leaving = await deployment.start(first)
    await deployment.submit(0)
    other = await deployment.start(second)
    await deployment.submit(100)
    await deployment.leave(leaving)
    await deployment.submit(200)
    if second == before:  # what was sent to the pool for processes waits for those who read it
        await deployment.start(ROOT)
        await deployment.leave(other)

    for job in deployment.jobs:
        assert (await job.wait(PATIENCE_S)).state == "succeeded"
    assert sorted(deployment.ran) == sorted(f"{('work', 'metered', 'quick')[n % 3]}-{n}" for k in (0, 100, 200) for n in range(k, k + 30))
