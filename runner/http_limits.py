"""For handlers that call by httpx: a response that says "wait" becomes `RateLimited` by itself."""

from collections.abc import Awaitable, Callable

import httpx

from runner.errors import RateLimited

_SAYS_WAIT = frozenset({httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE})
_NAMES_A_TIME = ("retry-after", "retry-after-ms")


def raise_rate_limited(limit: str | None = None) -> Callable[[httpx.Response], Awaitable[None]]:
    """An httpx event hook: `httpx.AsyncClient(event_hooks={"response": [raise_rate_limited("stripe")]})`.

    Raises `RateLimited` for a 429, and for a 503 that names a time to come back. Any other response passes.
    """

    async def hook(response: httpx.Response) -> None:
        if says_wait(response):
            raise RateLimited(limit, retry_after=response)

    return hook


def says_wait(response: httpx.Response) -> bool:
    """Whether a provider asks to come back later: 429, or 503 with a time."""
    if response.status_code not in _SAYS_WAIT:
        return False
    return response.status_code == httpx.codes.TOO_MANY_REQUESTS or any(name in response.headers for name in _NAMES_A_TIME)
