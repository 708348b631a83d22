"""StuckAttempts: finds attempts that go on after a time-out or a cancellation. Their slots stay taken; callers and operators are told."""

import asyncio
import logging

from runner.jobs import StartedJob
from runner.worker.active_jobs import ActiveJobs
from runner.worker.executor import Executor

log = logging.getLogger("runner")


class StuckAttempts:
    """Looks every `pause_s`. An attempt is stuck if it should have stopped before the last look and has not.

    The heartbeat's thread reads `jobs` and `slots`, and sends them to Redis.
    """

    def __init__(self, active_jobs: ActiveJobs, executor: Executor, pause_s: float) -> None:
        self._active_jobs = active_jobs
        self._executor = executor
        self._pause_s = pause_s
        self.jobs: tuple[StartedJob, ...] = ()
        """The jobs of stuck attempts, as far as their outcomes are not confirmed."""
        self.slots = active_jobs.leftover
        """How many slots stuck attempts take, including those of a lost lease."""

    async def run(self) -> None:
        """Look until cancelled."""
        overdue: set[StartedJob] = set()
        logged: set[StartedJob] = set()
        while True:
            await asyncio.sleep(self._pause_s)
            before, overdue = overdue, set(self._active_jobs.overdue_jobs(self._executor.overdue))
            stuck = before & overdue
            for job in stuck - logged:
                log.warning("job %s (%s) is still running after it was asked to stop, and keeps its slot until it ends", job.id, job.task)
            logged = stuck
            self.jobs = tuple(stuck)
            self.slots = len(stuck) + self._active_jobs.confirmed_and_running + self._active_jobs.leftover
