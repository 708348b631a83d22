"""A process that takes tokens and slots without a worker: `python -m tests.chaos.campaign.taker` and its `Orders`.

Some of its takes are cancelled in line, and some die with it. SIGTERM: it waits for what it asked for and asks for no more.
"""

import asyncio
import logging
import random
import signal
import threading
import time
from collections.abc import Coroutine
from contextlib import suppress
from contextvars import ContextVar

import uvloop

from runner import Limit, Runner, StoreUnavailable, TakeRefused
from runner.client import limiter
from tests.chaos.campaign.branch.contract import CONTRACT
from tests.chaos.campaign.calls import tenant
from tests.chaos.campaign.notes import Notes
from tests.chaos.campaign.orders import Orders
from tests.chaos.campaign.takes import CANCELLED, HELD, REFUSED, TAKEN, UNANSWERED
from tests.chaos.campaign.workload import METERED, SHARED, SLOTS, STEPPED, TENANT, WINDOWED, Workload
from tests.process.worker_main import end_with_parent

AT_ONCE = 4
PAUSE_S = 2.0
IN_LINE = 2
"""So many stand in line all the time for `SHARED`, and for the `CONTRACT` of two queues."""
_AWAY_S = 0.3
_CANCELLED = 0.15
_LATEST: ContextVar[str] = ContextVar("ticket")
_new_ticket = limiter.new_ticket


def noted_ticket() -> str:
    """A ticket whose name its taker can tell."""
    _LATEST.set(_new_ticket())
    return _LATEST.get()


class Taker:
    """Takes of all kinds, several at once, until it is told to stop."""

    def __init__(self, runner: Runner, notes: Notes) -> None:
        self._runner = runner
        self._note = notes.note
        self._draw = random.Random()
        self.is_over = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._take_now_and_then())
            for _ in range(IN_LINE):
                group.create_task(self._take_without_end(SHARED))
                group.create_task(self._take_without_end(CONTRACT))

    async def _take_now_and_then(self) -> None:
        while not await self._ends_within(self._draw.uniform(0, PAUSE_S)):
            wait = self._draw.choice([0.0, 3.0, None, None])
            await self._one(wait, self._take(wait))

    async def _take_without_end(self, limit: Limit) -> None:
        while not self.is_over.is_set():
            await self._one(None, self._take_of(limit))

    async def _ends_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.is_over.wait()
        return self.is_over.is_set()

    async def _one(self, wait: float | None, asked: Coroutine[None, None, None]) -> None:
        """A take, which may be cancelled."""
        take = asyncio.create_task(asked)
        if self._draw.random() < _CANCELLED:
            await asyncio.wait({take}, timeout=self._draw.uniform(0, 0.5))
            take.cancel()
        try:
            await take
        except TakeRefused:
            self._note(REFUSED, wait)
        except StoreUnavailable:
            self._note(UNANSWERED)
            await self._ends_within(_AWAY_S)
        except asyncio.CancelledError:
            self._note(CANCELLED)

    async def _take(self, wait: float | None) -> None:
        draw, began_s = self._draw, time.monotonic()
        match draw.choice(["metered", "stepped", "windowed", "tenant", "contract", "slots", "slots"]):
            case "metered":
                await self._runner.take(METERED, cost=draw.randint(1, 3), wait=wait)
            case "stepped":
                await self._runner.take(STEPPED, cost=draw.randint(1, 2), wait=wait)
            case "windowed":
                await self._runner.take(WINDOWED, cost=draw.randint(1, 2), wait=wait)
            case "tenant":
                await self._runner.take(TENANT, {"tenant": tenant(draw)}, wait=wait)
            case "contract":
                await self._runner.take(CONTRACT, cost=draw.randint(1, 2), wait=wait)
            case _:
                async with self._runner.slot(SLOTS, wait=wait):
                    self._note(TAKEN, _LATEST.get(), time.monotonic() - began_s)
                    await asyncio.sleep(draw.uniform(0.05, 0.6))
                    self._note(HELD, _LATEST.get(), time.time_ns() // 1000)
                return
        self._note(TAKEN, _LATEST.get(), time.monotonic() - began_s)

    async def _take_of(self, limit: Limit) -> None:
        began_s = time.monotonic()
        await self._runner.take(limit, wait=None)
        self._note(TAKEN, _LATEST.get(), time.monotonic() - began_s)


async def main() -> None:
    orders = Orders.given()
    limiter.new_ticket = noted_ticket
    work = Workload(orders.url, None, orders.version, **orders.settings)
    taker = Taker(work.runner, Notes(orders.notes))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, taker.is_over.set)
    print("working", flush=True)
    await taker.run()
    await work.runner.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    threading.Thread(target=end_with_parent, daemon=True).start()
    uvloop.run(main())
