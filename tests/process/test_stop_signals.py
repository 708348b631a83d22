"""The commands that stay, told to end: once, twice, and while a handler keeps their event loop from turning."""

import asyncio
import os
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from runner import Client
from tests.children import start_child
from tests.eventually import PATIENCE_S, eventually
from tests.proxy import SMALL_BUFFER, Proxy
from tests.servers import Server

APP = """
import asyncio, multiprocessing, time
from runner import Runner
jobs = Runner("stopping")

@jobs.task
async def nap(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds

@jobs.task
async def leave() -> int:
    leaving = asyncio.create_task(exit_later())
    asyncio.get_running_loop().call_soon(exit)
    await asyncio.sleep(0.2)
    return leaving.done()

async def exit_later() -> None:
    raise SystemExit(3)

@jobs.task
async def fork() -> int:
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=[60])
    child.start()
    child.terminate()
    await asyncio.to_thread(child.join, 20)
    return child.exitcode

@jobs.task
async def write(size: int) -> str:
    return "x" * size

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

        async def start(*words: str, code: str = "from runner.cli import main; main()", within: Sequence[str] = ()) -> Process:
            process = await start_child(
                *within, sys.executable, "-c", code, *words, cwd=tmp_path, env=environment, stdout=PIPE, stderr=STDOUT
            )
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


async def has_run_a_job(client: Client, task: str, args: dict[str, float]) -> None:
    await eventually(client.workers)
    await (await client.submit(task, args)).result(timeout=PATIENCE_S)


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


@pytest.mark.fault("X07")
@pytest.mark.parametrize("signals", [1, 2])
async def test_a_worker_gets_the_time_that_a_large_result_needs_unless_it_is_told_twice(
    start: Start, private_server: Server, client: Client, signals: int
) -> None:
    async with Proxy(private_server.url, buffer_bytes=SMALL_BUFFER) as proxy:
        worker = await start("worker", "--drain", "0", "--redis-url", proxy.url, code=HASTY)
        await has_run_a_job(client, "write", {"size": 1})  # the server has the scripts now
        proxy.throttle(500_000)
        before = proxy.carried
        job = await client.submit("write", {"size": 3_000_000})
        await eventually(lambda: proxy.carried > before + 500_000)
        for _ in range(signals):
            worker.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.1)  # two signals at the same instant are one

        said = await output(worker)
        assert ("nothing is left behind" in said, worker.returncode) == (True, 0)
        status = await job.status()
        assert (status.state, status.attempt) == (("succeeded", 1) if signals == 1 else ("queued", 1))
        assert ("1 outcomes could not be delivered" in said) == (signals == 2)


@pytest.mark.parametrize("command", [["worker"], ["dev", "--port", "0"]], ids=lambda words: words[0])
async def test_a_task_that_a_handler_starts_and_that_leaves_ends_no_process(start: Start, client: Client, command: list[str]) -> None:
    process = await start(*command)
    await eventually(client.workers)
    nap = await client.submit("nap", {"seconds": 1.0})
    job = await client.submit("leave", {})

    assert await job.result(timeout=PATIENCE_S) == 1
    assert await nap.result(timeout=PATIENCE_S) == 1.0
    process.send_signal(signal.SIGTERM)
    said = await output(process)
    assert "SystemExit came out of a task or a callback that a handler had started" in said
    assert process.returncode == 0


@pytest.mark.parametrize("command", ["worker", "dev"])
async def test_a_child_that_a_handler_forks_can_be_terminated(start: Start, client: Client, command: str) -> None:
    """The handlers of a worker, and those of a server beside it, would do nothing there."""
    process = await start(command, *(["--port", "0"] if command == "dev" else []))
    await eventually(client.workers)
    job = await client.submit("fork", {})

    assert await job.result(timeout=PATIENCE_S) == -signal.SIGTERM
    assert (await client.workers())[0].slots, "the parent has taken the signal for its own"
    process.terminate()
    assert "Traceback" not in await output(process)
    assert process.returncode == 0


SLOW_APP = """
import time
print("importing", flush=True)
time.sleep(60)
"""
CONTAINER = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc")
"""A way to be the first process of a container."""


def is_possible(*words: str) -> bool:
    try:
        return subprocess.run([*words, "true"], capture_output=True, check=False, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text())


@pytest.mark.parametrize("command", ["worker", "api", "dev"])
@pytest.mark.parametrize("first", [False, True], ids=["process", "first process of a container"])
async def test_a_command_that_still_imports_its_app_ends_at_once(start: Start, tmp_path: Path, command: str, *, first: bool) -> None:
    if first and not await asyncio.to_thread(is_possible, *CONTAINER):
        pytest.skip("this machine lets nobody make namespaces of processes")
    (tmp_path / "app.py").write_text(SLOW_APP)
    process = await start(command, within=CONTAINER if first else ())
    await says(process, b"importing")
    if first:  # a signal from inside: as init of the namespace it would ignore what it does not handle
        os.kill(child_of(process.pid), signal.SIGTERM)
    else:
        process.terminate()

    assert "Traceback" not in await output(process)
    assert process.returncode == 0
