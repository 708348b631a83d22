"""Which requests a rule speaks of, and which rules could never work."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import compile_path

from runner import Concurrency, ConfigurationError, Limit, TokenBucket
from runner.asgi import Rule, by_client_address, by_header
from runner.asgi.middleware import _CONTROL

FREE = TokenBucket("free", rate="10/s")
KEYED = TokenBucket("keyed", rate="10/s", key="{user}")


def scope(path: str, method: str = "GET", root_path: str = "") -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path, "root_path": root_path, "headers": []}


@pytest.mark.parametrize(
    ("path", "matching", "others"),
    [
        ("/", ["/", "/a", "/a/b", "", "*"], []),
        ("/v1/", ["/v1/", "/v1/jobs", "/v1/jobs/7"], ["/v1", "/v10/jobs", "/", "/x/v1/"]),
        ("/v1/jobs", ["/v1/jobs"], ["/v1/jobs/", "/v1/jobs/7", "/v1/jobs7", "/v1/jobs\n"]),
        ("/users/{id}/orders", ["/users/7/orders", "/users/a.b/orders"], ["/users//orders", "/users/7/8/orders", "/users/7/orders/9"]),
        ("/users/{id}/", ["/users/7/", "/users/7/orders"], ["/users/7", "/users/"]),
        ("/files/{name:path}", ["/files/a", "/files/a/b.txt", "/files/"], ["/files", "/file/a"]),
        ("/a.b", ["/a.b"], ["/aXb"]),
    ],
)
def test_a_path_is_exact_unless_it_ends_in_a_slash(path: str, matching: list[str], others: list[str]) -> None:
    rule = Rule(limit=FREE, path=path)

    assert [other for other in matching if not rule.matches(scope(other))] == []
    assert [other for other in others if rule.matches(scope(other))] == []


def test_the_path_is_that_of_the_apps_own_routes() -> None:
    rule = Rule(limit=FREE, path="/v1/")

    assert rule.matches(scope("/api/v1/jobs", root_path="/api"))
    assert rule.matches(scope("/api/v1/jobs", root_path="/api/"))
    assert not rule.matches(scope("/apiv1/jobs", root_path="/api"))
    assert Rule(limit=FREE).matches(scope("/api", root_path="/api"))


ROUTES = ["/", "/login", "/v1/{id}", "/v1/{id:int}/x", "/files/{name:path}", "/a.b", "/ä", "/a b"]


@given(st.sampled_from(ROUTES), st.text(st.sampled_from("/aäl.7 \n\x85\u2028Ablogin%+")), st.booleans())
def test_what_is_routed_is_ruled(route: str, noise: str, is_appended: bool) -> None:
    """By the expression that a router makes of the same text; the middleware refuses paths with control characters."""
    plain = re.sub(r"\{\w+(:\w+)?\}", "7", route)
    path = plain + noise if is_appended else f"/{noise}"
    routed = compile_path(route)[0].match(path) is not None
    assert not routed or _CONTROL.search(path) or Rule(limit=FREE, path=route).matches(scope(path))


def test_methods_choose_and_get_means_head_too() -> None:
    reads = Rule(limit=FREE, methods={"GET"})
    writes = Rule(limit=FREE, methods=["POST", "PUT"])

    assert [reads.matches(scope("/", method)) for method in ("GET", "HEAD", "POST")] == [True, True, False]
    assert [writes.matches(scope("/", method)) for method in ("POST", "PUT", "GET", "HEAD")] == [True, True, False, False]


def test_a_handshake_of_a_websocket_is_a_get() -> None:
    handshake = {"type": "websocket", "path": "/ws", "headers": []}

    assert Rule(limit=FREE, methods={"GET"}).matches(handshake)
    assert not Rule(limit=FREE, methods={"POST"}).matches(handshake)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"limit": Concurrency("gpu", 2)}, "Runner.slot"),
        ({"limit": FREE, "cost": 11}, "cost 11"),
        ({"limit": FREE, "cost": -1}, "cost -1"),
        ({"limit": FREE, "cost": True}, "cost True"),
        ({"limit": FREE, "path": "v1/"}, "begin with"),
        ({"limit": FREE, "methods": "POST"}, "methods='POST'"),
        ({"limit": FREE, "methods": ["post"]}, "methods="),
        ({"limit": FREE, "key": by_header("X-User")}, r'key="\{client\}"'),
        ({"limit": KEYED}, "by_client_address"),
        ({"limit": FREE, "valid": bool}, "no key"),
        ({"limit": TokenBucket("two", rate="1/s", key="{a}-{b}"), "key": by_client_address}, "several values"),
    ],
)
def test_a_rule_that_could_never_work_is_refused(fields: dict[str, Any], message: str) -> None:
    assert isinstance(fields["limit"], Limit)
    with pytest.raises(ConfigurationError, match=message):
        Rule(**fields)
