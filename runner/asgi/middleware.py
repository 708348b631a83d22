"""RateLimitMiddleware: pure ASGI, for any app. It decides before the body is read, and answers 429 itself."""

import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from runner.asgi.client_address import ClientAddresses
from runner.asgi.deadline_limiter import DeadlineLimiter
from runner.asgi.live_keys import OTHERS, LiveKeys
from runner.asgi.request_limiter import Fallback, OnError, RequestLimiter
from runner.asgi.response_fields import problem_document, rate_limit_fields
from runner.asgi.rule import Rule, Scope
from runner.asgi.verdict import Verdict
from runner.client import Runner
from runner.clock import MICROSECONDS, monotonic_s
from runner.errors import ConfigurationError
from runner.limits import Need, need_of

log = logging.getLogger("runner")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_TRY_AGAIN_LATER = 1013
_STARTS = frozenset({"http.response.start", "websocket.accept"})


class RateLimitMiddleware:
    """Holds the callers of an app to limits: `app.add_middleware(RateLimitMiddleware, runner=jobs, rules=[Rule(limit=...)])`.

    A request takes tokens of all its limits at once; if one lacks them it takes none and is refused. No worker is needed.

    on_error: what decides while Redis is away or slower than `deadline` (seconds): "local": buckets of this process, each with
    capacity / `instances` and that part of the rate; "open": all requests pass; "closed": none does (503).
    trusted_proxies: addresses and networks whose X-Forwarded-For is believed, "unix" for a unix socket; none by default.
    max_keys: distinct keys of one limit in use at a time; further keys share one bucket.
    Raises `ConfigurationError` for anything that could never work.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        runner: Runner,
        rules: Sequence[Rule],
        on_error: OnError = "local",
        instances: int = 1,
        trusted_proxies: Sequence[str] = (),
        deadline: float = 0.05,
        max_keys: int = 100_000,
    ) -> None:
        if deadline <= 0 or max_keys < 1:
            raise ConfigurationError(f"deadline={deadline}, max_keys={max_keys} cannot be used: give more than 0")
        self._app = app
        self._rules = tuple(rules)
        limits = {rule.limit.name: runner.limit(rule.limit) for rule in self._rules}
        self._deadline_limiter = DeadlineLimiter(runner, limits, deadline)
        self._request_limiter = RequestLimiter(self._deadline_limiter, Fallback(on_error, instances), max_keys)
        self._addresses = ClientAddresses(trusted_proxies)
        self._live_keys = {
            name: LiveKeys(max_keys, allowance.window_us / MICROSECONDS) for name, allowance in self._deadline_limiter.allowances.items()
        }

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, self._following(receive), send)
            return
        needs = self._needs(scope) if scope["type"] in ("http", "websocket") else []
        if not needs:
            await self._app(scope, receive, send)
            return
        verdict = await self._request_limiter.decide(needs)
        if verdict.status is None:
            await self._app(scope, receive, _with_fields(send, verdict))
        else:
            await _refuse(scope, send, verdict)

    def _following(self, receive: Receive) -> Receive:
        """Open and close the limiter with the app."""

        async def followed() -> Message:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._deadline_limiter.open()
            elif message["type"] == "lifespan.shutdown":
                await self._deadline_limiter.close()
            return message

        return followed

    def _needs(self, scope: Scope) -> list[Need]:
        """What a request takes of each limit: the first rule for the limit that matches says it."""
        chosen: dict[str, Rule] = {}
        for rule in self._rules:
            if rule.limit.name not in chosen and rule.matches(scope):
                chosen[rule.limit.name] = rule
        return [self._need(rule, scope) for rule in chosen.values() if rule.cost > 0]

    def _need(self, rule: Rule, scope: Scope) -> Need:
        name = rule.limit.name
        if rule.field is None:
            return need_of(rule.limit, rule.cost, {})
        need = need_of(rule.limit, rule.cost, {rule.field: self._key(rule, scope)})
        if self._live_keys[name].admit(need.bucket, monotonic_s()):
            return need
        return need_of(rule.limit, rule.cost, {rule.field: OTHERS})

    def _key(self, rule: Rule, scope: Scope) -> str:
        try:
            value = rule.key and rule.key(scope)
        except Exception as error:
            # The function is the app's. A request must not fail because of this middleware, so its address counts instead.
            log.error("the key function of limit %r failed, the address of the request counts", rule.limit.name, exc_info=error)
            value = None
        return value or f"address:{self._addresses.of(scope)}"


def _with_fields(send: Send, verdict: Verdict) -> Send:
    """Add the two RateLimit fields to the app's answer."""
    fields = rate_limit_fields(verdict)

    async def sent(message: Message) -> None:
        if message["type"] in _STARTS:
            message = {**message, "headers": [*message.get("headers", ()), *fields]}
        await send(message)

    return sent


async def _refuse(scope: Scope, send: Send, verdict: Verdict) -> None:
    """Answer without calling the app, and without reading the body."""
    kind = "http"
    if scope["type"] == "websocket":
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER, "reason": f"try again in {verdict.retry_after_s} s"})
            return
        kind = "websocket.http"
    body = problem_document(verdict)
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        *rate_limit_fields(verdict),
    ]
    await send({"type": f"{kind}.response.start", "status": verdict.status, "headers": headers})
    await send({"type": f"{kind}.response.body", "body": body})
