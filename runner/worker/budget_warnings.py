"""BudgetWarnings: logs that much of a budget is spent, and has the hooks of a worker's app told. At least once for each warning, whichever worker dies."""

import logging
from collections.abc import Sequence

from typing_extensions import override

from runner.jobs import BudgetWarning
from runner.store import JobStore
from runner.telemetry import WorkerCounts
from runner.worker.hook_calls import HookCalls
from runner.worker.inquiry import Inquiry

log = logging.getLogger("runner")


class BudgetWarnings(Inquiry[BudgetWarning]):
    """Asks Redis once a second if the app has such hooks, or a limit that `warns`, and never otherwise."""

    def __init__(self, store: JobStore, hooks: HookCalls | None, *, warns: bool, counts: WorkerCounts | None = None) -> None:
        super().__init__()
        self._store = store
        self._hooks = hooks
        self._has_hooks = hooks is not None and hooks.hears_of_budgets
        self._asks = self._has_hooks or warns
        self._counts = counts
        self._told: list[BudgetWarning] = []

    async def run(self) -> None:
        """Ask until cancelled, if there is anything to be told."""
        if self._asks:
            await self._ask()

    @override
    async def _question(self) -> Sequence[BudgetWarning]:
        return await self._store.warnings(has_hooks=self._has_hooks, told=self._told)

    @override
    async def _hear(self, answer: Sequence[BudgetWarning]) -> None:
        """Those that were told are said to be with the next question, which follows at once."""
        self._told = [warning for warning in answer if await self._tell(warning)]

    @override
    def _log_refusal(self, error: Exception) -> None:
        log.warning("Redis refuses to say which budgets are nearly spent: %s", error)

    async def _tell(self, warning: BudgetWarning) -> bool:
        """Whether no hook has failed."""
        log.warning("budget %s", warning)
        if self._counts is not None:
            self._counts.note_warning(warning.limit)
        return not self._has_hooks or self._hooks is None or await self._hooks.budget(warning)
