"""Worker and API with what docker-compose.yml leaves them: a root file system that cannot be written, and no capabilities."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.test_installed import Project, result_over_http
from tests.servers import Server

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = (ROOT / "docker-compose.yml").read_text()
CONTAINER = (
    *("unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"),
    'mount --make-rprivate /; mount -o remount,bind,ro /; exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs "$@"',
    "sh",
)


@pytest.fixture
def restricted() -> tuple[str, ...]:
    """What makes a program run so."""
    try:
        found = subprocess.run(
            [*CONTAINER, "sh", "-c", "! touch x && grep CapEff /proc/self/status"], cwd=ROOT, capture_output=True, check=False
        )
    except OSError:
        pytest.skip("this system has no unshare or setpriv")
    if found.returncode:
        pytest.skip("this machine lets nobody make namespaces of mounts")
    assert found.stdout.split() == [b"CapEff:", b"0" * 16]
    return CONTAINER


@pytest.fixture
def redis_url() -> Iterator[str]:
    with Server(tcp=True) as server:
        yield server.url


async def test_a_service_works_without_capabilities_on_a_root_that_is_read_only(restricted: tuple[str, ...], redis_url: str) -> None:
    ours = ("RUNNER_", "VIRTUAL_ENV")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    variables |= {"RUNNER_REDIS_URL": redis_url, "RUNNER_APP": "runner.cli.demo.tasks:jobs", "PYTHONDONTWRITEBYTECODE": "1"}
    project = Project(ROOT, [*restricted, sys.executable, "-m", "runner"], variables)

    async with project.running("worker", until="leader"), project.running("api", "--port", "0", until=r"listening on (\S+)") as api:
        assert await result_over_http(api[1]) == 5
        assert await is_healthy(variables)
    assert not await is_healthy(variables)


async def is_healthy(variables: dict[str, str]) -> bool:
    """What docker-compose.yml says of the health of a worker."""
    (check,) = [words for words in re.findall(r"test: (\[.*\])", COMPOSE) if "runner workers" in words]
    shell, command = json.loads(check)
    assert shell == "CMD-SHELL"
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", command.replace("$$", "$").replace("python", sys.executable), cwd=ROOT, env=variables
    )
    return await process.wait() == 0


def test_each_service_of_the_composition_is_hardened_and_says_how_it_is() -> None:
    before, _, services = COMPOSE.partition("\nservices:\n")
    found = dict(re.findall(r"^  (\w+):\n((?:    .*\n|\n)+)", services, re.MULTILINE))

    assert found.keys() == {"redis", "api", "worker"}
    for name, text in found.items():
        assert re.search(r"^    <<: \*(hardened|runner)$", text, re.MULTILINE), name
        assert "    healthcheck:\n" in text, name
    assert "x-runner: &runner\n  <<: *hardened\n" in before
    assert '  read_only: true\n  cap_drop: [ALL]\n  security_opt: ["no-new-privileges:true"]\n' in before
    assert [port for port in re.findall(r'^      - "(.*:\d+)"$', services, re.MULTILINE) if not port.startswith("127.0.0.1:")] == []


def test_the_image_runs_as_a_user_without_a_name_and_has_no_embedded_server() -> None:
    """A number, because an orchestrator that refuses root cannot look a name up."""
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["1000:1000"]
    assert re.findall(r"'\.\[(.*)\]'", DOCKERFILE) == ["cli,http,metrics"]
