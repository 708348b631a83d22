"""BudgetWarnings: logs that much of a budget is spent, and has the hooks of a worker's app told. At least once for each warning, whichever worker dies."""

import asyncio
import logging

from runner.clock import monotonic_s
from runner.errors import StoreUnavailable
from runner.jobs import BudgetWarning
from runner.log_throttle import A_MINUTE_S, LogThrottle
from runner.store import JobStore
from runner.telemetry import WorkerCounts
from runner.worker.hook_calls import HookCalls

log = logging.getLogger("runner")

_PERIOD_S = 1.0


class BudgetWarnings:
    """Asks Redis once a second if the app has such hooks, or a limit that `warns`, and never otherwise."""

    def __init__(self, store: JobStore, hooks: HookCalls | None, *, warns: bool, counts: WorkerCounts | None = None) -> None:
        self._store = store
        self._hooks = hooks
        self._has_hooks = hooks is not None and hooks.hears_of_budgets
        self._asks = self._has_hooks or warns
        self._counts = counts
        self._told: list[BudgetWarning] = []
        self._refused = LogThrottle(A_MINUTE_S)

    async def run(self) -> None:
        """Ask until cancelled."""
        while self._asks:
            if not await self._take():
                await asyncio.sleep(_PERIOD_S)

    async def _take(self) -> bool:
        """Whether there were any. Those that were told are said to be with the next question, which follows at once."""
        try:
            taken = await self._store.warnings(has_hooks=self._has_hooks, told=self._told)
        except StoreUnavailable:
            return False  # the completer says that Redis is away
        except Exception as error:  # noqa: BLE001 - what hooks are not told ends no worker
            if self._refused.is_due(monotonic_s()):
                log.warning("Redis refuses to say which budgets are nearly spent: %s", error)
            return False
        self._told = [warning for warning in taken if await self._tell(warning)]
        return bool(taken)

    async def _tell(self, warning: BudgetWarning) -> bool:
        """Whether no hook has failed."""
        log.warning("budget %s", warning)
        if self._counts is not None:
            self._counts.note_warning(warning.limit)
        return not self._has_hooks or self._hooks is None or await self._hooks.budget(warning)
