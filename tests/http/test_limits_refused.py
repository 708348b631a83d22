"""Changes of limits over HTTP that are refused, and say why."""

from typing import Any

import pytest

from tests.http.conftest import Service
from tests.http.scarce import app as app
from tests.http.scarce import limit
from tests.http.scarce import mended as mended

ACTIONS = [("PUT", ""), ("DELETE", "/override"), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/freeze"), ("POST", "/release")]
BODIES: dict[str, dict[str, Any]] = {"": {"rate": "1/s"}, "/freeze": {"duration": 1}}


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("pay", {}, "no number"),
        ("pay", {"duration": 5}, "no number"),
        ("pay", {"per": 5}, "'per'"),
        ("gpu", {"rate": "1/s"}, "'rate'"),
        ("pay", {"rate": "often"}, "often"),
        ("pay", {"rate": "0/s"}, "never"),
        ("pay", {"rate": "9" * 90 + "/s"}, "not understood"),
        ("pay", {"burst": 0}, "burst"),
        ("pay", {"burst": -1}, "burst"),
        ("pay", {"burst": 10**400}, "burst"),
        ("pay", {"rate": "1/s", "capacity": 5}, "rate and burst, or"),
        ("pay", {"rate": "9999999999999999/s"}, "pay"),
        ("pay", {"every": -1}, "is smooth, and has no every"),
        ("pay", {"refill": 1, "capacity": 2}, "is smooth, and has no refill"),
        ("block", {"every": 0}, "every"),
        ("block", {"every": -1.5}, "every"),
        ("block", {"every": 1e300}, "every"),
        ("window", {"per": 1e-9}, "per"),
        ("window", {"capacity": 10**6}, "TokenBucket"),
        ("pay", {"rate": "1/s", "duration": 0}, "from 0.000001 to"),
        ("pay", {"rate": "1/s", "duration": -1}, "from 0.000001 to"),
        ("pay", {"rate": "1/s", "duration": 1e12}, "366 days"),
    ],
)
async def test_impossible_numbers_are_refused_and_change_nothing(service: Service, name: str, body: dict[str, Any], said: str) -> None:
    before = await limit(service, name)
    answer = await service.http.put(f"/v1/limits/{name}", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/impossible-limit"), answer.text
    assert said in answer.json()["detail"]
    assert await limit(service, name) == before


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("pay", {"speed": 1}, "the fields are rate, burst"),
        ("pay", {"rate": 10}, "#/rate"),
        ("pay", {"burst": 1.5}, "#/burst"),
        ("pay", {"burst": True}, "#/burst"),
        ("pay", {"rate": "1/s", "reason": "x" * 501}, "#/reason"),
        ("pay/pause", {"why": "x"}, "the fields are reason"),
        ("pay/resume", {"reason": "x"}, "unknown field"),
        ("pay/freeze", {}, "#/duration"),
        ("pay/freeze", {"duration": True}, "#/duration"),
        ("pay/freeze", {"duration": [5]}, "#/duration"),
        ("pay/freeze", {"duration": 5, "bucket": "tenant"}, "pay/KEY"),
    ],
)
async def test_a_body_that_does_not_fit_says_where(service: Service, path: str, body: dict[str, Any], said: str) -> None:
    answer = await service.http.request("POST" if "/" in path else "PUT", f"/v1/limits/{path}", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/validation"), answer.text
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("pay/freeze", {"duration": 0}, "from 0.000001 to"),
        ("pay/freeze", {"duration": "soon"}, "'soon'"),
        ("pay/freeze", {"duration": "1e12"}, "366 days"),
        ("pay/freeze", {"duration": -3}, "from 0.000001 to"),
        ("pay/freeze", {"duration": 1e12}, "366 days"),
        ("pay/freeze", {"duration": 1, "bucket": "pay/t7"}, "no key"),
        ("tenant/release", {"bucket": "tenant/"}, "empty key"),
    ],
)
async def test_a_freeze_that_cannot_be_is_refused(service: Service, path: str, body: dict[str, Any], said: str) -> None:
    answer = await service.http.post(f"/v1/limits/{path}", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/impossible-limit")
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(("method", "path"), [("GET", ""), *ACTIONS])
async def test_an_unknown_limit_is_not_found_and_the_known_are_named(service: Service, method: str, path: str) -> None:
    answer = await service.http.request(method, f"/v1/limits/stirpe{path}", json=BODIES.get(path))
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-limit")
    assert "'stirpe'" in answer.json()["detail"]
    assert "pay, provider, tenant" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/limits/pay/pause", "/v1/limits/pay/resume", "/v1/limits/pay/release", "/v1/jobs/x/retry"])
async def test_a_page_of_another_site_cannot_send_even_an_empty_body(service: Service, path: str) -> None:
    for headers in ({"origin": "https://elsewhere.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        answer = await service.http.post(path, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/cross-site")
    form = await service.http.post(path, headers={"content-type": "text/plain"})
    assert (form.status_code, form.json()["type"]) == (415, "/problems/unsupported-media-type")
    for headers in ({"origin": service.url}, {"content-type": "application/json"}, {"content-type": "application/json; charset=utf-8"}):
        own = await service.http.post(path, headers=headers)
        assert own.status_code == (404 if path.endswith("retry") else 200)
