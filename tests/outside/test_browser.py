"""A real browser: what a page of another site can send with it, also under a name that leads here, changes and reads nothing; /docs works offline."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.outside.served import Served, served

pytestmark = pytest.mark.slow

HOSTILE = Path(__file__).with_name("hostile.html").read_bytes()
CHROMIUM = Path("/usr/bin/chromium")
EVIL, REBOUND = "evil.example", "rebound.example"
FLAGS = [
    f"--host-resolver-rules=MAP {EVIL} 127.0.0.1, MAP {REBOUND} 127.0.0.1, EXCLUDE localhost, EXCLUDE 127.0.0.1, MAP * ~NOTFOUND",
    # What the browser itself keeps from this machine is not what is tried here.
    "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"),
]
STOLEN = ("plain", "form", "blob", "json", "beacon", "form-plain", "form-urlencoded", "form-multipart")


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(HOSTILE)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def evil_site() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{EVIL}:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make outside")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed (Debian: apt-get install chromium; .ci/nightly does)")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def job(service: Served) -> str:
    """A job that waits for a day, and which nobody has cancelled."""
    answer = httpx.post(f"{service.url}/v1/jobs", json={"task": "add", "args": {"left": 4242}, "delay": 86_400}, trust_env=False)
    return str(answer.raise_for_status().json()["id"])


def changes(url: str, job_id: str) -> list[str]:
    """What is not as it was before an attack."""
    with httpx.Client(base_url=url, trust_env=False) as http:
        found = [name for name in STOLEN if http.get(f"/v1/jobs/stolen-{name}").status_code != 404]
        found += [limit["name"] for limit in http.get("/v1/limits").json()["limits"] if limit["paused"] or limit["override"]]
        found += [state for state in [http.get(f"/v1/jobs/{job_id}").json()["state"]] if state != "scheduled"]
    return found


def test_a_page_of_another_site_changes_and_reads_nothing(browser: Any, service: Served, evil_site: str, job: str) -> None:
    for host in ("127.0.0.1", "localhost"):
        page = browser.new_page()
        page.goto(evil_site)
        seen = page.evaluate("([to, job]) => attack(to, job)", [f"http://{host}:{urlsplit(service.url).port}", job])
        page.close()
        assert changes(service.url, job) == []
        # What comes without permission is opaque to the page: status 0 and no text.
        assert {way for way, said in seen.items() if said == "0 "} >= {"fetch text/plain", "fetch without a body", "read without cors"}
        assert {way: said for way, said in seen.items() if said not in ("0 ", "refused", None) and not said.startswith("refused: ")} == {}


def test_a_name_that_leads_here_makes_a_page_no_page_of_the_service(browser: Any, service: Served, job: str) -> None:
    url = f"http://{REBOUND}:{urlsplit(service.url).port}"
    page = browser.new_page()
    # The page came from this name before it was pointed here.
    page.route(f"{url}/", lambda route: route.fulfill(body=HOSTILE, content_type="text/html"))
    page.goto(f"{url}/")
    seen = page.evaluate("([to, job]) => attack(to, job)", [url, job])
    page.close()
    assert changes(service.url, job) == []
    assert not any("4242" in str(said) for said in seen.values())
    assert seen["read"].startswith("421 ")
    assert seen["fetch json"].startswith("421 ")


def test_the_same_page_does_all_that_where_its_name_is_allowed(browser: Any) -> None:
    with served("--allowed-host", REBOUND) as service:
        known = httpx.post(f"{service.url}/v1/jobs", json={"task": "add", "args": {"left": 4242}, "delay": 86_400}, trust_env=False).json()
        url = f"http://{REBOUND}:{urlsplit(service.url).port}"
        page = browser.new_page()
        page.route(f"{url}/", lambda route: route.fulfill(body=HOSTILE, content_type="text/html"))
        page.goto(f"{url}/")
        seen = page.evaluate("([to, job]) => attack(to, job)", [url, known["id"]])
        page.close()
        assert {"json", "stripe", "cancelled"} <= {*changes(service.url, known["id"])}
        assert "4242" in seen["read"]


def test_docs_opens_offline_without_an_error_and_asks_for_nothing_elsewhere(browser: Any, service: Served) -> None:
    page = browser.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{service.url}/docs")
    page.get_by_text("Submit one job").click()
    assert page.get_by_text("an id of your own makes it safe to repeat the request").first.is_visible()
    page.get_by_role("link", name="openapi.json").click()
    assert "metered-runner" in page.content()
    page.close()
    assert complaints == []
    assert {urlsplit(url).netloc for url in asked} == {urlsplit(service.url).netloc}
