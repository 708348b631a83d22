"""The page for newcomers is followed to the letter: its files are written, its commands are run beside its server, and their output is compared."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages import ROOT, page
from tests.snippets.reading import PATIENCE_S, blocks_of

BLOCKS = blocks_of(page("five-minutes.md"))
PROGRAMS = [block.text for block in BLOCKS if block.language == "python"]
PORT = 8000
LONGEST_S = 120


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "tasks.py").write_text(PROGRAMS[0])
    (tmp_path / "many.py").write_text(PROGRAMS[1])
    return tmp_path


@pytest.fixture
def environment() -> dict[str, str]:
    """That of a newcomer: nothing is set but patience with a busy machine, and `python` is the one with the package."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("RUNNER_")}
    own["RUNNER_COMMAND_TIMEOUT_S"] = PATIENCE_S
    return {**own, "PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture
def port(folder: Path, environment: dict[str, str]) -> Iterator[int]:
    """Where the command of the second step serves, in place of 8000, which may be taken on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        free = int(held.getsockname()[1])
    (command,) = (block.text.strip() for block in BLOCKS if "runner dev" in block.text)
    words = [*command.split(), "--port", str(free)]
    with subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as dev:
        try:
            assert dev.stdout is not None
            assert any("listening" in line for line in dev.stdout)
            yield free
        finally:
            dev.terminate()


def test_a_newcomer_sees_what_the_page_shows(folder: Path, environment: dict[str, str], port: int) -> None:
    steps = [step for block in BLOCKS if block.language == "console" for step in block.commands()]
    assert len(steps) >= 5
    for command, shown in steps:
        here = command.replace(f"localhost:{PORT}", f"127.0.0.1:{port}")
        ran = subprocess.run(here, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=LONGEST_S, check=False)

        expected = re.escape("\n".join(shown)).replace(re.escape("..."), r"[\s\S]*")
        assert re.fullmatch(expected, ran.stdout.strip()), f"{command}\n{ran.stdout}{ran.stderr}"
