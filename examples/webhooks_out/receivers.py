"""The receivers of five customers on loopback: one good, one slow, one strict, one down for a while, one gone. They count what arrives."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from fastapi import FastAPI, Request, Response

from examples.webhooks_out.tasks import Endpoint, signed

SECRET = "whsec-only-in-this-example"  # noqa: S105 - it guards nothing
CUSTOMERS = ("good", "slow", "strict", "down", "gone")


@dataclass
class Received:
    """What has arrived for one customer: when each attempt came, which messages were taken, and how many came at the same time."""

    attempts: list[float] = field(default_factory=list[float])
    taken: Counter[str] = field(default_factory=Counter[str])
    at_once: int = 0
    most_at_once: int = 0


class Receivers(FastAPI):
    """They answer at `/{customer}`. slow_s: how long the slow one takes. down_s: how long one is down, from the first attempt on. clock: in seconds."""

    def __init__(self, *, slow_s: float = 1, down_s: float = 3, a_second: int = 10, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(title="Receivers")
        self.of = {customer: Received() for customer in CUSTOMERS}
        self.forged = 0
        self._slow_s, self._down_s, self._a_second, self._clock = slow_s, down_s, a_second, clock
        self.post("/{customer}")(self._receive)

    def endpoints(self, url: str) -> dict[str, Endpoint]:
        return {customer: Endpoint(f"{url}/{customer}", SECRET) for customer in CUSTOMERS}

    async def _receive(self, customer: str, request: Request) -> Response:
        received = self.of[customer]
        received.at_once += 1
        received.most_at_once = max(received.most_at_once, received.at_once)
        try:
            return await self._answer(customer, received, request)
        finally:
            received.at_once -= 1

    async def _answer(self, customer: str, received: Received, request: Request) -> Response:
        now_s, body = self._clock(), (await request.body()).decode()
        message_id = request.headers["webhook-id"]
        received.attempts.append(now_s)
        if not _is_genuine(request, message_id, body):
            self.forged += 1
            return Response(status_code=401)
        if customer == "gone":
            return Response(status_code=410)
        if customer == "down" and now_s - received.attempts[0] < self._down_s:
            return Response(status_code=503)
        if customer == "strict" and sum(at_s > now_s - 1 for at_s in received.attempts) > self._a_second:
            return Response(status_code=429, headers={"retry-after": "1"})
        await asyncio.sleep(self._slow_s if customer == "slow" else 0.02)
        received.taken[message_id] += 1
        return Response(status_code=204)


def _is_genuine(request: Request, message_id: str, body: str) -> bool:
    """Whether the signature fits; the time in it is not looked at here."""
    at = request.headers["webhook-timestamp"]
    return request.headers["webhook-signature"] == signed(message_id, body, SECRET, at=at)["webhook-signature"]
