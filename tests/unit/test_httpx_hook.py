"""The httpx hook, in both clients: what says wait is raised, all else passes, and no coroutine is left that nobody awaits."""

import asyncio
import warnings

import httpx
import pytest

from runner import RateLimited, raise_rate_limited

ANSWERS = [
    (200, {}, False),
    (404, {"retry-after": "5"}, False),
    (429, {}, True),
    (429, {"retry-after": "5"}, True),
    (503, {}, False),
    (503, {"retry-after": "5"}, True),
    (503, {"Retry-After-Ms": "5"}, True),
    (503, {"x-ratelimit-reset": "5"}, False),
]


def by_plain(transport: httpx.MockTransport) -> int:
    with httpx.Client(transport=transport, event_hooks={"response": [raise_rate_limited("pay")]}) as client:
        return client.get("http://provider/").status_code


def by_async(transport: httpx.MockTransport) -> int:
    async def call() -> int:
        async with httpx.AsyncClient(transport=transport, event_hooks={"response": [raise_rate_limited("pay")]}) as client:
            return (await client.get("http://provider/")).status_code

    return asyncio.run(call())


@pytest.mark.parametrize("get", [by_plain, by_async])
@pytest.mark.parametrize(("status", "headers", "says_wait"), ANSWERS)
def test_both_clients_raise_what_says_wait_and_pass_the_rest(get: object, status: int, headers: dict[str, str], *, says_wait: bool) -> None:
    assert callable(get)
    transport = httpx.MockTransport(lambda _: httpx.Response(status, headers=headers))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if not says_wait:
            assert get(transport) == status
            return
        with pytest.raises(RateLimited) as raised:
            get(transport)
    assert raised.value.limit == "pay"
    assert isinstance(raised.value.retry_after, httpx.Response)
