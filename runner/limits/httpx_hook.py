"""A hook for httpx: a response that says "wait" raises `RateLimited` by itself.

This module does not import httpx, which with its own imports would take an eighth of a worker's memory.
"""

from collections.abc import Awaitable, Callable, Generator, Mapping
from http import HTTPStatus
from typing import Protocol

from runner.errors import RateLimited
from runner.limits.provider_headers import RETRY_FIELDS

_SAYS_WAIT = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class Response(Protocol):
    """A response of httpx: its headers are found whatever their case."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Its header fields."""
        ...

    @property
    def status_code(self) -> int:
        """Of HTTP."""
        ...


class _Passed:
    """An awaitable that does nothing: `httpx.AsyncClient` awaits what a hook returns, and `httpx.Client` drops it."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


PASSED = _Passed()
"""What a hook returns that lets a response pass."""


def raise_rate_limited(limit: str | None = None) -> Callable[[Response], Awaitable[None]]:
    """An event hook for both clients of httpx: `httpx.AsyncClient(event_hooks={"response": [raise_rate_limited("stripe")]})`.

    Raises `RateLimited` for a 429, and for a 503 that names a time to come back. Any other response passes.
    """

    # A plain function, as `httpx.Client` never awaits what an async one returns.
    def hook(response: Response) -> Awaitable[None]:
        if says_wait(response):
            raise RateLimited(limit, retry_after=response)
        return PASSED

    return hook


def says_wait(response: Response) -> bool:
    """Whether a provider asks to come back later: 429, or 503 with a time."""
    if response.status_code not in _SAYS_WAIT:
        return False
    return response.status_code == HTTPStatus.TOO_MANY_REQUESTS or any(name in response.headers for name in RETRY_FIELDS)
