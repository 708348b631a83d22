"""Who may do what: the right that each route needs, asked before its function is called, whatever way a request takes to it."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache, partial
from ipaddress import ip_address
from typing import Any, cast

from fastapi import Request, Security, params
from fastapi.openapi.models import HTTPBearer
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase

from runner import Actor, Client, Principal, Scope, Settings, StoreUnavailable
from runner.asgi import ClientAddresses
from runner.errors import Forbidden, Unauthenticated
from runner.http.body_price import charged
from runner.http.browser_session import key_of_browser
from runner.http.dependencies import STATE, Authorize, service_of

PRINCIPAL = "runner.http.principal"
"""Where the state of a request holds who it is from."""
FREE = frozenset({"/healthz", "/readyz", "/problems/{name}", "/ui", "/ui/sign-out", "/ui/door", "/ui/{path:path}"})
"""Paths that need no right. A route at any other cannot be made without naming one."""
_NO_ACTS = frozenset(
    {Scope.jobs_submit, Scope.jobs_read, Scope.jobs_debug, Scope.limits_read, Scope.workers_read}
    | {Scope.audit_read, Scope.schedules_read, Scope.stats_read}
)
"""Rights to look, and to submit. What another right changes is the act of its caller, by whose name it is in the audit."""
_LONGEST = 128
_USER = re.compile(rb"[A-Za-z0-9][A-Za-z0-9 _.@+-]{0,99}")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_ANYONE = Principal("", frozenset(Scope))

__all__ = ["Authorize", "ByKey", "admit", "anyone", "credentials_of", "needs", "principal_of", "right_of"]


async def anyone(scope: Mapping[str, Any], action: str, target: str | None) -> Principal:  # noqa: ARG001 - as every `Authorize`
    """An `Authorize` that lets everybody do everything: for an app that guards its routes itself."""
    return _ANYONE


class ByKey:
    """An `Authorize` by the keys of the queue. As long as it has none, whoever is on this machine may do everything, and nobody else.

    strangers: without keys everybody may, wherever they are.
    """

    def __init__(self, client_of: Callable[[], Client], *, strangers: bool = False) -> None:
        self._client_of = client_of
        self._strangers = strangers
        self._header: bytes | None = None
        """That may hold a key beside `Authorization`, once it is known; empty if there is none."""

    async def __call__(self, scope: Mapping[str, Any], action: str, target: str | None) -> Principal:  # noqa: ARG002 - as every `Authorize`
        client = self._client_of()
        if self._header is None:
            self._header = (client.settings.api_key_header or "").lower().encode()
        sent = _credentials(scope, self._header)
        if sent is None and client.settings.trust_user_header is not None and _addresses_of(client).believes(scope):
            return _user_of(scope, client.settings)
        return await client.keys.authenticate(sent) or self._without_keys(scope)

    def _without_keys(self, scope: Mapping[str, Any]) -> Principal:
        if self._strangers or is_on_this_machine(scope.get("client")):
            return _ANYONE
        raise Forbidden(
            "this service has no keys, and so serves its own machine only: make one by `keys create`,"
            " or start it with --insecure-no-auth to serve everybody who reaches it"
        )


def is_on_this_machine(peer: Sequence[Any] | None) -> bool:
    """Whether the peer of a connection is a process of this machine; None is the peer of a unix socket."""
    return peer is None or not peer[0] or _is_loopback(str(peer[0]))


@lru_cache(maxsize=1_000)
def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


class _Key(SecurityBase):
    """What OpenAPI says of the key, and for requests that go through FastAPI the question whether they may."""

    def __init__(self) -> None:
        self.model = HTTPBearer(bearerFormat="mr1_<id>_<secret>_<checksum>", description="made by `python -m runner keys create`")
        self.scheme_name = "key"

    async def __call__(self, request: Request, needed: SecurityScopes) -> None:
        (right,) = needed.scopes
        await admit(request, right)


_KEY = _Key()


def needs(right: Scope) -> Any:
    """For the `dependencies` of a route: the right without which its function is not called."""
    return Security(_KEY, scopes=[right.value])


def right_of(path: str, dependencies: Sequence[params.Depends] | None) -> str | None:
    """The right that the dependencies of a route name; None for a free path. Raises TypeError if there is none."""
    rights = [right for one in dependencies or () if isinstance(one, params.Security) for right in one.scopes or ()]
    if len(rights) != (path not in FREE):
        raise TypeError(f"route {path} names {rights or 'no right'}: give it dependencies=[needs(Scope...)], and a free one none")
    return rights[0] if rights else None


async def admit(request: Request, right: str) -> None:
    """Let a request pass, and keep who it is from. Raises `Unauthenticated`, `Forbidden`, `StoreUnavailable`."""
    service, scope = service_of(request), request.scope
    if service.authorize is None:
        return
    target = next(iter(scope["path_params"].values()), None)
    try:
        principal = await service.authorize(scope, right, target)
        _check(principal, right, service.client, scope)
    except Forbidden as error:
        service.refusals.note(_addresses_of(service.client).of(scope), f"403 {error}")
        raise
    except Unauthenticated:
        address = _addresses_of(service.client).of(scope)
        service.refusals.note(address, "401 without a key that is accepted")
        await service.quotas.count_failure(address)
        raise
    if principal.rate is not None:
        await service.quotas.take(principal, charged(scope, partial(service.quotas.take, principal, spent=1)))
    if right not in _NO_ACTS:
        actor_of(request, principal).act()
    # Whatever a route asks its client for is within what the caller may do.
    seen = service if principal is _ANYONE else service.seen_by(principal)
    scope["state"] = {**scope.get("state", {}), PRINCIPAL: principal, STATE: seen}


def lacking(principal: Principal, right: str) -> Forbidden:
    """That who asks has no such right; only of a key somebody is known who may give it."""
    remedy = "; ask who made the key for it" if principal.key_id else ""
    return Forbidden(f"{principal.label or 'the caller'} has no right {right}{remedy}", right)


def _check(principal: Principal, right: str, client: Client, scope: Mapping[str, Any]) -> None:
    """Raises `Forbidden`."""
    if right not in principal.scopes:
        raise lacking(principal, right)
    if principal.sources and not principal.allows_address(_addresses_of(client).address_of(scope)):
        raise Forbidden(f"{principal.label} may not call from this address")


async def is_admitted_still(request: Request, right: str) -> bool:
    """Whether who was let pass would be let pass now, as the same: for an answer that goes on for hours."""
    service, scope = service_of(request), request.scope
    if service.authorize is None:
        return True
    try:
        principal = await service.authorize(scope, right, next(iter(scope["path_params"].values()), None))
    except (Unauthenticated, Forbidden):
        return False
    except StoreUnavailable:
        return True  # nothing can be told either
    return principal == principal_of(request)


def principal_of(request: Request) -> Principal:
    """Who a request is from; anyone, if the app guards its routes itself."""
    return cast("Principal", request.scope.get("state", {}).get(PRINCIPAL, _ANYONE))


def credentials_of(request: Request) -> bytes | None:
    """The key that a request was sent with; None without one."""
    header = service_of(request).client.settings.api_key_header or ""
    return _credentials(request.scope, header.lower().encode())


def actor_of(request: Request, principal: Principal) -> Actor:
    """Whose act it is, for the audit."""
    sent = next((value for name, value in request.scope["headers"] if name == b"x-request-id"), b"")
    request_id = sent.decode() if _REQUEST_ID.fullmatch(sent) else ""
    return Actor(principal.label or "anyone over HTTP", _addresses_of(service_of(request).client).of(request.scope), request_id, "http")


def _user_of(scope: Mapping[str, Any], settings: Settings) -> Principal:
    """The user whom a trusted proxy names. Raises `Unauthenticated` if it names nobody: its word is all there is."""
    wanted = (settings.trust_user_header or "").lower().encode()
    named = [value for name, value in scope["headers"] if name == wanted]
    if len(named) != 1 or not _USER.fullmatch(named[0]):
        raise Unauthenticated(f"the proxy names no user in {settings.trust_user_header}", was_sent=False)
    return Principal.of_preset(named[0].decode(), settings.trust_user_preset)


@cache
def _believing(trusted_proxies: str | None) -> ClientAddresses:
    return ClientAddresses([proxy.strip() for proxy in trusted_proxies.split(",")] if trusted_proxies else [])


def _addresses_of(client: Client) -> ClientAddresses:
    return _believing(client.settings.trusted_proxies)


def _credentials(scope: Mapping[str, Any], other: bytes) -> bytes | None:
    """What was sent as a key; nothing that could be one if that is not one secret in one header, None if there is no such header."""
    sent: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, bearer = value.partition(b" ")
            sent = bearer.strip() if sent is None and scheme.lower() == b"bearer" else b""
        elif name == other:
            sent = value if sent is None else b""
    if sent is None:
        sent = key_of_browser(scope)
    return sent if sent is None or (len(sent) <= _LONGEST and sent.isascii()) else b""
