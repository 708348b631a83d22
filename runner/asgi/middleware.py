"""RateLimitMiddleware: pure ASGI, for any app. It decides before the body is read, and answers 429 itself."""

import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

from runner.asgi.client_address import ClientAddresses
from runner.asgi.deadline_limiter import DeadlineLimiter
from runner.asgi.live_keys import LiveKeys
from runner.asgi.provider_word import run_until_told_to_wait
from runner.asgi.request_limiter import Fallback, OnError, RequestLimiter
from runner.asgi.response_fields import INVALID_PATH, problem_document, rate_limit_fields
from runner.asgi.rule import Rule, Scope
from runner.asgi.verdict import Verdict
from runner.client import Runner
from runner.clock import MICROSECONDS, monotonic_s
from runner.errors import ConfigurationError
from runner.foreign import asked, shown
from runner.limits import Need, need_of
from runner.ranges import checked, checked_whole

log = logging.getLogger("runner")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_Unproven = tuple[LiveKeys, str]
"""A key of which nothing is known, and where it would get a place."""

_TRY_AGAIN_LATER = 1013
_STARTS = frozenset({"http.response.start", "websocket.accept"})
_REFUSED = (401, 403)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _check(runner: object, rules: object) -> None:
    if not isinstance(runner, Runner):
        raise ConfigurationError(f"RateLimitMiddleware: runner is {shown(runner, 80)}: give the Runner whose limits these are")
    for rule in rules if isinstance(rules, Sequence) else [rules]:
        if not isinstance(rule, Rule):
            raise ConfigurationError(f"RateLimitMiddleware: rules hold {shown(rule, 80)}: give a list of Rule(limit=...)")


class RateLimitMiddleware:
    """Holds the callers of an app to limits: `app.add_middleware(RateLimitMiddleware, runner=jobs, rules=[Rule(limit=...)])`.

    A request takes tokens of all its limits at once; if one lacks them it takes none and is refused. No worker is needed, but for a limit
    that several queues share.

    on_error: what decides while Redis is away or slower than `deadline` (seconds): "local": buckets of this process, each with
    capacity / `instances` and that part of the rate; "open": all requests pass; "closed": none does (503).
    trusted_proxies: addresses and networks whose X-Forwarded-For is believed, "unix" for a unix socket; none by default.
    wait: seconds, 5 at most, for which a request stands in line for tokens of a limit that several queues share: they come from its home once somebody waits.
    max_keys: distinct keys of one limit in use at a time; further keys count for their addresses. See `Rule` for what makes a key known.
    A path with control characters is answered 400.
    A `RateLimited` that a request ends in before it is answered makes a 503 with the provider's time to come back.
    Raises `ConfigurationError` for anything that could never work.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        runner: Runner[Any],
        rules: Sequence[Rule],
        on_error: OnError = "local",
        instances: int = 1,
        trusted_proxies: Sequence[str] = (),
        deadline: float = 0.05,
        wait: float = 0.3,
        max_keys: int = 100_000,
    ) -> None:
        _check(runner, rules)
        checked("deadline", deadline, of="RateLimitMiddleware")
        checked("wait of a request", wait, of="RateLimitMiddleware")
        checked_whole("max_keys", max_keys, of="RateLimitMiddleware")
        self._app = app
        self._unsaid_s = runner.settings.freeze_s
        self._rules = tuple(rules)
        limits = {rule.limit.name: runner.limit(rule.limit) for rule in self._rules}
        self._deadline_limiter = DeadlineLimiter(runner, limits, deadline, wait)
        self._request_limiter = RequestLimiter(self._deadline_limiter, Fallback(on_error, instances), max_keys)
        self._addresses = ClientAddresses(trusted_proxies)
        self._live_keys = {
            name: LiveKeys(max_keys, allowance.window_us / MICROSECONDS) for name, allowance in self._deadline_limiter.allowances.items()
        }

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, self._following(receive), send)
            return
        is_request = scope["type"] in ("http", "websocket")
        if is_request and _CONTROL.search(scope["path"]):
            # Rules and routes could see different paths: a `$` in an expression also matches before the end of a line.
            await _answer(scope, send, 400, INVALID_PATH, "the path has control characters")
            return
        unproven: list[_Unproven] = []
        needs = self._needs(scope, unproven) if is_request else []
        verdict = await self._request_limiter.decide(needs) if needs else None
        if verdict is None or verdict.status is None:
            shown = send if verdict is None else self._watched(send, verdict, unproven)
            with nullcontext() if verdict is None or verdict.taken is None else verdict.taken:
                verdict = await run_until_told_to_wait(partial(self._app, scope, receive), shown, self._unsaid_s)
        if verdict is not None:
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

    def _needs(self, scope: Scope, unproven: list[_Unproven]) -> list[Need]:
        """What a request takes of each limit: the first rule for the limit that matches says it. Adds the keys of which nothing is known."""
        chosen: dict[str, Rule] = {}
        for rule in self._rules:
            if rule.limit.name not in chosen and rule.matches(scope):
                chosen[rule.limit.name] = rule
        return [self._need(rule, scope, unproven) for rule in chosen.values() if rule.cost > 0]

    def _need(self, rule: Rule, scope: Scope, unproven: list[_Unproven]) -> Need:
        if rule.field is None:
            return need_of(rule.limit, rule.cost, {})
        keys, value, now_s = self._live_keys[rule.limit.name], _asked(rule, "key", scope), monotonic_s()
        address = ""
        if value:
            need = need_of(rule.limit, rule.cost, {rule.field: value})
            if keys.is_proven(need.bucket, now_s):
                return need
            address = f"address:{self._addresses.of(scope)}"
            if rule.valid is None:
                unproven.append((keys, need.bucket))
            is_ours = rule.valid is not None and _asked(rule, "valid", scope)
            if is_ours and keys.prove(need.bucket, now_s):
                return need
            if (is_ours or rule.valid is None) and keys.admit(need.bucket, address, now_s):
                return need
        address = address or f"address:{self._addresses.of(scope)}"
        return need_of(rule.limit, rule.cost, {rule.field: keys.of_address(address, now_s)})

    def _watched(self, send: Send, verdict: Verdict, unproven: Sequence[_Unproven]) -> Send:
        """Add the two RateLimit fields to the app's answer. One that refuses no key proves those of its request."""
        fields = rate_limit_fields(verdict)

        async def sent(message: Message) -> None:
            if message["type"] in _STARTS:
                message = {**message, "headers": [*message.get("headers", ()), *fields]}
                status = message.get("status", 101)
                if unproven and status < 500 and status not in _REFUSED:
                    for keys, key in unproven:
                        keys.prove(key, monotonic_s())
            await send(message)

        return sent


def _asked(rule: Rule, what: str, scope: Scope) -> Any:
    """What a function of the app says of a request. A request must not fail because of this middleware: without an answer its address counts."""
    function: Callable[[Scope], Any] = getattr(rule, what)

    def failed(error: BaseException) -> None:
        log.error("the %s function of limit %r failed, the address of the request counts", what, rule.limit.name, exc_info=error)

    return asked(lambda: function(scope), failed)


async def _refuse(scope: Scope, send: Send, verdict: Verdict) -> None:
    """Answer without calling the app, and without reading the body."""
    assert verdict.status is not None
    await _answer(
        scope, send, verdict.status, problem_document(verdict), f"try again in {verdict.retry_after_s} s", rate_limit_fields(verdict)
    )


async def _answer(scope: Scope, send: Send, status: int, body: bytes, reason: str, fields: Sequence[tuple[bytes, bytes]] = ()) -> None:
    kind = "http"
    if scope["type"] == "websocket":
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER, "reason": reason})
            return
        kind = "websocket.http"
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode()), *fields]
    await send({"type": f"{kind}.response.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.response.body", "body": body})
