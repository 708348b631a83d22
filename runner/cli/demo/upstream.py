"""A metered service: counts calls, enforces its own limit by its own clock, answers 429 beyond it, and prices what it served.

It does not know the queue.
"""

import asyncio
import json
import socket
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn

from runner import TokenBucket
from runner.clock import monotonic_s

JITTER_S = 3.0
"""How much later than another a call may arrive: so late are calls that a busy machine makes."""
PRICE_EUR = 0.002
CALL_S = 0.4

_REMEMBERED = 1000

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Meter:
    """Admits calls as long as no window of any length holds more than the limit permits.

    A caller spends a token before it sends its call, and calls take different times to arrive: those sent within W arrive within
    W + jitter. So a window of W may hold as many calls as the limit permits in W + `jitter_s`.
    """

    def __init__(self, limit: TokenBucket, jitter_s: float) -> None:
        self._limit = limit
        self._jitter_s = jitter_s
        self._arrivals: deque[float] = deque(maxlen=_REMEMBERED)

    def admits(self, now_s: float) -> bool:
        """Whether a call that arrives now is within the limit. If so, it counts."""
        together = 1
        for arrival_s in reversed(self._arrivals):
            together += 1
            if together > self._limit.bound(now_s - arrival_s + self._jitter_s):
                return False
        self._arrivals.append(now_s)
        return True


class Upstream:
    """The service as an ASGI application: `POST /calls/{number}`, `GET /stats`."""

    def __init__(self, limit: TokenBucket, *, jitter_s: float = JITTER_S) -> None:
        self._meter = Meter(limit, jitter_s)
        self._answered = Counter[int]()
        self._begun: dict[str, dict[object, float]] = {}
        self.refused = 0
        self.accepted = 0

    @property
    def price_eur(self) -> float:
        """The price of the accepted calls, including those whose caller has gone."""
        return round(self.accepted * PRICE_EUR, 6)

    def answers(self, number: int) -> int:
        """How many calls with this number were answered in full."""
        return self._answered[number]

    def under_way(self, caller: str) -> list[float]:
        """The instants at which this caller's unanswered calls arrived."""
        return sorted(self._begun.get(caller, {}).values())

    def stats(self) -> dict[str, Any]:
        """The numbers of a provider's bill."""
        return {
            "calls": self.accepted + self.refused,
            "accepted": self.accepted,
            "refused": self.refused,
            "answered": self._answered.total(),
            "price_eur": self.price_eur,
        }

    async def __call__(self, scope: Message, receive: Receive, send: Callable[[Message], Awaitable[None]]) -> None:
        """Answer one request."""
        place, _, number = scope["path"].removeprefix("/").partition("/")
        if (scope["method"], place) == ("POST", "calls") and number.isdecimal():
            caller = dict(scope["headers"]).get(b"x-caller", b"").decode("latin-1")
            status, body = await self._call(int(number), caller, receive)
        elif (scope["method"], scope["path"]) == ("GET", "/stats"):
            status, body = 200, self.stats()
        else:
            status, body = 404, {"error": "there are POST /calls/{number} and GET /stats"}
        headers = [(b"content-type", b"application/json")] + ([(b"retry-after", b"1")] if status == 429 else [])
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})

    async def _call(self, number: int, caller: str, receive: Receive) -> tuple[int, dict[str, Any]]:
        now_s = monotonic_s()
        if not self._meter.admits(now_s):
            self.refused += 1
            return 429, {"error": "more calls than the limit permits"}
        self.accepted += 1
        begun, call = self._begun.setdefault(caller, {}), object()
        begun[call] = now_s
        try:
            if await _hangs_up(receive, within_s=CALL_S):
                return 499, {"error": "the caller is gone"}
        finally:
            del begun[call]
        self._answered[number] += 1
        return 200, {"number": number, "price_eur": PRICE_EUR}


async def _hangs_up(receive: Receive, *, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            while (await receive())["type"] != "http.disconnect":
                continue
    except TimeoutError:
        return False
    return True


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The surrounding program handles signals."""
        yield


@asynccontextmanager
async def serving(upstream: Upstream) -> AsyncIterator[int]:
    """Serve on a free port of loopback, and give the port. At the end every connection is closed."""
    config = uvicorn.Config(upstream, lifespan="off", log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=1)
    server = _Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await asyncio.gather(task, return_exceptions=True)
