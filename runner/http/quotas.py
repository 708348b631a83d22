"""Quotas: how much each key may ask for, and how often an address may fail to name one. Buckets like any other, which all services share."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable

from runner import Client, Principal, SlidingWindow, TokenBucket
from runner.asgi import RateLimits
from runner.http.problems import Problem

FAILURES = SlidingWindow("api.failures", 20, per=60, key="{address}")
"""401s of one address in a minute, before it is told to stay away."""
_US_A_SECOND = 1_000_000
_MOST_BLOCKED = 10_000
_UNNAMEABLE = re.compile(r"[^A-Za-z0-9.]")


class Quotas:
    """Those of one service. Raises `Problem` where one is used up."""

    def __init__(self, client_of: Callable[[], Client]) -> None:
        self._client_of = client_of
        self._failures = RateLimits(client_of, [FAILURES])
        self._rates: dict[str, tuple[TokenBucket, RateLimits]] = {}
        self._blocked: OrderedDict[str, float] = OrderedDict()
        """Addresses that have failed too often, with the time until when: nobody is asked again until then."""

    async def take(self, principal: Principal, cost: int, *, spent: int = 0) -> None:
        """Take tokens for a request of this caller, if its key has a rate. Raises `Problem`.

        spent: those that the request has taken before. It needs them again when it is repeated, so Retry-After leaves time for them too.
        """
        if principal.rate is None:
            return
        limit, limits = self._rate(principal.rate)
        if cost + spent > limit.capacity:
            detail = (
                f"{principal.label} may make {principal.rate} requests, and at most {limit.capacity} at once: send less than {cost + spent}"
            )
            raise Problem("exceeds-capacity", detail)
        retry_after_s = await limits.take(limit, cost, {"key": principal.key_id or principal.name})
        if retry_after_s:
            retry_after_s += -(-spent * limit.every_us // (limit.refill * _US_A_SECOND))
            raise _too_many(f"{principal.label} may make {principal.rate} requests", retry_after_s)

    async def count_failure(self, address: str) -> None:
        """A request of this address is answered 401. Raises `Problem` if that was one too many."""
        now_s = asyncio.get_running_loop().time()
        until_s = self._blocked.get(address, now_s)
        if now_s >= until_s:
            retry_after_s = await self._failures.take(FAILURES, 1, {"address": address})
            if not retry_after_s:
                return
            until_s = now_s + retry_after_s
            self._blocked[address] = until_s
            if len(self._blocked) > _MOST_BLOCKED:
                self._blocked.popitem(last=False)
        raise _too_many("too many requests from this address had no key that is accepted", max(round(until_s - now_s), 1))

    async def close(self) -> None:
        """Let calls under way end."""
        for limits in (self._failures, *(limits for _, limits in self._rates.values())):
            await limits.close()

    def _rate(self, rate: str) -> tuple[TokenBucket, RateLimits]:
        """The limit of all keys with this rate: each has a bucket of its own."""
        if rate not in self._rates:
            limit = TokenBucket(f"api.key.{_UNNAMEABLE.sub('-', rate)}", rate=rate, key="{key}")
            self._rates[rate] = limit, RateLimits(self._client_of, [limit])
        return self._rates[rate]


def _too_many(why: str, retry_after_s: int) -> Problem:
    return Problem("too-many-requests", f"{why}: try again in {retry_after_s} s", headers={"Retry-After": str(retry_after_s)})
