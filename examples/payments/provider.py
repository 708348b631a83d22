"""A payment provider on loopback, with idempotency keys as Stripe has them, and every way to lose an answer.

The same key and body: the first answer again, with `Idempotent-Replayed: true`. The same key while the first request is under way: 409. The
same key with another body: 422. What it counts are charges: money that moved.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

A_SECOND = 100
"""More requests than that within a second are answered 429."""


class Order(BaseModel):
    """The body of a request."""

    order: str
    cents: int


@dataclass
class Answer:
    """What was answered to the first request with a key; no body as long as that is under way."""

    order: Order
    status: int = 0
    body: bytes = b""


class Provider(FastAPI):
    """The provider. Of each `losing` charges one is made, and its answer lost; of each `failing` requests one is a 500 before anything is done.

    charged: called when a charge has been made and not yet answered.
    """

    def __init__(self, *, losing: int = 10, failing: int = 15, charged: Callable[[Order], Awaitable[None]] | None = None) -> None:
        super().__init__(title="A payment provider")
        self.charges: list[Order] = []
        self.counts = Counter[str](requests=0, replayed=0, lost=0, errors=0, refused=0)
        self._losing, self._failing, self._charged = losing, failing, charged
        self._answers: dict[str, Answer] = {}
        self._arrivals: list[float] = []
        self.post("/charges")(self._charge)

    @property
    def twice(self) -> list[str]:
        """Orders that were charged more than once."""
        return [order for order, times in Counter(charge.order for charge in self.charges).items() if times > 1]

    async def _charge(self, order: Order, request: Request) -> Response:
        self.counts["requests"] += 1
        now_s = time.monotonic()
        self._arrivals = [at_s for at_s in self._arrivals if at_s > now_s - 1]
        if len(self._arrivals) >= A_SECOND:
            self.counts["refused"] += 1
            return JSONResponse({"error": "too many requests"}, 429, {"Retry-After": "1"})
        self._arrivals.append(now_s)
        key = request.headers.get("idempotency-key")
        if key is None:
            return JSONResponse({"error": "an Idempotency-Key is needed"}, 400)
        if (known := self._answers.get(key)) is not None:
            return self._again(known, order)
        if self._failing and self.counts["requests"] % self._failing == 0:
            self.counts["errors"] += 1
            return JSONResponse({"error": "try again"}, 500)
        return await self._first(self._answers.setdefault(key, Answer(order)))

    def _again(self, known: Answer, order: Order) -> Response:
        if known.order != order:
            return JSONResponse({"error": "this key was used with another body"}, 422)
        if not known.status:
            return JSONResponse({"error": "the first request is under way"}, 409)
        self.counts["replayed"] += 1
        return Response(known.body, known.status, {"Idempotent-Replayed": "true"}, "application/json")

    async def _first(self, answer: Answer) -> Response:
        await asyncio.sleep(0.05)
        if answer.order.cents > 100_000:
            answer.status, answer.body = 402, b'{"error": "card_declined"}'
        else:
            self.charges.append(answer.order)
            document = {"id": f"ch-{len(self.charges)}", **answer.order.model_dump()}
            answer.status, answer.body = 201, json.dumps(document).encode()
            if self._charged is not None:
                await self._charged(answer.order)
            if self._losing and len(self.charges) % self._losing == 0:
                self.counts["lost"] += 1
                return _Lost()
        return Response(answer.body, answer.status, media_type="application/json")


class _Lost(Response):
    """An answer that breaks off before its body, as when a connection is cut."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the form of an ASGI app
        await send({"type": "http.response.start", "status": 201, "headers": [(b"content-length", b"99")]})
