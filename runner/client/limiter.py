"""Limiter: the buckets of jobs for code that is no job: takes tokens, waits for them in the same lines, holds concurrency slots."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import Context

from runner.client.finish_listener import FinishListener
from runner.client.line_keeper import LineKeeper, Ticket
from runner.client.patience import Patience
from runner.clock import microseconds, monotonic_s
from runner.errors import ClientClosed, StoreUnavailable, TakeRefused
from runner.jobs import TICKET
from runner.limits import Need, encode_needs
from runner.store import CancelAnswer, Decision, JobStore, TakeAnswer

log = logging.getLogger("runner")

_LEAVING_S = 0.25
"""The longest that a taker which is cancelled waits until its ticket has left the line."""


def new_ticket() -> str:
    """A random id that no job can have."""
    return TICKET + os.urandom(10).hex()


class Limiter:
    """Takes tokens of one queue: from all buckets or none, and after the jobs and tickets that already wait for one of them."""

    def __init__(self, store: JobStore, listener: FinishListener) -> None:
        self._store = store
        self._listener = listener
        self._keeper = LineKeeper(store)
        self._leaving: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Take every ticket out of its line."""
        for ticket in self._keeper.tickets:
            self._start_leaving(ticket)
        await self._keeper.close()
        while self._leaving:
            await asyncio.wait(self._leaving)

    async def decide(self, needs: Sequence[Need], wait_s: float = 0.0) -> Decision:
        """Take now or not at all, and say what is left. Raises `StoreUnavailable`, `ClientClosed`.

        wait_s: stands in line for so long, a few seconds at most, without signs of life, and without looks at the bucket while no worker leads.
        """
        limits, line = encode_needs(needs)
        if wait_s <= 0:
            return await self._store.take(new_ticket(), limits, line)
        ticket, until_s = new_ticket(), monotonic_s() + wait_s
        decision = await self._store.take(ticket, limits, line, wait_us=microseconds(wait_s))
        if decision.state is not TakeAnswer.waiting:
            return decision
        end = await self._end_of(ticket, max(until_s - monotonic_s(), 0.0))
        return decision._replace(state=TakeAnswer.taken if end is CancelAnswer.succeeded else TakeAnswer.refused)

    async def take(self, needs: Sequence[Need], *, wait: float | None = 0.0, lapse_s: float = 0.0) -> tuple[str, Decision]:
        """Take tokens, waiting up to `wait` seconds (None: as long as it takes). The ticket they were taken with, and the first answer to it.

        A wait goes on while Redis is away. Raises `TakeRefused` with the time to come back, `StoreUnavailable` (`StillUnavailable` after a
        wait), `ClientClosed`. A caller that is cancelled leaves the line.
        """
        limits, line = encode_needs(needs)
        patience = Patience(wait)
        until_s = patience.until_s
        while True:
            ticket = Ticket(new_ticket(), limits, [need.bucket for need in needs], lapse_s > 0, until_s)
            wait_us = 0 if wait is not None and wait <= 0 else ticket.stays_us(self._store.settings.lease_s)
            asked_s = monotonic_s()
            try:
                decision = await self._store.take(ticket.id, limits, line, lapse_us=microseconds(lapse_s), wait_us=wait_us)
                end = await self._wait_in_line(ticket, decision.wait_s) if decision.state is TakeAnswer.waiting else None
            except (Exception, asyncio.CancelledError) as error:
                # The reply may be lost of a call that put the ticket into the line, or took a slot with it.
                if wait_us or ticket.gives_back:
                    await asyncio.wait({self._start_leaving(ticket)}, timeout=_LEAVING_S)
                if not isinstance(error, StoreUnavailable):
                    raise
                await patience.after(error, f"the wait for {limits}")
                continue
            if decision.state is TakeAnswer.taken or end is CancelAnswer.succeeded:
                return ticket.id, decision
            # A ticket expires if this process was held up for longer than a lease: it stands in line anew, if it still has time.
            if end not in (CancelAnswer.expired, CancelAnswer.unknown) or (until_s is not None and monotonic_s() >= until_s):
                left_s = None if decision.wait_s is None else max(decision.wait_s - (monotonic_s() - asked_s), 0.0)
                raise TakeRefused(decision.bucket, decision.reason, left_s)

    @asynccontextmanager
    async def held(self, needs: Sequence[Need], *, wait: float | None = None) -> AsyncIterator[None]:
        """Hold concurrency slots for a block of code. They come back at its end, or when this process has been silent for the time of a lease."""
        limits, _ = encode_needs(needs)
        lease_s = self._store.settings.lease_s
        ticket, _ = await self.take(needs, wait=wait, lapse_s=lease_s)
        renewal = asyncio.create_task(self._renew(ticket, limits, lease_s), name=f"hold {limits}", context=Context())
        try:
            yield
        finally:
            renewal.cancel()
            await asyncio.gather(renewal, return_exceptions=True)
            await self._give_back(ticket, limits)

    async def _wait_in_line(self, ticket: Ticket, wait_s: float | None) -> CancelAnswer:
        """What became of a ticket; in any case it has left the line. It is cancelled once its time is up."""
        self._keeper.add(ticket, wait_s)
        try:
            left_s = None if ticket.until_s is None else max(ticket.until_s - monotonic_s(), 0.0)
            end = await self._end_of(ticket.id, left_s)
            if end is CancelAnswer.succeeded and ticket.gives_back and not await self._hold(ticket.id, ticket.limits):
                return CancelAnswer.expired  # this process was held up, and learns of its slot after that has lapsed
            return end
        finally:
            self._keeper.remove(ticket)

    async def _end_of(self, ticket: str, left_s: float | None) -> CancelAnswer:
        """What became of a ticket after so long; then it leaves the line."""
        status = await self._listener.wait(ticket, left_s)
        if status is not None and status.state.is_final:
            return CancelAnswer(status.state.value)
        # It may be served between the last look and this call; then its tokens are taken.
        return await self._store.cancel(ticket)

    def _start_leaving(self, ticket: Ticket) -> asyncio.Task[None]:
        """In a task of its own: what has been cancelled may be cancelled again."""
        leaving = asyncio.create_task(self._leave(ticket), name=f"leave {ticket.limits}")
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
        return leaving

    async def _leave(self, ticket: Ticket) -> None:
        """Take a ticket out of its line, and give back a slot that it was served. Without Redis both lapse by themselves."""
        self._keeper.remove(ticket)
        try:
            if await self._store.cancel(ticket.id) is not CancelAnswer.cancelled and ticket.gives_back:
                await self._store.hold(ticket.id, ticket.limits, 0)
        except (StoreUnavailable, ClientClosed) as error:
            log.info("a place in line for %s is given up within a lease: %s", ticket.limits, error)

    async def _hold(self, ticket: str, limits: str) -> int:
        """Hold the slots of a ticket for another lease. How many: 0 if they have lapsed."""
        return await self._store.hold(ticket, limits, microseconds(self._store.settings.lease_s))

    async def _renew(self, ticket: str, limits: str, lease_s: float) -> None:
        while True:
            await asyncio.sleep(lease_s / 3)
            try:
                if not await self._hold(ticket, limits):
                    log.warning("the slot of %s has lapsed; others may hold it now", limits)
                    return
            except StoreUnavailable as error:
                log.warning("renewing the slot of %s waits for Redis: %s", limits, error)
            except ClientClosed:
                log.warning("the slot of %s lapses with its lease: the client was closed while it was held", limits)
                return

    async def _give_back(self, ticket: str, limits: str) -> None:
        try:
            await self._store.hold(ticket, limits, 0)
        except (StoreUnavailable, ClientClosed) as error:
            log.warning("the slot of %s comes back by itself when its lease ends: %s", limits, error)
