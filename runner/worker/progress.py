"""ProgressReports: brings what handlers say of their progress to Redis, for all jobs of a worker in one call."""

import logging

from typing_extensions import override

from runner.client import Relay
from runner.errors import StoreUnavailable
from runner.jobs import Attempt
from runner.store import Claims

log = logging.getLogger("runner")

PERIOD_S = 0.5
"""Two calls a second at most, however often how many handlers report; the first report goes at once."""


class ProgressReports(Relay):
    """The reports of one worker that are not sent yet: of each attempt the last one. Its outcome brings the last of all."""

    def __init__(self, store: Claims, worker: str) -> None:
        super().__init__(PERIOD_S)
        self._store = store
        self._worker = worker
        self._due: dict[Attempt, None] = {}

    def note(self, attempt: Attempt) -> None:
        """Send what this attempt has reported, soon. Any thread may call it."""
        self._due[attempt] = None
        self._wake()

    @override
    async def _send(self) -> None:
        attempts = list(self._due)
        for attempt in attempts:
            del self._due[attempt]
        reports = [(attempt.job.id, attempt.job.attempt, attempt.take_progress()) for attempt in attempts]
        try:
            await self._store.progress(self._worker, reports)
        except StoreUnavailable:
            for attempt in attempts:
                self.note(attempt)  # later; the completer says that Redis is away

    @override
    def _log_refusal(self, error: Exception) -> None:
        log.warning("Redis refuses what handlers say of their progress: %s", error)
