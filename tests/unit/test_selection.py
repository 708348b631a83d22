"""What `make test` runs: above all what the README promises, on both servers."""

import shutil
import subprocess
import sys
from os import environ
from pathlib import Path

import pytest

from tests.selection import BY_LENGTH, ON_ONE_SERVER
from tests.servers import REDIS, VALKEY
from tests.unit.test_docs import README, table

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"


def run(*arguments: str) -> list[str]:
    """The names of the tests that `make test` runs, of those that are meant."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "not slow", "-p", "no:cacheprovider", *arguments]
    servers = {"RUNNER_TEST_SERVER": f"{VALKEY},{REDIS}"}
    collected = subprocess.run(command, cwd=ROOT, env=environ | servers, capture_output=True, text=True, check=True)
    return [line for line in collected.stdout.splitlines() if "::" in line]


def test_every_folder_of_tests_has_its_place() -> None:
    assert sorted(BY_LENGTH) == sorted({path.parent.name for path in TESTS.rglob("test_*.py")})
    assert set(BY_LENGTH) > ON_ONE_SERVER


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_what_is_promised_is_tested_on_both_servers() -> None:
    promised = [words for row in table(README, "") for words in row.code(2)]
    files = [path for path in sorted(TESTS.rglob("test_*.py")) if any(words in path.read_text() for words in promised)]

    servers: dict[str, set[str]] = {words: set() for words in promised}
    for test in run("-k", " or ".join(promised), *map(str, files)):
        for words in promised:
            if words in test:
                servers[words] |= {kind for kind in (VALKEY, REDIS) if f"[{kind}" in test}

    assert [words for words, kinds in servers.items() if kinds != {VALKEY, REDIS}] == []
