"""ToldEnds: has the hooks of a worker told of jobs that ended otherwise than by an attempt: cancelled while they waited, expired, given up."""

import logging
import math
from collections.abc import Sequence

from typing_extensions import override

from runner.clock import monotonic_s
from runner.store import Claims
from runner.worker.hook_calls import HookCalls
from runner.worker.inquiry import Inquiry

log = logging.getLogger("runner")

ANNOUNCED_S = 3_600.0
"""Redis forgets after a day that somebody wants to know."""


class ToldEnds(Inquiry[str]):
    """Asks Redis once a second if the app of a worker has such hooks, and never if it has none."""

    def __init__(self, store: Claims, hooks: HookCalls | None) -> None:
        super().__init__()
        self._store = store
        self._hooks = hooks
        self._announced_s = -math.inf
        self._tasks: list[str] = []

    async def run(self) -> None:
        """Ask until cancelled, if anybody wants to know."""
        self._tasks = [] if self._hooks is None else self._hooks.tasks_with_ends
        if self._tasks:
            await self._ask()

    @override
    async def _question(self) -> Sequence[str]:
        if self._hooks is None or self._hooks.is_busy:
            return []
        announce = monotonic_s() - self._announced_s > ANNOUNCED_S
        ids = await self._store.take_ends(self._tasks, announce=announce)
        if announce:
            self._announced_s = monotonic_s()
        return ids

    @override
    async def _hear(self, answer: Sequence[str]) -> None:
        if self._hooks is not None:
            self._hooks.ended_otherwise(answer)

    @override
    def _log_refusal(self, error: Exception) -> None:
        log.warning("Redis refuses to say which jobs have ended: %s", error)
