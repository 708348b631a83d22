"""StuckAttempts: attempts that go on after they were told to stop, by a time-out or by somebody. Their slots stay taken; this says so."""

import asyncio
import logging

from runner.jobs import StartedJob
from runner.worker.active_jobs import ActiveJobs
from runner.worker.executor import Executor

log = logging.getLogger("runner")


class StuckAttempts:
    """Looks every `pause_s` for attempts that were told to stop before the last look. The heartbeat takes what it finds to Redis."""

    def __init__(self, active_jobs: ActiveJobs, executor: Executor, left_over: int, pause_s: float) -> None:
        self._active_jobs = active_jobs
        self._executor = executor
        self._left_over = left_over
        self._pause_s = pause_s
        self._confirmed_and_running = 0
        self.found: tuple[StartedJob, ...] = ()

    @property
    def slots(self) -> int:
        """Slots that are taken by what should have stopped, those of a lost lease among them."""
        return len(self.found) + self._confirmed_and_running + self._left_over

    async def run(self) -> None:
        """Look until cancelled."""
        told: set[StartedJob] = set()
        reported: set[StartedJob] = set()
        while True:
            await asyncio.sleep(self._pause_s)
            now_told = set(self._active_jobs.overdue_jobs(self._executor.overdue))
            self.found = tuple(told & now_told)
            told = now_told
            self._confirmed_and_running = self._active_jobs.confirmed_and_running
            for job in set(self.found) - reported:
                log.warning("job %s (%s) goes on though it was told to stop; its slot stays taken until it ends", job.id, job.task)
            reported = set(self.found)
