"""ToldEnds: has the hooks of a worker told of jobs that ended otherwise than by an attempt: cancelled while they waited, expired, given up."""

import asyncio
import logging
import math

from runner.clock import monotonic_s
from runner.errors import StoreUnavailable
from runner.log_throttle import A_MINUTE_S, LogThrottle
from runner.store import Claims
from runner.worker.hook_calls import HookCalls

log = logging.getLogger("runner")

_PERIOD_S = 1.0
ANNOUNCED_S = 3_600.0
"""Redis forgets after a day that somebody wants to know."""


class ToldEnds:
    """Asks Redis once a second if the app of a worker has such hooks, and never if it has none."""

    def __init__(self, store: Claims, hooks: HookCalls | None) -> None:
        self._store = store
        self._hooks = hooks
        self._announced_s = -math.inf
        self._refused = LogThrottle(A_MINUTE_S)

    async def run(self) -> None:
        """Ask until cancelled."""
        tasks = [] if self._hooks is None else self._hooks.tasks_with_ends
        while self._hooks is not None and tasks:
            if self._hooks.is_busy or not await self._take(tasks, self._hooks):
                await asyncio.sleep(_PERIOD_S)

    async def _take(self, tasks: list[str], hooks: HookCalls) -> bool:
        """Whether there were any."""
        announce = monotonic_s() - self._announced_s > ANNOUNCED_S
        try:
            ids = await self._store.take_ends(tasks, announce=announce)
        except StoreUnavailable:
            return False  # the completer says that Redis is away
        except Exception as error:  # noqa: BLE001 - what hooks are not told ends no worker
            if self._refused.is_due(monotonic_s()):
                log.warning("Redis refuses to say which jobs have ended: %s", error)
            return False
        if announce:
            self._announced_s = monotonic_s()
        hooks.ended_otherwise(ids)
        return bool(ids)
