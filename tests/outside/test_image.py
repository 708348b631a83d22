"""The image as docker-compose.yml runs it: a user without rights, on a system that it cannot write to. See tests/outside/image.py."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.outside import image

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]

PLACES = "/ /usr /usr/local /etc /app /srv/metered-runner /home/runner"
SLOW_APP = """print("importing", flush=True)
import time
time.sleep(600)
"""


@pytest.fixture(scope="module")
def made() -> None:
    if reason := image.missing():
        pytest.skip(reason)
    image.make_once()


@pytest.fixture(scope="module")
def api(made: None) -> Iterator[image.Started]:
    with image.api() as started:
        image.until_healthy(started)
        yield started


def test_a_program_of_the_image_is_a_user_without_rights(made: None) -> None:
    said = image.inside("id -u; id -g; cat /proc/self/status").stdout.split("\n")
    assert said[:2] == ["1000", "1000"]
    status = dict(line.split(":\t", 1) for line in said[2:] if ":\t" in line)
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"


def test_it_writes_nowhere_but_where_files_are_for_a_while(made: None) -> None:
    said = image.inside(f"for place in {PLACES} /tmp; do touch $place/written 2>/dev/null && echo $place; done", check=False)
    assert said.stdout == "/tmp\n"


def test_commands_need_no_place_to_write(made: None) -> None:
    done = image.inside("python -m runner --help && python -m runner simulate --help")
    assert "Usage: python -m runner" in done.stdout
    assert done.stderr == ""


def test_the_health_check_of_the_compose_file_is_answered(api: image.Started) -> None:
    check = image.service("api")["healthcheck"]
    assert isinstance(check, dict)
    kind, *words = check["test"]
    assert kind == "CMD"
    words = [word.replace(":8000/", f":{api.port}/") for word in words]
    told = image.recipe()
    environment = told.environment | {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    subprocess.run(image.command(words, folder="/", environment=environment, user=told.user), check=True)
    assert httpx.get(f"http://127.0.0.1:{api.port}/readyz").status_code == 200


def test_the_service_runs_as_the_user_of_the_image(api: image.Started) -> None:
    status = Path(f"/proc/{api.process.pid}/status").read_text()
    assert "Uid:\t1000\t1000\t1000\t1000" in status
    assert "CapEff:\t" + "0" * 16 in status


def test_a_signal_ends_the_service_in_good_order(made: None) -> None:
    with image.api() as started:
        image.until_healthy(started)
        started.process.send_signal(signal.SIGTERM)
        assert started.process.wait() == 0


def test_a_signal_is_handled_while_the_app_is_imported(made: None, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW_APP)
    tmp_path.chmod(0o755)
    told = image.recipe()
    environment = told.environment | {"PATH": "/usr/local/bin:/usr/bin:/bin", "RUNNER_APP": "slow:jobs"}
    words = image.command([*told.entrypoint, "worker"], folder="/app", environment=environment, user=told.user, shown={tmp_path: "/app"})
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"importing\n"
        os.kill(process.pid, signal.SIGTERM)
        rest = process.stdout.read()
    assert b"Traceback" not in rest
    assert process.returncode == 0
