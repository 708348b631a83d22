"""Refusals: how often an address was answered 401 or 403 in a minute, as one line of the audit."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from runner import Actor, Client, RunnerError, acting

log = logging.getLogger("runner")

EVERY_S = 60.0
_MOST = 1_000
_OTHERS = "other addresses"
_SERVICE = Actor("the service", door="http")


class Refusals:
    """Those of one service. The first of a minute sets the time at which all of it are written."""

    def __init__(self, client_of: Callable[[], Client]) -> None:
        self._client_of = client_of
        self._counts: Counter[tuple[str, str]] = Counter()
        self._timer: asyncio.TimerHandle | None = None
        self._writing: set[asyncio.Task[None]] = set()

    def note(self, address: str, what: str) -> None:
        """A request of this address was refused; `what` says how, and whose key it was."""
        known = (address, what)
        self._counts[known if known in self._counts or len(self._counts) < _MOST else (_OTHERS, what.partition(" ")[0])] += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(EVERY_S, lambda: self._start(self._write()))

    async def close(self) -> None:
        """Write what is not written yet."""
        if self._timer is not None:
            self._timer.cancel()
            await self._write()
        await asyncio.gather(*self._writing, return_exceptions=True)

    async def _write(self) -> None:
        counts, self._counts, self._timer = self._counts, Counter(), None
        lines = [
            ("refused", f"address {address}", f"{what}, {'once' if times == 1 else f'{times} times'}")
            for (address, what), times in counts.items()
        ]
        try:
            with acting(_SERVICE):
                await self._client_of().keys.note_refusals(lines)
        except RunnerError as error:
            log.warning("%d refused requests are missing in the audit: %s", counts.total(), error)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="refusals")
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
