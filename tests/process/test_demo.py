"""The demonstration as a newcomer runs it: it keeps its word, says so only if it is true, and leaves nothing behind."""

import io
import os
import re
import signal
import subprocess
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from runner import TokenBucket
from runner.cli.demo import show
from tests.children import start_child
from tests.eventually import eventually


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a name short enough for sockets, and found in no other command line."""
    with tempfile.TemporaryDirectory(prefix="demo-") as name:
        yield Path(name)


@pytest.fixture
async def demo(folder: Path) -> AsyncIterator[Process]:
    """`python -m runner demo` through a pipe, with its temporary files in `folder`."""
    process = await start_child(sys.executable, "-m", "runner", "demo", stdout=PIPE, env={**os.environ, "TMPDIR": str(folder)})
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def says(process: Process, text: str) -> str:
    assert process.stdout is not None
    while line := (await process.stdout.readline()).decode():
        if text in line:
            return line
    raise AssertionError(f"it ended without saying {text!r}")


def using(folder: Path) -> list[str]:
    """The command lines that name this folder: the server, and whatever is connected to it."""
    processes = subprocess.run(["ps", "-A", "-ww", "-o", "args="], capture_output=True, text=True, check=True)
    return [line for line in processes.stdout.splitlines() if str(folder) in line]


async def test_it_shows_what_it_measured_and_exits_with_0(demo: Process, folder: Path) -> None:
    output = (await demo.communicate())[0].decode()

    assert demo.returncode == 0, output
    assert re.search(r"kill -9 \d+", output)
    assert "its jobs run again" in output
    assert {line.split()[0] for line in output.split("\n\n")[2].splitlines()} == {"ok"}
    assert re.search(r"jobs done +60  of 60", output)
    assert re.search(r"jobs lost +0 ", output)
    assert re.search(r"429s by the service +0  of 6\d calls", output)
    assert "\x1b" not in output
    assert all(len(line) <= 80 for line in output.splitlines())
    assert using(folder) == []
    assert os.listdir(folder) == []  # noqa: PTH208 - a look at one folder blocks nobody


@pytest.mark.slow
async def test_it_goes_on_with_the_dashboard_where_that_is_asked_for(folder: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(folder)}
    process = await start_child(sys.executable, "-m", "runner", "demo", "--keep", stdout=PIPE, env=environment)
    url = (await says(process, "until Ctrl-C")).split()[1]
    async with httpx.AsyncClient(trust_env=False) as http:
        assert "metered-runner" in (await http.get(url)).text
        assert (await http.get(f"{url}session")).json()["queue"] == "default"
    process.send_signal(signal.SIGINT)
    await process.communicate()

    assert process.returncode == 130
    await eventually(lambda: not using(folder))


@pytest.mark.slow
async def test_it_exits_with_1_if_the_service_refuses_calls() -> None:
    output = io.StringIO()
    stricter = TokenBucket("metered", capacity=5, refill=1, every=0.5)

    assert await show.run(Console(file=output), show.Scenario(jobs=16, enforced=stricter)) == 1

    assert re.search(r"OFF  429s by the service +[1-9]", output.getvalue())
    assert re.search(r"ok   windows over the limit +0", output.getvalue())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_none_of_its_processes_outlives_it(demo: Process, folder: Path, number: signal.Signals) -> None:
    await says(demo, "tokens")
    assert len(using(folder)) > 3

    demo.send_signal(number)

    await demo.wait()
    await eventually(lambda: not using(folder))
    if number is signal.SIGINT:
        assert demo.returncode == 130
        assert os.listdir(folder) == []  # noqa: PTH208 - a look at one folder blocks nobody
