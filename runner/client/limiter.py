"""Limiter: the buckets of jobs for code that is no job: takes tokens, waits for them in the same lines, holds concurrency slots."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from runner.client.finish_listener import FinishListener
from runner.clock import MICROSECONDS
from runner.errors import StoreUnavailable, TakeRefused
from runner.jobs import TICKET, State
from runner.limits import Need, encode_needs
from runner.store import CancelAnswer, Decision, JobStore, TakeAnswer

log = logging.getLogger("runner")

FOREVER_S = 86_400.0


def new_ticket() -> str:
    """A random id that no job can have."""
    return TICKET + os.urandom(10).hex()


class Limiter:
    """Takes tokens of one queue: from all buckets or none, and after the jobs and tickets that already wait for one of them."""

    def __init__(self, store: JobStore, listener: FinishListener) -> None:
        self._store = store
        self._listener = listener

    async def decide(self, needs: Sequence[Need]) -> Decision:
        """Take now or not at all, and say what is left. Raises `StoreUnavailable`."""
        limits, line = encode_needs(needs)
        return await self._store.take(new_ticket(), limits, line)

    async def take(self, needs: Sequence[Need], *, wait: float | None = 0.0, lapse_s: float = 0.0) -> str:
        """Take tokens, waiting up to `wait` seconds (None: as long as it takes). The ticket they were taken with.

        Raises `TakeRefused` with the time to come back, `StoreUnavailable`. A caller that is cancelled leaves the line.
        """
        ticket = new_ticket()
        limits, line = encode_needs(needs)
        wait_s = FOREVER_S if wait is None else wait
        lapse_us = round(lapse_s * MICROSECONDS)
        decision = await self._store.take(ticket, limits, line, lapse_us=lapse_us, wait_us=round(wait_s * MICROSECONDS))
        if decision.state is TakeAnswer.taken:
            return ticket
        if decision.state is TakeAnswer.waiting and await self._wait_in_line(ticket, wait_s):
            return ticket
        raise TakeRefused(decision.bucket, decision.reason, decision.wait_s)

    @asynccontextmanager
    async def held(self, needs: Sequence[Need], *, wait: float | None = None) -> AsyncIterator[None]:
        """Hold concurrency slots for a block of code. They come back at its end, or when this process has been silent for the time of a lease."""
        limits, _ = encode_needs(needs)
        lease_s = self._store.settings.lease_s
        ticket = await self.take(needs, wait=wait, lapse_s=lease_s)
        renewal = asyncio.create_task(self._renew(ticket, limits, lease_s), name=f"hold {limits}")
        try:
            yield
        finally:
            renewal.cancel()
            await asyncio.gather(renewal, return_exceptions=True)
            await self._give_back(ticket, limits)

    async def _wait_in_line(self, ticket: str, wait_s: float) -> bool:
        try:
            status = await self._listener.wait(ticket, wait_s)
        except asyncio.CancelledError:
            await self._store.cancel(ticket)
            raise
        if status is not None and status.state is State.succeeded:
            return True
        # The leader may serve the ticket between the last look and this call; then its tokens are taken.
        return await self._store.cancel(ticket) is CancelAnswer.succeeded

    async def _renew(self, ticket: str, limits: str, lease_s: float) -> None:
        while True:
            await asyncio.sleep(lease_s / 3)
            try:
                if not await self._store.hold(ticket, limits, round(lease_s * MICROSECONDS)):
                    log.warning("the slot of %s has lapsed; others may hold it now", limits)
                    return
            except StoreUnavailable as error:
                log.warning("renewing the slot of %s waits for Redis: %s", limits, error)

    async def _give_back(self, ticket: str, limits: str) -> None:
        try:
            await self._store.hold(ticket, limits, 0)
        except StoreUnavailable:
            log.warning("the slot of %s comes back by itself when its lease ends: Redis is away", limits)
