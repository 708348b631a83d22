"""Completer: delivers outcomes to Redis. All that gather during one call go together in the next (group commit)."""

import asyncio
import logging
from collections import Counter

from runner.clock import monotonic_s
from runner.errors import StoreUnavailable
from runner.jobs import Outcome
from runner.store import Claims, FinishAnswer, fitting
from runner.worker.active_jobs import ActiveJobs
from runner.worker.log_throttle import LogThrottle
from runner.worker.redis_pause import RETRY_S

log = logging.getLogger("runner")


class Completer:
    """The outcomes that one worker has not delivered yet. It drops none: while Redis is away they wait here."""

    def __init__(self, store: Claims, worker: str, active_jobs: ActiveJobs) -> None:
        self._store = store
        self._worker = worker
        self._active_jobs = active_jobs
        self._pending: list[Outcome] = []
        self._added = asyncio.Event()
        self._delivered = asyncio.Event()
        self._delivered.set()
        self._outage = LogThrottle()
        self.counts: Counter[str] = Counter()

    def record(self, outcome: Outcome) -> None:
        """Deliver this outcome soon, if it is the first one of its attempt; a later one does not count."""
        if self._active_jobs.record_once(outcome.job):
            self._pending.append(outcome)
            self._added.set()
            self._delivered.clear()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            await self._added.wait()
            self._added.clear()
            while self._pending:
                await self._deliver(self._next_batch())
            self._delivered.set()

    async def wait_until_delivered(self) -> None:
        """Until Redis has confirmed every outcome recorded so far."""
        await self._delivered.wait()

    def _next_batch(self) -> list[Outcome]:
        return self._pending[: fitting(len(outcome.payload) for outcome in self._pending)]

    async def _deliver(self, batch: list[Outcome]) -> None:
        try:
            answers = await self._store.finish(self._worker, batch)
        except StoreUnavailable as error:
            if self._outage.is_due(monotonic_s()):
                log.warning("%d outcomes wait for Redis: %s", len(self._pending), error)
            await asyncio.sleep(RETRY_S)
            return
        self._outage.is_over()
        del self._pending[: len(batch)]
        for outcome, answer in zip(batch, answers, strict=True):
            self._active_jobs.confirm(outcome.job)
            self.counts[answer] += 1
            self.counts[outcome.ending] += 1
            if answer is FinishAnswer.stale:
                log.warning("outcome of job %s attempt %d came too late and was refused", outcome.job.id, outcome.job.attempt)
