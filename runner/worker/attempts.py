"""Attempts: one asyncio task for each started job. Every attempt records one outcome and frees its slot."""

import asyncio
import logging

from runner.jobs import Ending, Outcome, StartedJob
from runner.settings import Settings
from runner.store import around_attempt
from runner.worker.active_jobs import ActiveJob, ActiveJobs
from runner.worker.completer import Completer
from runner.worker.executor import Executor

log = logging.getLogger("runner")


class Attempts:
    """Between the claimer, which is granted jobs, and the completer, which delivers what they came to."""

    def __init__(self, executor: Executor, active_jobs: ActiveJobs, completer: Completer, settings: Settings) -> None:
        self._execute = around_attempt(settings.failpoints, executor.execute)
        self._active_jobs = active_jobs
        self._completer = completer
        self._ttl_ms = settings.result_ttl_ms

    def start(self, job: StartedJob) -> None:
        """Run the job in a slot of this worker."""
        self._active_jobs.begin(job, self._run)

    def give_back(self) -> None:
        """Give back the jobs of attempts that go on although they were stopped. What they come to later does not count."""
        for job in self._active_jobs.unrecorded:
            log.warning("job %s (%s) did not end when it was stopped; it is given back", job.id, job.task)
            self._completer.record(Outcome(job, Ending.returned, ttl_ms=self._ttl_ms))

    async def _run(self, active: ActiveJob) -> None:
        try:
            await self._execute(active.job, self._completer.record)
        except asyncio.CancelledError:
            ending = Ending.cancelled if active.was_asked_to_stop else Ending.returned
            self._completer.record(Outcome(active.job, ending, ttl_ms=self._ttl_ms))
        finally:
            self._active_jobs.end(active)
