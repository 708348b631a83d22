"""HttpxTransport: requests by httpx, whose errors become those of this room. The only file that imports it."""

import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address

import httpx
from typing_extensions import override

from runner.http_client.transport import Answer, Call, Lost, Stream, Transport

_CONNECT_S = 5.0
_LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=20, keepalive_expiry=4.0)
"""Servers close what is idle for 5 s: a request on such a connection would be lost."""
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class HttpxTransport(Transport):
    """The connections of one event loop. Proxies of the environment are used, but for services of this machine."""

    def __init__(self, url: str, headers: Mapping[str, str], tls: ssl.SSLContext | None) -> None:
        parsed = httpx.URL(url)
        # Without TLS the certificates that are trusted need not be read, which takes longer than all the rest.
        verify = tls if tls is not None else parsed.scheme == "https"
        self._client = httpx.AsyncClient(
            base_url=parsed, headers=headers, verify=verify, limits=_LIMITS, trust_env=not _is_here(parsed.host), follow_redirects=False
        )

    @override
    async def send(self, call: Call, timeout_s: float) -> Answer:
        with _translated():
            answer = await self._client.send(self._request(call, timeout_s))
        return Answer(answer.status_code, answer.headers, answer.content)

    @override
    @asynccontextmanager
    async def stream(self, call: Call, timeout_s: float) -> AsyncIterator[Stream]:
        with _translated():
            answer = await self._client.send(self._request(call, timeout_s), stream=True)
        try:
            with _translated():
                body = b"" if answer.is_success else await answer.aread()
            yield Stream(Answer(answer.status_code, answer.headers, body), _parts(answer))
        finally:
            await answer.aclose()

    @override
    async def close(self) -> None:
        await self._client.aclose()

    def _request(self, call: Call, timeout_s: float) -> httpx.Request:
        timeout = httpx.Timeout(timeout_s, connect=min(_CONNECT_S, timeout_s))
        headers = dict(call.headers) if call.body is None else {"content-type": "application/json", **call.headers}
        return self._client.build_request(
            call.method, call.path, params=dict(call.query) or None, content=call.body, headers=headers, timeout=timeout
        )


async def _parts(answer: httpx.Response) -> AsyncIterator[bytes]:
    with _translated():
        async for part in answer.aiter_bytes():
            yield part


@contextmanager
def _translated() -> Iterator[None]:
    """Raises `Lost` in place of the errors of httpx."""
    try:
        yield
    except httpx.TransportError as error:
        said = str(error) or type(error).__name__
        raise Lost(said, was_sent=not isinstance(error, _NOT_SENT), is_hopeless=_is_of_tls(error)) from error


def _is_of_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
