"""`python -m tests.chaos.mutate`: remove each guard in a copy of the tree and run the test that must fail. Exits with 1 if one does not."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.chaos.guards import GUARDS, Guard

ROOT = Path(__file__).parents[2]
TREE = (
    *("runner", "api", "examples", "bench", "tests", "docs"),
    *("pyproject.toml", "README.md", "CHANGELOG.md", "Makefile", "constraints.txt", "constraints-lowest.txt"),
)
AT_ONCE = 2
TIMEOUT_S = 240.0
TESTS_FAILED = 1
"""pytest's status if tests ran and some failed; any other one but 0 says that the test could not be run."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.mutate", description=__doc__)
    parser.add_argument("words", nargs="*", help="only the guards whose names contain one of these")
    words = parser.parse_args().words
    guards = [guard for guard in GUARDS if not words or any(word in guard.name for word in words)]
    if trouble := run(sorted({guard.test for guard in guards}), ROOT):
        print(f"the tests must pass as long as all guards stand: {trouble}")
        return 1
    width = max(len(guard.name) for guard in guards)
    survived = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for guard, verdict in zip(guards, pool.map(verdict_on, guards), strict=True):
            survived += verdict != "fails"
            print(f"{guard.name:{width}}  {verdict:12}  {guard.test.removeprefix('tests/')}", flush=True)
    print(f"\n{len(guards) - survived} of {len(guards)} guards are missed when they are gone")
    return 1 if survived else 0


def verdict_on(guard: Guard) -> str:
    """`fails`, as it should, or in words what happened instead."""
    with tempfile.TemporaryDirectory(prefix="runner-mutant-") as folder:
        tree = Path(folder)
        for name in TREE:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "results", ".*"))
            elif (ROOT / name).exists():
                shutil.copy(ROOT / name, tree / name)
        try:
            remove(guard, tree)
        except ValueError as error:
            return str(error)
        trouble = run([guard.test], tree)
    return "fails" if trouble == f"status {TESTS_FAILED}" else trouble or "SURVIVES"


def remove(guard: Guard, tree: Path) -> None:
    """Take the guard out of the tree. Raises ValueError if its text is not there exactly once."""
    path = tree / guard.file
    text = path.read_text()
    if (times := text.count(guard.text)) != 1:
        raise ValueError(f"found {times} times in {guard.file}: {guard.text.strip()!r}")
    path.write_text(text.replace(guard.text, guard.without))


def run(tests: Sequence[str], tree: Path) -> str:
    """Run tests of a tree on the embedded server; nothing if they pass, else the status in words."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "RUNNER_TEST_SERVER": "valkey"}
    try:
        ran = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, timeout=TIMEOUT_S * max(len(tests) / 4, 1), check=False
        )
    except subprocess.TimeoutExpired:
        return "HANGS"
    return f"status {ran.returncode}" if ran.returncode else ""


if __name__ == "__main__":
    sys.exit(main())
