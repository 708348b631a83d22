"""Attempts: one asyncio task for each started job. Every attempt records one outcome and frees its slot."""

import asyncio
import logging
import sys

from runner.clock import monotonic_s
from runner.jobs import Ending, Outcome, StartedJob
from runner.log_throttle import A_MINUTE_S, LogThrottle
from runner.settings import Settings
from runner.store import around_attempt
from runner.telemetry import WorkerCounts, recorder_here
from runner.worker.active_jobs import ActiveJob, ActiveJobs
from runner.worker.completer import Completer
from runner.worker.executor import Executor, current_task
from runner.worker.outcomes import Outcomes
from runner.worker.threads import NoThread

log = logging.getLogger("runner")

_REST_S = 30.0
"""How long a slot takes no job after the system could start no thread for one."""


class Attempts:
    """Between the claimer, which is granted jobs, and the completer, which delivers what they came to.

    A job of a stream from `process_streams_from` on takes a child and no slot, whatever it does there.
    """

    def __init__(
        self, executor: Executor, active_jobs: ActiveJobs, completer: Completer, settings: Settings, counts: WorkerCounts | None = None
    ) -> None:
        self._executor = executor
        execute = executor.execute if counts is None else counts.around_attempt(executor.execute)
        if executor.lateness is not None:
            execute = executor.lateness.around_attempt(execute)
        if (recorder := recorder_here()) is not None:
            execute = recorder.around_attempt(executor.queue, execute)
        self._execute = around_attempt(settings.failpoints, execute)
        self._outcomes = Outcomes(settings)
        self._active_jobs = active_jobs
        self._completer = completer
        self._ttl_ms = settings.result_ttl_ms
        self._no_thread = LogThrottle(A_MINUTE_S)
        self.children = executor.children
        self.process_streams_from = sys.maxsize

    @property
    def unserved(self) -> str:
        """Tasks that were met and that this worker does not have, as a claim takes them."""
        return self._executor.unserved

    def start(self, job: StartedJob) -> None:
        """Run the job in a slot of this worker, or in a child."""
        if job.stream < self.process_streams_from:
            self._active_jobs.begin(job, self._run)
        else:
            self.children.begin()
            self._active_jobs.begin(job, self._run, takes_slot=False)

    def give_back(self) -> None:
        """Give back the jobs of attempts that go on although they were stopped. What they come to later does not count."""
        for job in self._active_jobs.unrecorded:
            log.warning("job %s (%s) did not end when it was stopped; it is given back", job.id, job.task)
            self._completer.record(Outcome(job, Ending.returned, ttl_ms=self._ttl_ms))

    async def _run(self, active: ActiveJob) -> None:
        try:
            await self._execute(active.job, self._completer.record, active.was_stopped, active.task)
        except asyncio.CancelledError:
            ending = Ending.cancelled if active.was_asked_to_stop else Ending.returned
            self._completer.record(Outcome(active.job, ending, ttl_ms=self._ttl_ms))
        except NoThread as error:
            self._rest(active.job, error)
        except GeneratorExit:
            if current_task() is not active.task:
                raise  # the loop is closed
        except BaseException as error:  # noqa: BLE001 - a defect costs its own job, not the worker and the jobs it runs
            self._active_jobs.defects += 1
            self._completer.record(self._outcomes.internal(active.job, error))
        finally:
            if not active.takes_slot:
                self.children.end()
            self._active_jobs.end(active)

    def _rest(self, job: StartedJob, error: NoThread) -> None:
        """Give the job back, and let its slot rest: another attempt here would find no thread either."""
        if self._no_thread.is_due(monotonic_s()):
            log.warning(
                "no thread can be started (%s): job %s (%s) is given back, and its slot rests for %g s", error, job.id, job.task, _REST_S
            )
        self._active_jobs.rest_slot(_REST_S)
        self._completer.record(Outcome(job, Ending.returned, ttl_ms=self._ttl_ms))
