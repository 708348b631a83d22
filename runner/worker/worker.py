"""Worker: one process's share of the work. Brings the actors together under a lease, and takes them down in order."""

import asyncio
import json
import logging
import os
import platform
import secrets
from typing import Any

from runner.client import Publication, Runner
from runner.clock import monotonic_s
from runner.connection import redis_url
from runner.errors import LeaseLost, StoreUnavailable
from runner.store import FORMAT, Claims, JobStore, LeaseStore, refuse_unfit_server
from runner.worker.abandon import abandon
from runner.worker.active_jobs import ActiveJobs
from runner.worker.attempts import Attempts
from runner.worker.claimer import Claimer
from runner.worker.completer import Completer
from runner.worker.executor import Executor
from runner.worker.heartbeat import Heartbeat
from runner.worker.log_throttle import LogThrottle
from runner.worker.refill_loop import RefillLoop
from runner.worker.stall_watch import StallWatch
from runner.worker.stuck_attempts import StuckAttempts

log = logging.getLogger("runner")

_RETRY_S = 0.5
_CLEANUP_S = 2.0
"""Time that stopped attempts get to end before their jobs are given back without them."""
_LAST_WORD_S = 0.2
"""Time for those that end when they are stopped a second time."""


class Worker:
    """Runs the jobs of one app until told to stop. Several may run in a process or on many machines; they need not know of each other."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._settings = runner.settings
        self._url = redis_url(self._settings)
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._leftovers: list[asyncio.Task[None]] = []
        self.id = ""
        self.slots = self._settings.concurrency
        self.leader = ""
        self.working = asyncio.Event()
        self.stopped = asyncio.Event()
        self.is_enlisted = False
        self.completer: Completer | None = None

    def stop(self) -> None:
        """Drain: claim no more, let running jobs finish for `drain_s`, give back the rest. A second call gives them back at once."""
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`. Survives everything Redis does; a lost lease means a new id."""
        store = JobStore(self._url, self._runner.queue, self._settings)
        publication = Publication(store, self._runner.tasks, self._runner.limits)
        executor = Executor(self._runner.tasks, self._settings)
        watch = StallWatch(self._settings.stall_s)
        watch.start()
        examined, outage = False, LogThrottle()
        try:
            while not self._stopping.is_set():
                try:
                    if not examined:
                        await refuse_unfit_server(store)
                        examined = True
                    await self._enlist(store, publication)
                    await self._work_under_lease(store, executor)
                except StoreUnavailable as error:
                    if outage.is_due(monotonic_s()):
                        log.warning("starting waits for Redis: %s", error)
                    await self._pause(_RETRY_S)
                except LeaseLost as error:
                    if self._stopping.is_set():
                        log.warning("%s while it was stopping; others run its jobs", error)
                    else:
                        log.error("%s; going on under a new id", error)
        finally:
            abandon(self._leftovers)
            watch.stop()
            executor.close()
            await store.close()
            self.stopped.set()

    async def _enlist(self, store: JobStore, publication: Publication) -> None:
        self.is_enlisted = True  # also if the reply is lost
        self.id = f"{platform.node()[:32]}-{os.getpid()}-{secrets.token_hex(3)}"
        await publication.publish()
        await store.enlist(self.id, json.dumps(self._details()))
        log.info("worker %s serves queue %s: %s", self.id, self._runner.queue, ", ".join(self._runner.tasks) or "no tasks")

    def _details(self) -> dict[str, Any]:
        return {
            "host": platform.node(),
            "pid": os.getpid(),
            "slots": self._settings.concurrency,
            "tasks": sorted(self._runner.tasks),
            "python": platform.python_version(),
            "format": FORMAT,
        }

    async def _work_under_lease(self, store: JobStore, executor: Executor) -> None:
        """One lease, from enlisting to signing off. Raises `LeaseLost`."""
        active_jobs = ActiveJobs(self.slots, self._leftovers)
        self.completer = completer = Completer(store, self.id, active_jobs)
        attempts = Attempts(executor, active_jobs, completer, self._settings)
        claimer = Claimer(store, self.id, active_jobs, attempts, completer)
        refill = RefillLoop(store, self.id, claimer.start_due)
        lease = LeaseStore(self._url, self._runner.queue, self._settings)
        stuck_attempts = StuckAttempts(active_jobs, executor, self._settings.renew_s)
        heartbeat = Heartbeat(lease, self.id, active_jobs, stuck_attempts)
        lost = heartbeat.lost
        try:
            async with asyncio.TaskGroup() as actors:
                claiming = asyncio.create_task(claimer.run(), name="claimer")
                background = [actors.create_task(completer.run(), name="completer"), actors.create_task(refill.run(), name="refill")]
                background.append(actors.create_task(stuck_attempts.run(), name="stuck attempts"))
                heartbeat.start()
                background.append(actors.create_task(self._note_leader(refill)))
                try:
                    await self._until_over(claiming, lost, active_jobs)
                finally:
                    await _cancelled(claiming)
                if not lost.is_set():
                    await self._let_finish(active_jobs, attempts, lost)
                if not lost.is_set():
                    await self._sign_off(store, completer, heartbeat)
                for actor in background:
                    actor.cancel()
        finally:
            heartbeat.stop()
            await self._end_attempts(active_jobs, _CLEANUP_S if lost.is_set() else _LAST_WORD_S)
        if lost.is_set():
            message = f"the lease of worker {self.id} has lapsed"
            raise LeaseLost(message)

    async def _end_attempts(self, active_jobs: ActiveJobs, patience_s: float) -> None:
        """Stop what still runs. What goes on all the same keeps its slot under the next lease, if there is one."""
        active_jobs.cancel_all()
        if active_jobs.tasks:
            await asyncio.wait(active_jobs.tasks, timeout=patience_s)
        self._leftovers = [attempt for attempt in [*self._leftovers, *active_jobs.tasks] if not attempt.done()]

    async def _note_leader(self, refill: RefillLoop) -> None:
        await refill.elected.wait()
        self.leader = refill.leader
        self.working.set()

    async def _until_over(self, claiming: asyncio.Task[None], lost: asyncio.Event, active_jobs: ActiveJobs) -> None:
        """Until somebody asks to stop, the lease is lost, or claiming or an attempt ends by an error of ours."""
        waits = [asyncio.create_task(self._stopping.wait()), asyncio.create_task(lost.wait())]
        ends: list[asyncio.Future[Any]] = [claiming, active_jobs.defect, *waits]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if active_jobs.defect.done():
            active_jobs.defect.result()
        if claiming.done():
            if isinstance(claiming.exception(), LeaseLost):
                lost.set()
            else:
                claiming.result()

    async def _let_finish(self, active_jobs: ActiveJobs, attempts: Attempts, lost: asyncio.Event) -> None:
        """Let running jobs finish, then stop the rest and give it back; once the lease is lost others run all of them."""
        if active_jobs.running:
            log.info("draining: %d jobs may finish within %g s", active_jobs.running, self._settings.drain_s)
        ends = [asyncio.create_task(end) for end in (active_jobs.wait_until_idle(), self._hurry.wait(), lost.wait())]
        await asyncio.wait(ends, timeout=self._settings.drain_s, return_when=asyncio.FIRST_COMPLETED)
        if not lost.is_set():
            active_jobs.cancel_all()
            await asyncio.wait(ends[:1], timeout=_CLEANUP_S)
            attempts.give_back()
        for end in ends:
            end.cancel()

    async def _sign_off(self, store: Claims, completer: Completer, heartbeat: Heartbeat) -> None:
        """Deliver every outcome and leave nothing behind."""
        try:
            async with asyncio.timeout(2 * self._settings.command_timeout_s):
                await completer.wait_until_delivered()
                heartbeat.stop()  # a renewal after the next line would find no lease, and call it lost
                await store.reconcile(self.id, (), leave=True)
                self.is_enlisted = False
        except (StoreUnavailable, TimeoutError):
            log.warning("Redis is away; what this worker still held is taken back when its lease lapses")

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
