"""`python -m tests.pythons [--record] [--brief] [MODULE]`: tests on each other Python that pyproject.toml names and that is found here.

Each has an environment of its own under build/. MODULE runs the tests, pytest or
tests.again. With `--record` the table of docs/reference/compatibility.md tells which ones passed; only what is in it may be claimed.
With `--brief` only the newest of them runs the tests of workers too, the others those of units alone, and none those of the service.
With `--lowest` they run on this Python with the lowest versions of all dependencies, those of constraints-lowest.txt.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from bench.interpreters import interpreter_of, version_of
from tests.pages import page

ROOT = Path(__file__).parents[1]
DOCUMENT = page("compatibility.md")
HEADER = "| Python | tested as | tests |\n|---|---|---|\n"
ALL, SOME = "all", "of units, workers and the service"
FOLDERS = ("tests/unit", "tests/worker", "tests/http")
BRIEF, BRIEF_ON_THE_NEWEST = FOLDERS[:1], FOLDERS[:2]
TESTED = ROOT / "constraints.txt"
LOWEST = ROOT / "constraints-lowest.txt"
INPUTS = (ROOT / "pyproject.toml", TESTED, LOWEST)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.pythons", description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the table of docs/reference/compatibility.md")
    parser.add_argument("--lowest", action="store_true", help="on this Python with the lowest versions of all dependencies")
    parser.add_argument("--brief", action="store_true", help="of units and workers only on the newest Python, of units on the others")
    parser.add_argument("module", nargs="?", default="pytest", help="what runs the tests")
    arguments = parser.parse_args()
    if arguments.record and arguments.brief:
        parser.error("--record tells what passed of all tests: leave --brief out")
    if arguments.lowest:
        return 0 if tests_pass("lowest", Path(sys.executable), arguments.module, versions(TESTED) | versions(LOWEST), FOLDERS) else 1
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    passed, failed = {own: f"| {own} | {platform.python_version()} | {ALL} |"}, []
    brief = dict.fromkeys(claimed(), BRIEF) | {max(claimed(), key=_number): BRIEF_ON_THE_NEWEST}
    for version in claimed():
        if version == own:
            continue
        if (python := interpreter_of(*_number(version))) is None:
            print(f"Python {version}: NOT RUN, it is not installed here", flush=True)
        elif tests_pass(f"python{version}", python, arguments.module, versions(TESTED), brief[version] if arguments.brief else FOLDERS):
            passed[version] = f"| {version} | {version_of(python)} | {SOME} |"
        else:
            failed.append(version)
    if arguments.record:
        record(passed)
    return 1 if failed else 0


def claimed() -> list[str]:
    """The versions that pyproject.toml names."""
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    return [found[1] for text in classifiers if (found := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", text))]


def _number(version: str) -> tuple[int, int]:
    major, minor = version.split(".")
    return int(major), int(minor)


def versions(constraints: Path) -> dict[str, str]:
    """The lines of a file of constraints by the package's name."""
    lines = [line for line in constraints.read_text().splitlines() if line and not line.startswith("#")]
    return {line.partition("==")[0]: line for line in lines}


def tests_pass(name: str, python: Path, module: str, constraints: dict[str, str], folders: Sequence[str]) -> bool:
    """Run the tests in an environment of this name, made when there is none or what it installs has changed."""
    folder = ROOT / "build" / name
    own, ready = folder / "bin" / "python", folder / ".ready"
    print(f"{name}: {python}", flush=True)
    if not ready.exists() or ready.stat().st_mtime < max(path.stat().st_mtime for path in INPUTS):
        subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
        (chosen := folder / "constraints.txt").write_text("\n".join(constraints.values()) + "\n")
        install = [str(own), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", str(chosen), "-e", ".[dev]"]
        subprocess.run(install, cwd=ROOT, check=True)
        ready.touch()
    tests = [str(own), "-m", module, "-q", "-n", "auto", "-m", "not slow", "-o", f"cache_dir={folder / 'cache'}", *folders]
    environment = {**os.environ, "RUNNER_TEST_SERVER": "valkey"}
    return subprocess.run(tests, cwd=ROOT, env=environment, check=False).returncode == 0


def record(passed: dict[str, str]) -> None:
    """Rows of versions that did not run stay as they are."""
    before, header, after = DOCUMENT.read_text().partition(HEADER)
    if not header:
        raise ValueError(f"{DOCUMENT} has no table that begins with {HEADER}")
    rows = re.match(r"(\|.*\n)*", after)
    assert rows is not None
    known = {row.split()[1]: row for row in rows[0].splitlines()}
    table = "\n".join(row for _, row in sorted((known | passed).items()))
    DOCUMENT.write_text(f"{before}{header}{table}\n{after[rows.end() :]}")


if __name__ == "__main__":
    sys.exit(main())
