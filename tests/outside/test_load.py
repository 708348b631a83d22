"""Load and slowness as tools of others make it: wrk loses no request, and what slowhttptest holds open keeps nobody out and does not add up."""

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.eventually import PATIENCE_S
from tests.outside.conftest import run
from tests.outside.served import Served

pytestmark = pytest.mark.slow

SECONDS = 20
MANY = 1_200
"""More connections than a service takes."""
MOST = 1_000
FILES_BESIDE = 100
"""That the process of the service has open for all else."""
SLOW = {
    "heads that never end": ["/v1/limits", "-H", "-i", "5", "-r", "400"],
    "bodies that come a few bytes at a time": ["/v1/jobs", "-B", "-i", "5", "-s", "100000", "-f", "application/json", "-r", "400"],
    "answers that are not read": ["/openapi.json", "-X", "-w", "1", "-y", "2", "-n", "5", "-z", "1", "-r", "100"],
}


def files_of(service: Served) -> int:
    """How many the process of the service has open, connections too."""
    return len([*Path(f"/proc/{service.pid}/fd").iterdir()])


def test_wrk_has_an_answer_to_each_request(service: Served, program: Callable[[str], str], tmp_path: Path) -> None:
    submit = tmp_path / "submit.lua"
    submit.write_text(
        'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = \'{"task": "add", "args": {"left": 1}}\'\n'
    )
    with httpx.Client(base_url=service.url, trust_env=False) as http:
        job = http.post("/v1/jobs", json={"task": "add", "args": {"left": 1}}).json()["id"]
    for words in (["/healthz"], [f"/v1/jobs/{job}"], ["/v1/jobs", "-s", submit]):
        said = run(program("wrk"), "-t", "1", "-c", "50", "-d", "5s", "--timeout", "60s", f"{service.url}{words[0]}", *words[1:])
        print(words[0], re.findall(r"Requests/sec: +[0-9.]+|Latency +\S+ +\S+ +\S+", said))
        assert int(re.findall(r"([0-9]+) requests in", said)[0]) > 0
        assert "Non-2xx" not in said, said
        assert "Socket errors" not in said, said


@pytest.mark.parametrize("kind", SLOW)
def test_slow_callers_keep_nobody_out_and_do_not_add_up(service: Served, program: Callable[[str], str], kind: str) -> None:
    before = files_of(service)
    path, *options = SLOW[kind]
    words = ["-c", str(MANY), "-l", str(SECONDS), "-p", "60", "-u", f"{service.url}{path}", *options]
    taken_s, most_files = [], 0
    with subprocess.Popen([program("slowhttptest"), *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as slow:
        while slow.poll() is None:
            # Each request on a connection of its own: whoever comes is let in.
            began_s = time.perf_counter()
            answer = httpx.get(f"{service.url}/v1/limits", trust_env=False, timeout=PATIENCE_S)
            taken_s.append(time.perf_counter() - began_s)
            most_files = max(most_files, files_of(service))
            assert answer.status_code == 200, answer.text
            time.sleep(0.05)
    print(f"{kind}: {len(taken_s)} answers, median {sorted(taken_s)[len(taken_s) // 2] * 1e3:.0f} ms, longest {max(taken_s) * 1e3:.0f} ms")
    print(f"{most_files} files open at most")
    assert len(taken_s) > 3
    assert most_files <= MOST + FILES_BESIDE
    deadline_s = time.monotonic() + PATIENCE_S
    while files_of(service) > before + 5:
        assert time.monotonic() < deadline_s, f"{files_of(service)} files are open, {before} were"
        time.sleep(0.2)
