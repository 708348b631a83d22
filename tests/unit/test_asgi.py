"""The middleware called as a server calls it, with no Redis to ask: handshakes, mounted apps, and what it leaves alone."""

from collections.abc import AsyncIterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from runner import ConfigurationError, Runner, SlidingWindow, TokenBucket
from runner.asgi import RateLimitMiddleware, Rule
from runner.asgi.middleware import Receive, Send

LIMIT = TokenBucket("calls", capacity=1, refill=1, every=3600)
WITH_RESPONSE: dict[str, Any] = {"websocket.http.response": {}}


class App:
    """An app that accepts everything, and counts."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        self.calls.append(scope["type"])
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 204})
            await send({"type": "http.response.body"})
        elif scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
        else:
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})


@pytest.fixture
async def jobs(tmp_path: Path) -> AsyncIterator[Runner]:
    jobs = Runner("nowhere", redis_url=f"unix://{tmp_path}/nobody.sock")
    yield jobs
    await jobs.close()


async def call(middleware: RateLimitMiddleware, kind: str = "http", **scope: Any) -> list[MutableMapping[str, Any]]:
    """What is sent in answer. Nothing may be read: a decision needs no body."""
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError("the middleware reads")

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await middleware({"type": kind, "path": "/", "headers": [], "client": ("192.0.2.1", 1), **scope}, receive, send)
    return sent


async def test_a_handshake_beyond_the_limit_is_closed_with_try_again_later(jobs: Runner) -> None:
    app = App()
    middleware = RateLimitMiddleware(app, runner=jobs, rules=[Rule(limit=LIMIT)])

    (accepted,) = await call(middleware, "websocket")
    (closed,) = await call(middleware, "websocket")

    assert accepted["type"] == "websocket.accept"
    assert dict(accepted["headers"])[b"ratelimit"] == b'"calls";r=0;t=3600'
    assert (closed["type"], closed["code"]) == ("websocket.close", 1013)
    assert app.calls == ["websocket"]


async def test_a_handshake_is_answered_429_where_the_server_can(jobs: Runner) -> None:
    middleware = RateLimitMiddleware(App(), runner=jobs, rules=[Rule(limit=LIMIT)])
    await call(middleware, "websocket")

    start, body = await call(middleware, "websocket", extensions=WITH_RESPONSE)

    assert (start["type"], start["status"]) == ("websocket.http.response.start", 429)
    assert dict(start["headers"])[b"retry-after"] == b"3600"
    assert body["type"] == "websocket.http.response.body"
    assert b"quota-exceeded" in body["body"]


async def test_requests_and_handshakes_share_a_limit(jobs: Runner) -> None:
    middleware = RateLimitMiddleware(App(), runner=jobs, rules=[Rule(limit=LIMIT)])

    start, _ = await call(middleware, method="GET")
    (closed,) = await call(middleware, "websocket")

    assert start["status"] == 204
    assert closed["type"] == "websocket.close"


async def test_rules_speak_of_the_mounted_apps_own_paths(jobs: Runner) -> None:
    middleware = RateLimitMiddleware(App(), runner=jobs, rules=[Rule(limit=LIMIT, path="/v1/")])

    inside = [(await call(middleware, method="GET", path="/api/v1/jobs", root_path="/api"))[0]["status"] for _ in range(2)]
    outside = [(await call(middleware, method="GET", path="/api/v2", root_path="/api"))[0]["status"] for _ in range(2)]

    assert (inside, outside) == ([204, 429], [204, 204])


async def test_the_start_and_the_end_of_the_app_pass(jobs: Runner) -> None:
    app = App()
    middleware = RateLimitMiddleware(app, runner=jobs, rules=[Rule(limit=LIMIT)])
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[str] = []

    async def receive() -> MutableMapping[str, Any]:
        return next(messages)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message["type"])

    await middleware({"type": "lifespan"}, receive, send)

    assert sent == ["lifespan.startup.complete"]
    assert app.calls == ["lifespan"]


async def test_a_limit_is_known_to_the_app_once_it_has_a_rule(jobs: Runner) -> None:
    RateLimitMiddleware(App(), runner=jobs, rules=[Rule(limit=LIMIT)])

    assert jobs.limits == {"calls": LIMIT}
    with pytest.raises(ConfigurationError, match="declared twice"):
        RateLimitMiddleware(App(), runner=jobs, rules=[Rule(limit=SlidingWindow("calls", 2, per=1))])


@pytest.mark.parametrize(
    "options",
    [
        {"on_error": "ajar"},
        {"instances": 0},
        {"instances": True},
        {"deadline": 0},
        {"max_keys": 0},
        {"trusted_proxies": ["proxy.example"]},
    ],
)
async def test_an_option_that_could_never_work_is_refused(jobs: Runner, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        RateLimitMiddleware(App(), runner=jobs, rules=[Rule(limit=LIMIT)], **options)
