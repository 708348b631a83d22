"""DeadlineLimiter: asks Redis for tokens within a deadline, or not at all. It never raises and never waits longer."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from runner.asgi.allowance import Allowance
from runner.asgi.circuit_breaker import CircuitBreaker
from runner.asgi.short_waits import ShortWaits
from runner.client import Client, Publication, Session, session_of
from runner.clock import monotonic_s
from runner.errors import DamagedQueue, RunnerError, StoreUnavailable
from runner.jobs import Taken
from runner.limits import Limit, Need, limit_name
from runner.log_throttle import A_MINUTE_S, LogThrottle
from runner.settings import Settings
from runner.store import Decision

T = TypeVar("T")

log = logging.getLogger("runner")

_PUBLISH_EVERY_S = 3_600.0
"""A quota needs a calendar that reaches into the future."""
_LOOK_EVERY_S = 30.0
_STARTUP_S = 1.0
_MOST_WAITS = 3
UNFETCHED = {
    "unled": "no worker leads its queue, and only a leader fetches tokens of limits that several queues share: start a worker",
    "away": "its home does not answer the leader of the queue",
}
"""Why nobody fetches tokens of a shared limit, by the reason of a decision."""
_HELD_UP = 1.2
"""If a wait took so many times its timeout, the event loop of this process was blocked meanwhile, and Redis is not to blame."""


class Queue(Protocol):
    """What is needed of an app."""

    @property
    def client(self) -> Client: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def revision(self) -> int: ...


class DeadlineLimiter:
    """The limiter of an app, for callers that must answer at once. While Redis is away a circuit breaker spares them the wait.

    A call that misses the deadline is not cancelled: that would cost its connection, and a slow Redis would have to accept many
    new ones. So the call may still take tokens for a request that was decided without it: the limit lets fewer through, not more.
    The limiter publishes its limits itself, since there may be no worker that does. wait_s: for so long a request stands in line for tokens of a
    limit that several queues share.
    """

    def __init__(self, queue: Queue, limits: Mapping[str, Limit], deadline_s: float, wait_s: float = 0.0) -> None:
        self._queue = queue
        self._limits = limits
        self._deadline_s, self._wait_s = deadline_s, wait_s
        self._waits = ShortWaits()
        self._unfetched = LogThrottle(A_MINUTE_S)
        self.allowances = {limit.name: Allowance.of(limit) for limit in limits.values()}
        self._breaker = CircuitBreaker()
        self._in_use: tuple[Client, Publication] | None = None
        self._looked_s = float("-inf")
        self._calls: set[asyncio.Task[Any]] = set()

    @property
    def next_try_s(self) -> float:
        """Seconds until Redis is asked again."""
        return max(self._breaker.next_probe_s - monotonic_s(), 0.0) if self._breaker.is_open else 0.0

    async def decide(self, needs: Sequence[Need]) -> Decision | None:
        """Take all or nothing, at once, or after a short wait at a shared limit; None if Redis did not answer in time."""
        asked = self._breaker.try_ask(monotonic_s())
        if asked is None:
            return None
        call = self._start(self._ask(needs))
        fault = _fault(call) if await self._in_time(call) else f"no answer within {self._deadline_s * 1000:g} ms"
        if fault is None:
            if self._breaker.succeeded():
                log.warning("Redis answers again: limits are shared by all again")
            return await self._with_wait(needs, call.result())
        if self._breaker.failed(asked, monotonic_s()):
            log.warning("limits are decided without Redis until it answers again: %s", fault)
        return None

    def taken(self, needs: Sequence[Need], decision: Decision) -> Taken:
        """What a request has that was decided so. Its limits are those of our callers: only a hook that names one tells of it."""
        return self._opened()[0].counting.taken(needs, self._limits, decision, is_named=True)

    async def _with_wait(self, needs: Sequence[Need], decision: Decision) -> Decision:
        """The same decision, or the one after a short wait. Redis that goes away meanwhile is for the next request to notice."""
        if decision.reason in UNFETCHED and self._unfetched.is_due(monotonic_s()):
            log.warning("requests that need limit %s are refused: %s", limit_name(decision.bucket), UNFETCHED[decision.reason])
        if self._wait_s <= 0 or not self._waits.has_room(decision, self.allowances):
            return decision
        with self._waits.one(decision.bucket):
            call = self._start(self._opened()[0].limiter.decide(needs, self._wait_s))
            is_in_time = await self._in_time(call, self._wait_s)
        return decision if not is_in_time or _fault(call) else call.result()

    async def _in_time(self, call: asyncio.Task[Any], more_s: float = 0.0) -> bool:
        """Whether a call ends within the deadline; time for which this process was blocked does not count."""
        deadline_s = self._deadline_s + more_s
        for _ in range(_MOST_WAITS):
            before_s = monotonic_s()
            await asyncio.wait({call}, timeout=deadline_s)
            if call.done() or monotonic_s() - before_s < _HELD_UP * deadline_s:
                break
        return call.done()

    async def open(self) -> None:
        """Connect, publish and load what the first request needs; after a second the app starts without waiting for it."""
        await asyncio.wait({self._start(self._warm_up())}, timeout=_STARTUP_S)

    async def close(self) -> None:
        """Let the calls of this event loop end, and cancel those that do not."""
        loop = asyncio.get_running_loop()
        calls = [call for call in list(self._calls) if call.get_loop() is loop]
        if calls:
            await asyncio.wait(calls, timeout=self._queue.settings.command_timeout_s)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        if self._in_use is not None:
            await self._in_use[1].close()

    async def _ask(self, needs: Sequence[Need]) -> Decision:
        session, publication = self._opened()
        began_s = monotonic_s()
        await publication.keep(session.store)
        if monotonic_s() - began_s > _MOST_WAITS * _HELD_UP * self._deadline_s:
            raise StoreUnavailable("the limits could not be published in time")  # the request was decided without this call
        decision = await session.limiter.decide(needs)
        if decision.reason == "unpublished":  # Redis has lost its data
            await publication.keep(session.store, since_s=began_s)
            decision = await session.limiter.decide(needs)
        if monotonic_s() - self._looked_s > _LOOK_EVERY_S:
            self._looked_s = monotonic_s()
            self._start(self._look())
        return decision

    async def _warm_up(self) -> None:
        session, publication = self._opened()
        await publication.keep(session.store)
        await self._look()
        await session.limiter.decide([])

    async def _look(self) -> None:
        """Read the limits in force: an operator may have overridden one."""
        self._looked_s = monotonic_s()
        session, _ = self._opened()
        for status in await session.store.limits(most_buckets=0):
            if status.name in self.allowances and status.policy.fill_us is not None:
                self.allowances[status.name] = Allowance.of(status.policy)

    def _opened(self) -> tuple[Session, Publication]:
        """The app's session, and the publication of the limits on its server. The app has a new client after it was closed."""
        client = self._queue.client
        if self._in_use is None or self._in_use[0] is not client:
            self._in_use = client, Publication({}, self._limits, revision=self._queue.revision, every_s=_PUBLISH_EVERY_S)
        return session_of(client), self._in_use[1]

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        call = asyncio.create_task(work, name="rate-limit")
        self._calls.add(call)
        call.add_done_callback(self._ended)
        return call

    def _ended(self, call: asyncio.Task[Any]) -> None:
        """Log the error of a call, since its request may be gone. Redis away is told elsewhere; any other error is a defect, or damage."""
        self._calls.discard(call)
        error = None if call.cancelled() else call.exception()
        if error is not None and (isinstance(error, DamagedQueue) or not isinstance(error, RunnerError)):
            log.error("a rate limit could not be decided", exc_info=error)


def _fault(call: asyncio.Task[Any]) -> str | None:
    """Why a call that has ended has no answer; None if it has one."""
    if call.cancelled():
        return "the server stops"
    error = call.exception()
    return None if error is None else str(error) or repr(error)
