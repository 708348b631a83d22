"""LineKeeper: keeps the tickets of this process's takers in line, and hands over the tokens that land while no worker leads the queue."""

import asyncio
import logging
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass
from itertools import islice

from runner.client.look_times import LookTimes
from runner.clock import microseconds, monotonic_s
from runner.errors import ClientClosed, StoreUnavailable
from runner.store import MOST_NAMES, MOST_TICKETS, Limits

log = logging.getLogger("runner")

_RETRY_S = 0.25


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a taker stands in line with. until_s: when it gives up, by the monotonic clock, None if it never does."""

    id: str
    limits: str
    buckets: Sequence[str]
    gives_back: bool
    until_s: float | None

    def stays_us(self, lease_s: float) -> int:
        """How long Redis keeps it in line after a sign of life: a lease, and never beyond `until_s`."""
        left_s = lease_s if self.until_s is None else min(lease_s, self.until_s - monotonic_s())
        return max(microseconds(left_s), 1)


class LineKeeper:
    """One task for all tickets of a session, which lives while there are any. It sends each `pulse_s` a sign of life of all of them."""

    def __init__(self, store: Limits) -> None:
        self._store = store
        self._pulse_s = min(store.settings.lease_s / 3, store.settings.block_s)
        self._tickets: dict[str, Ticket] = {}
        self._times = LookTimes()
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_away = False

    @property
    def tickets(self) -> list[Ticket]:
        """Those in line."""
        return list(self._tickets.values())

    def add(self, ticket: Ticket, wait_s: float | None) -> None:
        """Keep a ticket that stands in line; it may be served after `wait_s`, None if nobody knows."""
        self._tickets[ticket.id] = ticket
        self._times.add(ticket.buckets, monotonic_s(), wait_s)
        self._woken.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="line-keeper", context=Context())  # it serves others than who came first

    def remove(self, ticket: Ticket) -> None:
        """A ticket has been served, or its caller waits no longer: without signs of life it leaves the line by itself."""
        if self._tickets.pop(ticket.id, None) is not None:
            self._times.remove(ticket.buckets)
            self._woken.set()

    async def close(self) -> None:
        """Keep nothing any longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        pulse_s = 0.0
        while self._tickets:
            began_s = monotonic_s()
            try:
                if began_s >= pulse_s:
                    await self._keep_all()
                    pulse_s = began_s + self._pulse_s
                elif names := self._times.due(began_s):
                    await self._look(names, ())
                self._is_away = False
            except StoreUnavailable as error:
                if not self._is_away:
                    log.warning("keeping a place in line waits for Redis: %s", error)
                self._is_away = True
                await asyncio.sleep(_RETRY_S)
            except ClientClosed:
                return
            except Exception:
                log.exception("keeping a place in line failed")
                await asyncio.sleep(self._pulse_s)
            await self._sleep_until(min(pulse_s, self._times.next_s))

    async def _keep_all(self) -> None:
        """A sign of life of every ticket, and a look at every bucket."""
        tickets, names = iter(self.tickets), iter(list(self._times.buckets))
        lease_s = self._store.settings.lease_s
        while True:
            some = [(ticket.id, ticket.stays_us(lease_s)) for ticket in islice(tickets, MOST_TICKETS)]
            buckets = list(islice(names, MOST_NAMES))
            if not (some or buckets):
                return
            await self._look(buckets, some)

    async def _look(self, buckets: Sequence[str], tickets: Sequence[tuple[str, int]]) -> None:
        began_s = monotonic_s()
        seen = await self._store.tend(buckets, tickets)
        self._times.note(buckets, seen, began_s, monotonic_s())

    async def _sleep_until(self, at_s: float) -> None:
        """Until that instant, or until a ticket has come or gone."""
        self._woken.clear()
        alarm = asyncio.get_running_loop().call_later(max(at_s - monotonic_s(), 0), self._woken.set)
        try:
            await self._woken.wait()
        finally:
            alarm.cancel()
