"""Fixtures: the service as it is run, once for the tests of a file, and the programs of others, without which a test is skipped with a reason."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.outside.served import ROOT, Served, served

NODE_TOOLS = Path(os.environ.get("RUNNER_NODE_TOOLS", ROOT / "build" / "outside"))
LONGEST_S = 300
"""For one command of another program on a busy machine."""


@pytest.fixture(scope="module")
def service() -> Iterator[Served]:
    with served() as running:
        yield running


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Where a program of this name is."""

    def found(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            pytest.skip(f"{name} is not installed (Debian: apt-get install it; .ci/nightly does)")
        return path

    return found


@pytest.fixture(scope="session")
def node_tools(program: Callable[[str], str]) -> Path:
    """The folder with the packages of typescript/package.json."""
    program("node")
    if not (NODE_TOOLS / "node_modules" / ".bin" / "tsc").exists():
        pytest.skip(f"the packages of tests/outside/typescript are not in {NODE_TOOLS}: make outside")
    return NODE_TOOLS / "node_modules"


def run(*words: str | Path, cwd: Path | None = None) -> str:
    """What a program prints. It must succeed."""
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    assert done.returncode == 0, f"{words[0]}: {done.stdout}\n{done.stderr}"
    return done.stdout
