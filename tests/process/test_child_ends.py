"""A child never outlives its worker, whatever it does and whoever has forked what. Real processes, killed by their own ids."""

import os
import re
import signal
import sys
from asyncio.subprocess import STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from runner import Client
from tests.children import start_child
from tests.eventually import PATIENCE_S, eventually
from tests.process.test_supervisor import is_alive
from tests.servers import Server

APP = """
import asyncio, os, re, time
from pathlib import Path
from runner import Children, Runner
jobs = Runner("ending", children=Children(size=1))

def note(word: str, pid: int) -> None:
    descriptor = os.open(Path(__file__).parent / "pids", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{word} {pid}\\n".encode())
    os.close(descriptor)

def forked(word: str) -> None:
    pid = os.fork()
    if pid == 0:
        time.sleep(600)
        os._exit(0)
    note(word, pid)

@jobs.task(executor="process", timeout=None)
def hold(fork: bool = False) -> bool:
    if fork:
        forked("forked")
    note("child", os.getpid())
    return bool(re.match("(a|aa)+$", "a" * 60 + "b"))

@jobs.task(executor="process", timeout=2.0, retries=0)
def hold_shortly() -> bool:
    forked("forked")
    note("child", os.getpid())
    return bool(re.match("(a|aa)+$", "a" * 60 + "b"))

@jobs.task
async def fork() -> None:
    forked("forked")
"""


class Ending:
    """A worker process of the app, and the processes that its jobs have noted."""

    def __init__(self, process: Process, folder: Path, client: Client) -> None:
        self.process = process
        self.client = client
        self._pids = folder / "pids"

    async def pid(self, word: str) -> int:
        def noted() -> int | None:
            found = re.search(rf"^{word} (\d+)$", self._pids.read_text() if self._pids.exists() else "", re.MULTILINE)
            return None if found is None else int(found[1])

        pid = await eventually(noted)
        assert pid is not None
        return pid


@pytest.fixture
async def ending(private_server: Server, tmp_path: Path) -> AsyncIterator[Ending]:
    (tmp_path / "app.py").write_text(APP)
    environment = {**os.environ, "RUNNER_REDIS_URL": private_server.url, "PYTHONPATH": str(Path(__file__).parents[2])}
    words = ("-m", "runner", "worker", "--app", "app:jobs", "--lease", "3")
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client("ending", redis_url=private_server.url))
        with (tmp_path / "output").open("wb") as output:  # a pipe would be held by what is forked
            process = await start_child(sys.executable, *words, cwd=tmp_path, env=environment, stdout=output, stderr=STDOUT)
        here = Ending(process, tmp_path, client)
        try:
            await eventually(client.workers)
            yield here
        finally:
            if process.returncode is None:
                process.kill()
            for pid in re.findall(r"^forked (\d+)$", here._pids.read_text() if here._pids.exists() else "", re.MULTILINE):
                if is_alive(int(pid)):
                    os.kill(int(pid), signal.SIGKILL)
            await process.wait()


@pytest.mark.fault("X10")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process that holds the interpreter together with another one")
@pytest.mark.parametrize("fork", [False, True])
async def test_a_child_that_holds_the_interpreter_ends_with_its_killed_worker(ending: Ending, fork: bool) -> None:
    await ending.client.submit("hold", {"fork": fork})
    child = await ending.pid("child")

    ending.process.kill()
    await ending.process.wait()

    await eventually(lambda: not is_alive(child), within_s=2.0)


@pytest.mark.fault("X11")
async def test_what_a_handler_has_forked_keeps_no_child_alive(ending: Ending) -> None:
    await (await ending.client.submit("fork", {})).result(timeout=PATIENCE_S)
    await ending.client.submit("hold", {})
    child = await ending.pid("child")

    ending.process.kill()
    await ending.process.wait()

    await eventually(lambda: not is_alive(child), within_s=2.0)
    assert is_alive(await ending.pid("forked"))


@pytest.mark.fault("X11")
async def test_what_a_child_has_forked_ends_with_it_at_a_time_out(ending: Ending) -> None:
    job = await ending.client.submit("hold_shortly", {})

    status = await job.wait(PATIENCE_S)

    assert status.error is not None
    assert (status.state, status.error.message) == ("failed", "took longer than its time-out of 2 s")
    assert not is_alive(await ending.pid("child"))
    forked = await ending.pid("forked")
    await eventually(lambda: not is_alive(forked))
