"""nginx in front of the service, with the lines of docs/reference/http.md: links, events and lines pass as they should, and the caller's address is known."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest

from tests.eventually import PATIENCE_S
from tests.outside.served import Served, served
from tests.pages import page
from tests.servers import free_port

pytestmark = pytest.mark.slow

NAME = "jobs.example.com"
PROXY, CALLER = "127.0.0.2", "127.0.0.3"
"""Addresses of this machine that are not the one from which nginx calls the service."""
CONFIGURATION = """daemon off; pid {folder}/pid; error_log {folder}/error; worker_processes 1;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen {address}; {location} }}
}}
"""


class Proxied(NamedTuple):
    """A service, and a client that calls it by the proxy from another address."""

    service: Served
    http: httpx.Client
    secret: str


@pytest.fixture(scope="module")
def proxied(program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    nginx = program("nginx")
    folder = tmp_path_factory.mktemp("nginx")
    with served("--root-path", "/queue", "--allowed-host", NAME, RUNNER_TRUSTED_PROXIES="127.0.0.1") as service:
        address = f"{PROXY}:{free_port()}"
        location = _documented().replace("127.0.0.1:8000", urlsplit(service.url).netloc)
        (folder / "conf").write_text(CONFIGURATION.format(folder=folder, address=address, location=location))
        secret = service.command("keys", "create", "proxied", "--preset", "admin", "--source", f"{CALLER}/32")["secret"]
        with subprocess.Popen([nginx, "-p", folder, "-c", folder / "conf"]) as process:
            transport = httpx.HTTPTransport(local_address=CALLER)
            headers = {"host": NAME, "authorization": f"Bearer {secret}"}
            with httpx.Client(base_url=f"http://{address}", headers=headers, transport=transport, timeout=PATIENCE_S) as http:
                _wait_for(http)
                yield Proxied(service, http, secret)
            process.terminate()


def _documented() -> str:
    """The location of the documentation."""
    return str(re.findall(r"^location /queue/ \{.*?^\}", page("http.md").read_text(), re.DOTALL | re.MULTILINE)[0])


def _wait_for(http: httpx.Client) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            # A service follows its first key within 5 s; until then it believes that there is none, and serves this machine alone.
            if http.get("/queue/v1/limits").status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline_s, "the proxy does not answer"
        time.sleep(0.1)


def submitted(proxied: Proxied, **fields: Any) -> httpx.Response:
    answer = proxied.http.post("/queue/v1/jobs", json={"task": "add", "args": {"left": 1}, **fields})
    assert answer.status_code == 202, answer.text
    return answer


def test_all_links_lead_through_the_proxy(proxied: Proxied) -> None:
    location = submitted(proxied).headers["location"]
    assert location.startswith("/queue/v1/jobs/")
    assert proxied.http.get(location, params={"wait": 20}).json()["state"] == "succeeded"
    problem = proxied.http.get("/queue/v1/jobs/none").json()
    assert problem["type"] == "/queue/problems/not-found"
    assert proxied.http.get(problem["type"]).status_code == 200
    assert 'href="openapi.json"' in proxied.http.get("/queue/docs").text
    assert proxied.http.get("/queue/openapi.json").json()["servers"] == [{"url": "/queue"}]


def test_events_pass_as_they_happen(proxied: Proxied) -> None:
    location = submitted(proxied, delay=3_600).headers["location"]
    with proxied.http.stream("GET", f"{location}/events") as events:
        assert "x-accel-buffering" not in events.headers, "nginx has taken it as said to itself"
        states = (json.loads(line.removeprefix("data: "))["state"] for line in events.iter_lines() if line.startswith("data: "))
        assert next(states) == "scheduled"
        assert proxied.http.delete(location).status_code == 200
        assert next(states) == "cancelled"


def test_lines_are_answered_while_they_are_sent(proxied: Proxied) -> None:
    answered: list[str] = []

    def lines() -> Iterator[bytes]:
        """The second line is sent once the job of the first is stored."""
        yield b'{"task": "add", "args": {"left": 1}, "id": "first-line"}\n'
        deadline_s = time.monotonic() + PATIENCE_S
        with httpx.Client(headers={"authorization": f"Bearer {proxied.secret}"}, trust_env=False) as other:
            while other.get(f"{proxied.service.url}/v1/jobs/first-line", headers={"x-forwarded-for": CALLER}).status_code != 200:
                assert time.monotonic() < deadline_s
                time.sleep(0.05)
        answered.append("first")
        yield b'{"task": "add", "args": {"left": 2}, "id": "second-line"}\n'

    answer = proxied.http.post("/queue/v1/jobs/batch", content=lines(), headers={"content-type": "application/x-ndjson"})
    assert answered == ["first"]
    assert [json.loads(line)["id"] for line in answer.text.splitlines()] == ["first-line", "second-line"]


def test_the_address_of_a_caller_is_what_the_proxy_says(proxied: Proxied) -> None:
    answer = proxied.http.post("/queue/v1/limits/stripe/pause", headers={"x-forwarded-for": "203.0.113.9", "x-request-id": "through-nginx"})
    assert answer.status_code == 200, answer.text
    (line,) = [line for line in proxied.http.get("/queue/v1/audit").json()["lines"] if line["request"] == "through-nginx"]
    assert line["address"] == CALLER
    assert proxied.http.post("/queue/v1/limits/stripe/resume").status_code == 200


def test_a_key_restricted_to_the_caller_is_refused_from_the_address_of_the_proxy(proxied: Proxied) -> None:
    answer = httpx.get(f"{proxied.service.url}/v1/limits", headers={"authorization": f"Bearer {proxied.secret}"}, trust_env=False)
    assert answer.status_code == 403
