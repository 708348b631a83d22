"""The commands that stay, told to end: once, twice, and while a handler keeps their event loop from turning."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from runner import Client
from tests.children import start_child
from tests.eventually import PATIENCE_S, eventually
from tests.servers import Server

APP = """
import asyncio, time
from runner import Runner
jobs = Runner("stopping")

@jobs.task
async def nap(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds

@jobs.task
async def hog() -> None:
    while True:
        time.sleep(1)
"""
HASTY = "import runner.cli.signals as s; s._MARGIN_S = 1.0; from runner.cli import main; main()"
"""The command line, with little patience for a process that does not end."""

Start = Callable[..., Awaitable[Process]]


@pytest.fixture
async def start(private_server: Server, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a command that serves the app of this file."""
    (tmp_path / "app.py").write_text(APP)
    environment = {
        **os.environ,
        "RUNNER_REDIS_URL": private_server.url,
        "RUNNER_APP": "app:jobs",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PYTHONUNBUFFERED": "1",
    }
    async with AsyncExitStack() as stack:

        async def start(*words: str, code: str = "from runner.cli import main; main()") -> Process:
            process = await start_child(sys.executable, "-c", code, *words, cwd=tmp_path, env=environment, stdout=PIPE, stderr=STDOUT)
            stack.push_async_callback(end, process)
            return process

        yield start


async def end(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.communicate()


@pytest.fixture
async def client(private_server: Server) -> AsyncIterator[Client]:
    async with Client("stopping", redis_url=private_server.url) as client:
        yield client


async def runs_a_job(client: Client, task: str, args: dict[str, float]) -> str:
    await eventually(client.workers)
    job = await client.submit(task, args)

    async def running() -> bool:
        return (await job.status()).state == "running"

    await eventually(running)
    return job.id


async def says(process: Process, word: bytes) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        while word not in (line := await process.stdout.readline()):
            assert line, "it ended"


async def output(process: Process) -> str:
    async with asyncio.timeout(PATIENCE_S):
        return (await process.communicate())[0].decode()


@pytest.mark.fault("F06")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_second_signal_ends_dev_at_once_without_a_trace(start: Start, client: Client, number: signal.Signals) -> None:
    dev = await start("dev", "--port", "0")
    await says(dev, b"listening")
    job_id = await runs_a_job(client, "nap", {"seconds": 60})

    dev.send_signal(number)
    await asyncio.sleep(0.05)  # two signals at the same instant are one
    dev.send_signal(number)

    assert "Traceback" not in await output(dev)
    assert dev.returncode == 0
    assert (await client.status(job_id)).state == "queued"


async def test_a_first_signal_lets_the_jobs_of_dev_finish(start: Start, client: Client) -> None:
    dev = await start("dev", "--port", "0")
    await says(dev, b"listening")
    job_id = await runs_a_job(client, "nap", {"seconds": 1.0})

    dev.send_signal(signal.SIGTERM)

    assert "Traceback" not in await output(dev)
    assert (dev.returncode, (await client.status(job_id)).state) == (0, "succeeded")


async def test_a_second_signal_ends_the_api_without_a_trace(start: Start) -> None:
    api = await start("api", "--port", "0")
    await says(api, b"listening")

    api.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.05)  # two signals at the same instant are one
    api.send_signal(signal.SIGTERM)

    assert "Traceback" not in await output(api)
    assert api.returncode == 0


@pytest.mark.parametrize("is_there", [True, False], ids=["there", "away"])
async def test_a_worker_says_whether_it_could_sign_off(start: Start, private_server: Server, *, is_there: bool) -> None:
    worker = await start("worker")
    await says(worker, b"leader")
    if not is_there:
        private_server.kill()

    worker.send_signal(signal.SIGTERM)

    said = await output(worker)
    assert ("nothing is left behind" in said, "other workers run its jobs once its lease lapses" in said) == (is_there, not is_there)
    assert worker.returncode == 0


@pytest.mark.fault("F34")
async def test_a_worker_whose_loop_a_handler_blocks_for_ever_is_ended_soon_after_its_time(start: Start, client: Client) -> None:
    worker = await start("worker", "--drain", "0", code=HASTY)
    await runs_a_job(client, "hog", {})

    worker.send_signal(signal.SIGTERM)

    assert "did not end within 1 s of a signal and is ended now" in await output(worker)
    assert worker.returncode == 1
