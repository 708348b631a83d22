"""The command line beside the app's own logging: what the app has configured wins, and -v shows what it logs."""

import os
import re
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest

from tests.servers import Server

ROOT = Path(__file__).parents[2]
OWN = 'logging.basicConfig(format="own %(levelname)s %(name)s %(message)s", level=logging.INFO)'
APP = """
import asyncio, logging
from runner import Runner

{own}
log = logging.getLogger("shop")
jobs = Runner("logging")


@jobs.task
async def charge() -> None:
    log.info("charging")
    log.warning("charged")
    {end}


async def once() -> None:
    job = await charge.submit()
    await job.wait(30)
    await jobs.close()
"""
WORK = """
import os, signal, subprocess, sys, threading

def submit():
    subprocess.run([sys.executable, "-c", "import asyncio, app; asyncio.run(app.once())"], check=True, stderr=subprocess.DEVNULL)
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=submit, daemon=True).start()
from runner.cli import main
main()
"""


async def said(server: Server, folder: Path, own: str, *words: str, end: str = "", **variables: str) -> tuple[int | None, str]:
    """What a worker prints while it runs one job, which ends with the line `end`, and its exit code."""
    (folder / "app.py").write_text(APP.format(own=own, end=end))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RUNNER_")}
    environment |= {"RUNNER_REDIS_URL": server.url, "PYTHONPATH": str(ROOT), **variables}
    process = await create_subprocess_exec(
        sys.executable, "-c", WORK, "worker", *words, cwd=folder, env=environment, stdout=PIPE, stderr=STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


@pytest.mark.parametrize(
    ("own", "words", "lines"),
    [
        (OWN, [], ["own INFO shop charging", "own WARNING shop charged"]),
        (OWN, ["-v"], ["own INFO shop charging", "own WARNING shop charged", "own INFO runner "]),
        ("", ["-v"], [r",\d{3} INFO shop \[charge \w{20} #1\] charging", r",\d{3} WARNING shop \[charge \w{20} #1\] charged"]),
        ("", [], [r",\d{3} WARNING shop \[charge \w{20} #1\] charged"]),
        ("", ["--log-format", "json"], [r'"level": "WARNING", "logger": "shop", "message": "charged", "job": "\w{20}", "task": "charge"']),
        (
            OWN,
            ["--log-format", "json"],
            ["own WARNING shop charged", "configured logging itself, and keeps it: --log-format changes nothing"],
        ),
    ],
    ids=["own", "own and -v", "-v", "neither", "json", "own and json"],
)
async def test_the_apps_own_logging_wins_and_verbose_shows_its_lines(
    private_server: Server, tmp_path: Path, own: str, words: list[str], lines: list[str]
) -> None:
    code, output = await said(private_server, tmp_path, own, "--app", "app:jobs", *words)

    assert code == 0, output
    for line in lines:
        assert re.search(line, output), (line, output)
    if own:
        assert not re.search(r"\d\d (INFO|WARNING)", output)
    elif not words:
        assert "charging" not in output


@pytest.mark.parametrize("own", ["", OWN], ids=["of the command line", "of the app"])
async def test_an_exceptions_text_forges_no_line_of_the_log(private_server: Server, tmp_path: Path, own: str) -> None:
    end = 'raise ValueError("a\\r\\n2026-01-01 00:00:00,000 WARNING forged\\x1b[31m")'
    _, output = await said(private_server, tmp_path, own, "--app", "app:jobs", end=end)

    assert "forged" in output
    assert "\x1b" not in output
    assert "\r" not in output
    assert [line for line in output.splitlines() if line.startswith("2026-01-01 00:00:00,000")] == []


@pytest.mark.parametrize("command", ["worker", "api"])
async def test_what_serves_a_project_does_not_serve_the_demonstration_instead(private_server: Server, tmp_path: Path, command: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RUNNER_")}
    environment |= {"RUNNER_REDIS_URL": private_server.url, "PYTHONPATH": str(ROOT)}
    process = await create_subprocess_exec(
        sys.executable, "-m", "runner", command, cwd=tmp_path, env=environment, stdout=PIPE, stderr=STDOUT
    )
    output, _ = await process.communicate()

    assert process.returncode == 2
    assert re.fullmatch(rb"runner: .* needs .* --app module:object .*RUNNER_APP.*runner\.cli\.demo\.tasks:jobs\)\n", output), output
