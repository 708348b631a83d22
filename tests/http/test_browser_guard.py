"""What a page of another site can make a browser send: refused by its Host, by where it says it comes from, and never shown in a frame."""

import httpx
import pytest

from runner import Runner
from tests.http.conftest import Service, serving
from tests.http.raw import connected

PAUSE = "/v1/limits/slow/pause"


@pytest.mark.parametrize(
    "host", ["evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "0x7f.1", "evil", "localhost:x", "[::1].evil"]
)
async def test_a_name_that_is_not_this_services_is_refused(service: Service, host: str) -> None:
    for headers in ({"host": host}, {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}):
        answer = await service.http.post(PAUSE, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (421, "/problems/misdirected-request")
        assert (await service.http.get("/v1/limits", headers=headers)).status_code == 421
    assert (await service.http.get("/v1/limits/slow")).json()["paused"] is None


async def test_a_host_without_a_name_is_refused(service: Service) -> None:
    async with connected(service.url) as raw:
        raw.send(b"GET /v1/limits HTTP/1.1\r\nHost:\r\n\r\n")
        assert await raw.status() == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "api.localhost:1", "127.0.0.1", "[::1]:8000", "10.1.2.3:80", "localhost."])
async def test_addresses_and_names_of_this_machine_are_served(service: Service, host: str) -> None:
    assert (await service.http.get("/v1/limits", headers={"host": host})).status_code == 200


async def test_names_that_the_operator_allows_are_served(app: Runner) -> None:
    settings = app.settings.model_copy(update={"allowed_hosts": "api, jobs.internal"})
    async with serving(settings, app.queue) as service:
        for host, status in {"api:8000": 200, "Jobs.Internal": 200, "other": 421}.items():
            assert (await service.http.get("/healthz", headers={"host": host})).status_code == status
    async with serving(app.settings.model_copy(update={"allowed_hosts": "*"}), app.queue) as service:
        assert (await service.http.get("/healthz", headers={"host": "anything"})).status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:1"},
    ],
)
async def test_a_page_of_another_site_changes_nothing(service: Service, fields: dict[str, str]) -> None:
    answers = [
        await service.http.post(PAUSE, headers=fields),
        await service.http.post("/v1/jobs", headers=fields, json={"task": "add", "args": {"left": 1}}),
        await service.http.delete("/v1/jobs/none", headers=fields),
    ]
    assert [(answer.status_code, answer.json()["type"]) for answer in answers] == [(403, "/problems/cross-site")] * 3
    assert (await service.http.get("/v1/limits/slow", headers=fields)).json()["paused"] is None


async def test_its_own_pages_and_callers_with_a_key_may_change_something(service: Service) -> None:
    origin = str(httpx.URL(service.url)).rstrip("/")
    for fields in (
        {"sec-fetch-site": "same-origin", "origin": origin},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "cross-site", "origin": "https://shop.example", "authorization": "Bearer x"},
    ):
        answer = await service.http.post("/v1/jobs", headers=fields, json={"task": "add", "args": {"left": 1}})
        assert answer.status_code == 202, fields


async def test_every_answer_tells_a_browser_what_it_may_not_do(service: Service) -> None:
    for path in ("/healthz", "/v1/limits", "/v1/jobs/none", "/nowhere", "/v1/jobs/%0a", "/problems/busy", "/openapi.json"):
        answer = await service.http.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert answer.headers["cache-control"] == "no-store", path
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], path
