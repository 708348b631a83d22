"""ProgressReports: brings what handlers say of their progress to Redis, for all jobs of a worker in one call."""

import asyncio
import logging

from runner.clock import monotonic_s
from runner.errors import RunnerError, StoreUnavailable
from runner.jobs import Attempt
from runner.log_throttle import A_MINUTE_S, LogThrottle
from runner.store import Claims

log = logging.getLogger("runner")

PERIOD_S = 0.5
"""Two calls a second at most, however often how many handlers report; the first report goes at once."""


class ProgressReports:
    """The reports of one worker that are not sent yet: of each attempt the last one. Its outcome brings the last of all."""

    def __init__(self, store: Claims, worker: str) -> None:
        self._store = store
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self._due: dict[Attempt, None] = {}
        self._added = asyncio.Event()
        self._refused = LogThrottle(A_MINUTE_S)

    def note(self, attempt: Attempt) -> None:
        """Send what this attempt has reported, soon. Any thread may call it."""
        self._due[attempt] = None
        self._loop.call_soon_threadsafe(self._added.set)

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._added.wait()
            self._added.clear()
            await self._send()
            await asyncio.sleep(PERIOD_S)

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
        except RunnerError:
            raise
        except Exception as error:  # noqa: BLE001 - what cannot be told for people ends no worker
            if self._refused.is_due(monotonic_s()):
                log.warning("Redis refuses what handlers say of their progress: %s", error)
