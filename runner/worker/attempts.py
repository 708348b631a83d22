"""Attempts: one asyncio task for each started job. Every attempt records one outcome and frees its slot."""

import asyncio
import logging

from runner.jobs import Ending, Outcome, StartedJob
from runner.settings import Settings
from runner.store import around_attempt
from runner.worker.active_jobs import ActiveJobs
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
        self._active_jobs.begin(job, asyncio.create_task(self._run(job)))

    def give_back(self) -> None:
        """Give back the jobs of attempts that go on although they were stopped. What they come to later does not count."""
        for job in self._active_jobs.unrecorded:
            log.warning("job %s (%s) did not end when it was stopped; it is given back", job.id, job.task)
            self._completer.record(Outcome(job, Ending.returned, ttl_ms=self._ttl_ms))

    async def _run(self, job: StartedJob) -> None:
        try:
            await self._execute(job, self._completer.record)
        except asyncio.CancelledError:
            ending = Ending.cancelled if self._active_jobs.was_asked_to_stop(job) else Ending.returned
            self._completer.record(Outcome(job, ending, ttl_ms=self._ttl_ms))
        finally:
            self._active_jobs.end(job)
