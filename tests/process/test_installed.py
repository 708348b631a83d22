"""The package as it is installed, editable and from its wheel, in a project that has a package or a file `api` of its own."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import venv
import zipfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.eventually import PATIENCE_S
from tests.servers import Server

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TASKS = """
from runner import Runner, TokenBucket

jobs = Runner("shop")


@jobs.task(limits=[TokenBucket("tills", rate="100/s")])
async def add(a: int, b: int) -> int:
    return a + b
"""
PROJECTS = {
    "package": ("api.tasks:jobs", {"api/__init__.py": "", "api/tasks.py": TASKS}),
    "file": ("api:jobs", {"api.py": TASKS}),
}
"""What names the Runner of each, and its files."""


class Environment(NamedTuple):
    """A virtual environment with the package in it."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    @property
    def site(self) -> Path:
        (site,) = self.folder.glob("lib/python*/site-packages")
        return site

    def command(self, how: str) -> list[str]:
        """How a user starts the command line: as a module, or by the script that was installed."""
        return [self.python, "-m", "runner"] if how == "module" else [str(self.folder / "bin" / "runner")]


class Project(NamedTuple):
    """A folder of a user, and the command line started in it."""

    folder: Path
    command: list[str]
    variables: dict[str, str]

    async def start(self, *words: str) -> Process:
        return await asyncio.create_subprocess_exec(
            *self.command, *words, cwd=self.folder, env=self.variables, stdin=asyncio.subprocess.DEVNULL, stdout=PIPE, stderr=PIPE
        )

    async def done(self, *words: str) -> str:
        """What a command prints that must succeed."""
        process = await self.start(*words)
        async with asyncio.timeout(PATIENCE_S):
            out, err = await process.communicate()
        assert process.returncode == 0, (words, out, err)
        return out.decode()

    @asynccontextmanager
    async def running(self, *words: str, until: str) -> AsyncIterator[re.Match[str]]:
        """A command that stays, from the line in which it says `until`; it must end well when it is told to."""
        process = await self.start(*words)
        try:
            yield await heard(process, until)
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(PATIENCE_S):
                _, err = await process.communicate()
            assert process.returncode == 0, (words, err)
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()


async def heard(process: Process, pattern: str) -> re.Match[str]:
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        while line := (await process.stdout.readline()).decode():
            if found := re.search(pattern, line):
                return found
    raise AssertionError(f"it ended without saying {pattern!r}: {(await process.stderr.read()).decode()}")


def built(folder: Path, target: str) -> Path:
    """The wheel of this repository: `wheel`, or `wheel:editable` as `pip install -e` makes it."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(environment: Environment, wheel: Path) -> None:
    """The wheel alone, without what it needs."""
    pip = [sys.executable, "-m", "pip", "--python", environment.python, "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-index", "--no-deps", "--no-compile", str(wheel)], check=True, cwd=environment.folder)


@pytest.fixture(scope="module", params=["wheel", "wheel:editable"])
def environment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Dependencies come from the environment of the suite: its folder is put on the path, and what it installs editable is not."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", symlinks=True)
    found = Environment(folder / "venv")
    (found.site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install(found, built(folder, request.param))
    return found


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with Server() as server:
        yield server.url


@pytest.fixture
def variables(redis_url: str) -> dict[str, str]:
    ours = ("RUNNER_", "PYTHON", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {"RUNNER_REDIS_URL": redis_url}


@pytest.mark.parametrize("how", ["module", "script"])
@pytest.mark.parametrize("kind", PROJECTS)
async def test_every_command_works_beside_an_api_of_the_project(
    environment: Environment, variables: dict[str, str], tmp_path: Path, kind: str, how: str
) -> None:
    app, files = PROJECTS[kind]
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    project = Project(tmp_path, environment.command(how), variables)
    listening = r"listening on (\S+)"
    async with (
        project.running("worker", "--app", app, until="leader"),
        project.running("api", "--app", app, "--port", "0", until=listening) as api,
        project.running("dev", "--app", app, "--port", "0", until=listening) as dev,
    ):
        usage, submitted, limits, *answers = await asyncio.gather(
            project.done("--help"),
            project.done("submit", "add", '{"a": 1, "b": 2}', "--id", "sum", "--wait", "30", "--json", "--app", app),
            project.done("limits", "list", "--app", app),
            result_over_http(api[1]),
            result_over_http(dev[1]),
        )
        assert "limits" in usage
        assert json.loads(submitted)["result"] == 3
        assert "tills" in limits
        assert answers == [5, 5]
        assert "succeeded" in await project.done("status", "sum", "--app", app)


async def result_over_http(url: str) -> object:
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE_S) as http:
        accepted = await http.post("/v1/jobs", json={"task": "add", "args": {"a": 2, "b": 3}})
        assert accepted.status_code == 202, accepted.text
        return (await http.get(accepted.headers["location"], params={"wait": 30})).json()["result"]


def test_the_wheel_holds_the_package_runner_and_all_of_its_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(built(tmp_path, "wheel")) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]
    paths = [path.relative_to(ROOT) for path in (ROOT / "runner").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    plugin = "runner_pytest.py"  # beside the package: what pytest loads must not import it
    assert sorted(names) == sorted([*map(str, paths), plugin])
    assert "runner/py.typed" in names
    assert sum(name.endswith(".lua") for name in names) > 30


@pytest.mark.parametrize("environment", ["wheel"], indirect=True)
def test_nothing_named_api_is_installed(environment: Environment, variables: dict[str, str], tmp_path: Path) -> None:
    code = "import importlib.util, runner; print(importlib.util.find_spec('api'), runner.__file__)"
    found = subprocess.run([environment.python, "-c", code], cwd=tmp_path, env=variables, check=True, capture_output=True, text=True)
    assert found.stdout.split() == ["None", str(environment.site / "runner" / "__init__.py")]
