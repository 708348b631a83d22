"""The package as pip installs it with none or some of its extras: what works then, and what names the extra that is missing."""

import asyncio
import json
import os
import subprocess
import venv
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.process.test_installed import TASKS, Environment, Project, built, install, result_over_http
from tests.servers import Server

pytestmark = pytest.mark.slow

OWN = "metered-runner"
CORE = {
    *("annotated-types", "pydantic", "pydantic-core", "pydantic-settings", "python-dotenv", "typing-inspection"),
    *("cronsim", "hiredis", "redis", "typing-extensions", "tzdata"),
}
"""All that a producer or a worker without extras has beside the package. Before Python 3.11.3 redis brings another one."""
RUNS_A_JOB = f"""
import asyncio
from runner import Worker
{TASKS}

async def main() -> None:
    worker = Worker(jobs)
    running = asyncio.create_task(worker.run())
    job = await add.submit(1, 2)
    print(await job.result(timeout=30))
    worker.stop()
    await running


asyncio.run(main())
"""
SERVES = """
import asyncio
from runner.http import serve


async def main() -> None:
    stopping = asyncio.Event()
    await serve("shop", port=0, on_started=lambda url: (print(url.partition("//")[0]), stopping.set()), stopping=stopping)


asyncio.run(main())
"""
IS_TOLD_TO_WAIT = """
import httpx
from runner import RateLimited, raise_rate_limited

busy = httpx.MockTransport(lambda request: httpx.Response(429, headers={"retry-after": "7"}))
try:
    httpx.Client(transport=busy, event_hooks={"response": [raise_rate_limited("stripe")]}).get("http://provider")
except RateLimited as error:
    print(error.limit)
"""


def needed(package: Distribution, extras: Iterable[str]) -> dict[str, Distribution]:
    """What pip installs beside a package: its dependencies and theirs, as the environment of the suite has them."""
    found: dict[str, Distribution] = {}
    for text in package.requires or []:
        requirement = Requirement(text)
        if requirement.marker is not None and not any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            continue
        if requirement.name == package.name:
            found |= needed(package, requirement.extras)
            continue
        other = distribution(requirement.name)
        found |= {requirement.name: other} | needed(other, requirement.extras)
    return found


def link(package: Distribution, site: Path) -> None:
    for name in {file.parts[0] for file in package.files or []} - {"..", "__pycache__"}:
        if not (site / name).exists():
            (site / name).symlink_to(Path(str(package.locate_file(name))))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("wheel"), "wheel")


@pytest.fixture
def environment(request: pytest.FixtureRequest, tmp_path: Path, wheel: Path) -> Environment:
    """With the extras that the test names, and nothing else."""
    extras: list[str] = request.param
    venv.create(tmp_path / "venv", symlinks=True)
    found = Environment(tmp_path / "venv")
    install(found, wheel)
    (own,) = distributions(name=OWN, path=[str(found.site)])
    for package in needed(own, extras).values():
        link(package, found.site)
    return found


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with Server(appendonly=True) as server:
        yield server.url


@pytest.fixture
def variables(redis_url: str) -> dict[str, str]:
    ours = ("RUNNER_", "PYTHON", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {"RUNNER_REDIS_URL": redis_url}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    project.mkdir()
    (project / "tasks.py").write_text(TASKS)
    return project


def with_extras(*extras: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("environment", [list(extras)], indirect=True, ids=["+".join(extras) or "core"])


def ended(command: list[str], folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=60)


@with_extras()
def test_the_core_submits_and_runs_jobs(environment: Environment, variables: dict[str, str], folder: Path) -> None:
    done = ended([environment.python, "-c", RUNS_A_JOB], folder, variables)

    assert (done.stdout, done.stderr) == ("3\n", "")
    installed = {package.name.lower().replace("_", "-") for package in distributions(path=[str(environment.site)])}
    assert installed - {"async-timeout"} == CORE | {OWN}


@with_extras()
@pytest.mark.parametrize("how", ["module", "script"])
def test_the_command_line_of_the_core_names_its_extra(environment: Environment, variables: dict[str, str], folder: Path, how: str) -> None:
    refused = ended([*environment.command(how), "worker", "--app", "tasks:jobs"], folder, variables)

    assert refused.returncode == 2
    assert refused.stderr.startswith("runner: the command line needs the package ")
    assert refused.stderr.endswith(", which is not installed: pip install 'metered-runner[cli]'\n")


@with_extras()
@pytest.mark.parametrize(
    ("code", "extra"),
    [("import runner.http", "http"), ("from runner import Client; import asyncio; asyncio.run(Client('shop').workers())", "embedded")],
)
def test_the_core_names_the_extra_of_what_it_cannot_do(
    environment: Environment, variables: dict[str, str], folder: Path, code: str, extra: str
) -> None:
    refused = ended(
        [environment.python, "-c", code], folder, {name: value for name, value in variables.items() if name != "RUNNER_REDIS_URL"}
    )

    last = refused.stderr.splitlines()[-1]
    assert last.startswith("runner.errors.MissingExtra: ")
    assert f"pip install 'metered-runner[{extra}]'" in last


@with_extras("cli")
@pytest.mark.parametrize(("words", "extra"), [("api --app tasks:jobs", "http"), ("dev --app tasks:jobs", "embedded"), ("demo", "http")])
def test_a_command_names_the_extra_that_it_lacks(
    environment: Environment, variables: dict[str, str], folder: Path, words: str, extra: str
) -> None:
    given = variables if extra == "http" else {name: value for name, value in variables.items() if name != "RUNNER_REDIS_URL"}
    refused = ended([*environment.command("script"), *words.split()], folder, given)

    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert line.startswith("runner: ")
    assert f"pip install 'metered-runner[{extra}]'" in line


@with_extras("cli")
async def test_workers_run_with_the_extra_of_the_command_line(environment: Environment, variables: dict[str, str], folder: Path) -> None:
    project = Project(folder, environment.command("script"), variables)
    async with project.running("worker", "--app", "tasks:jobs", until="leader"):
        submitted = await project.done("submit", "add", '{"a": 1, "b": 2}', "--wait", "30", "--json", "--app", "tasks:jobs")
        assert json.loads(submitted)["result"] == 3
        assert "tills" in await project.done("limits", "list", "--app", "tasks:jobs")
    assert await project.done("limits", "list") == await project.done("limits", "list", "--app", "runner.cli.demo.tasks:jobs")


@with_extras("cli", "embedded")
async def test_the_embedded_server_comes_with_its_extra(environment: Environment, variables: dict[str, str], folder: Path) -> None:
    del variables["RUNNER_REDIS_URL"]
    project = Project(folder, environment.command("script"), variables)
    async with project.running("worker", "--app", "tasks:jobs", until="leader"):
        submitted = await project.done("submit", "add", '{"a": 1, "b": 2}', "--wait", "30", "--json", "--app", "tasks:jobs")
        assert json.loads(submitted)["result"] == 3


@with_extras("cli", "http")
async def test_the_api_is_served_with_the_extras_of_the_image(environment: Environment, variables: dict[str, str], folder: Path) -> None:
    project = Project(folder, environment.command("script"), variables)
    async with (
        project.running("worker", "--app", "tasks:jobs", until="leader"),
        project.running("api", "--app", "tasks:jobs", "--port", "0", until=r"listening on (\S+)") as api,
    ):
        assert await result_over_http(api[1]) == 5


@with_extras("http")
async def test_a_program_serves_the_api_with_its_extra_alone(environment: Environment, variables: dict[str, str], folder: Path) -> None:
    done = await asyncio.to_thread(ended, [environment.python, "-c", SERVES], folder, variables)

    assert (done.stdout, done.stderr) == ("http:\n", "")


@with_extras("httpx")
def test_the_hook_works_with_the_extra_of_httpx(environment: Environment, variables: dict[str, str], folder: Path) -> None:
    done = ended([environment.python, "-c", IS_TOLD_TO_WAIT], folder, variables)

    assert (done.stdout, done.stderr) == ("stripe\n", "")
