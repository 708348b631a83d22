"""Actors: those of one worker under one lease. Wires them together, runs them, drains, and signs off."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from runner.client import ProviderCounts
from runner.errors import LeaseLost, StoreUnavailable
from runner.jobs import Ties
from runner.store import FinishAnswer, JobStore, LeaseStore
from runner.telemetry import WorkerCounts
from runner.worker.active_jobs import ActiveJobs
from runner.worker.attempts import Attempts
from runner.worker.budget_warnings import BudgetWarnings
from runner.worker.claimer import Claimer
from runner.worker.completer import Completer
from runner.worker.executor import Executor
from runner.worker.heartbeat import Heartbeat
from runner.worker.parents import Parents
from runner.worker.process_claimer import ProcessClaimer
from runner.worker.progress import ProgressReports
from runner.worker.redis_pause import EXPECTED
from runner.worker.refill_loop import RefillLoop
from runner.worker.stall_watch import StallWatch
from runner.worker.stuck_attempts import StuckAttempts
from runner.worker.ticker import Ticker
from runner.worker.told_ends import ToldEnds
from runner.worker.uncut import uncut
from runner.worker.vitals import Vitals

log = logging.getLogger("runner")

_CLEANUP_S = 2.0
"""Time that stopped attempts get to end before their jobs are given back without them."""
_LAST_CLEANUP_S = 0.2
"""Time for those that go on, once they are stopped a second time."""


class Actors:
    """One life of a worker, from enlisted to signed off or to the loss of its lease. `before`: the life before, if there was one."""

    def __init__(
        self,
        store: JobStore,
        lease: LeaseStore,
        worker: str,
        executor: Executor,
        before: "Actors | None" = None,
        counts: WorkerCounts | None = None,
        watch: StallWatch | None = None,
    ) -> None:
        settings = store.settings
        if counts is not None:
            lease.watch_calls(counts.beside.note)
        self._store = store
        self._worker = worker
        self._drain_s = settings.drain_s
        self._sign_off_s = 2 * settings.command_timeout_s
        leftovers: list[asyncio.Task[None]] = [] if before is None else before.leftovers
        defects = 0 if before is None else before.defects
        self._active_jobs = ActiveJobs(settings.concurrency, leftovers, defects)
        self.completer = Completer(store, worker, self._active_jobs, executor.accepted, counts, executor.lateness)
        self._progress = ProgressReports(store, worker)
        self.provider_counts = ProviderCounts(store)
        executor.ties = Ties(self._progress.note, self.provider_counts.note, Parents(store))
        self._told_ends = ToldEnds(store, executor.hooks)
        self._budget_warnings = BudgetWarnings(store, executor.hooks, warns=executor.warns, counts=counts)
        self._attempts = Attempts(executor, self._active_jobs, self.completer, settings, counts)
        self._attempts.process_streams_from = store.process_streams_from
        self._claimer = Claimer(store, worker, self._active_jobs, self._attempts, self.completer)
        self._process_claimer = ProcessClaimer(store, executor.children, self._claimer)
        self.refill_loop = RefillLoop(store, worker, self._claimer.start_due, Ticker(store), counts)
        self._stuck_attempts = StuckAttempts(self._active_jobs, executor, settings.renew_s)
        self._heartbeat = Heartbeat(lease, worker, self._active_jobs, self._stuck_attempts, Vitals(self._active_jobs, watch), counts)
        self._lost = self._heartbeat.lost
        self.leftovers: list[asyncio.Task[None]] = list(leftovers)
        """After `run`: the attempts that go on although they were stopped."""
        self.has_signed_off = False
        self._accepted_before = 0 if before is None else before.accepted

    @property
    def running(self) -> int:
        """How many attempts run."""
        return self._active_jobs.running

    @property
    def stuck(self) -> int:
        """How many slots are taken by attempts that go on although they were told to stop."""
        return self._stuck_attempts.slots

    @property
    def renewed_s(self) -> float:
        """When Redis last said that this worker has its lease, by the monotonic clock."""
        return self._heartbeat.renewed_s

    @property
    def accepted(self) -> int:
        """How many outcomes Redis has accepted of the worker, in all its lives."""
        return self._accepted_before + self.completer.counts[FinishAnswer.accepted]

    @property
    def defects(self) -> int:
        """How many errors of its own the worker has met, in all its lives."""
        return self._active_jobs.defects

    async def run(self, stopping: asyncio.Event, hurry: asyncio.Event) -> None:
        """Work until `stopping`, then drain, until `hurry` at the longest, and sign off. Raises `LeaseLost`.

        A cancellation is a drain without time: the jobs are given back at once, and it is raised when the worker has signed off.
        """
        self._active_jobs.is_worker_cancelled = _is_cancelled()
        try:
            async with asyncio.TaskGroup() as group:
                background = [
                    group.create_task(self.completer.run(), name="completer"),
                    group.create_task(self.refill_loop.run(), name="refill loop"),
                    group.create_task(self._stuck_attempts.run(), name="stuck attempts"),
                    group.create_task(self._progress.run(), name="progress"),
                    group.create_task(self._told_ends.run(), name="told ends"),
                    group.create_task(self._budget_warnings.run(), name="budget warnings"),
                    group.create_task(self.provider_counts.run(), name="provider counts"),
                ]
                self._heartbeat.start()
                await self._claim_until(stopping)
                if not self._lost.is_set():
                    await self._drain(hurry)
                if not self._lost.is_set():
                    await self._sign_off(hurry)
                for actor in background:
                    actor.cancel()
        except asyncio.CancelledError:
            await uncut(self._leave_at_once)
            raise
        finally:
            self._heartbeat.stop()
            await uncut(self._end_attempts)
        if self._lost.is_set():
            raise LeaseLost(f"the lease of worker {self._worker} has lapsed")

    async def _claim_until(self, stopping: asyncio.Event) -> None:
        """Claim until the worker is to stop or its lease is lost. Raises an error of a claimer."""
        claiming = [
            asyncio.create_task(self._claimer.run(), name="claimer"),
            asyncio.create_task(self._process_claimer.run(), name="process claimer"),
        ]
        waits = [asyncio.create_task(event.wait()) for event in (stopping, self._lost)]
        ends: list[asyncio.Future[Any]] = [*claiming, *waits]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for claimer in claiming:
                if claimer.done():
                    claimer.result()
        except LeaseLost:
            self._lost.set()
        finally:
            # All of them before the first wait: another cancellation can cut that short, and a claimer that was not told would claim on.
            for end in ends:
                end.cancel()
            await asyncio.gather(*claiming, return_exceptions=True)

    async def _drain(self, hurry: asyncio.Event) -> None:
        """Let running jobs finish, then stop the rest and give it back. Once the lease is lost, other workers run all of them."""
        if self._active_jobs.running:
            log.info("draining: %d jobs may finish within %g s", self._active_jobs.running, self._drain_s)
        idle, *others = [asyncio.create_task(end) for end in (self._active_jobs.wait_until_idle(), hurry.wait(), self._lost.wait())]
        try:
            await asyncio.wait({idle, *others}, timeout=self._drain_s, return_when=asyncio.FIRST_COMPLETED)
            if not self._lost.is_set():
                self._active_jobs.cancel_all()
                await asyncio.wait({idle}, timeout=_CLEANUP_S)
                self._attempts.give_back()
        finally:
            for end in (idle, *others):
                end.cancel()

    async def _sign_off(self, hurry: asyncio.Event) -> None:
        """Deliver every outcome and leave nothing behind in Redis. What cannot be delivered is given back: its job runs again."""
        await self._deliver(hurry)
        if self._lost.is_set():
            return
        if self.completer.undelivered:
            log.warning("%d outcomes could not be delivered before the worker left: their jobs run again", self.completer.undelivered)
        try:
            async with asyncio.timeout(self._sign_off_s):
                self._heartbeat.stop()  # after the next line a renewal would find no lease, and report it as lost
                await self._store.reconcile(self._worker, (), leave=True)
                self.has_signed_off = True
        except (StoreUnavailable, TimeoutError):
            log.warning("Redis is away; other workers run the jobs of this one once its lease lapses")
        except EXPECTED:
            raise
        except Exception:
            log.exception("Redis refuses to sign this worker off; other workers run its jobs once its lease lapses")

    async def _deliver(self, hurry: asyncio.Event) -> None:
        """Until every outcome is delivered, the lease is lost, or `hurry` comes; if Redis takes none, for two time-outs.

        After these, the first call that fails is the last. It fails once none of its bytes move, or too few of them: so a large outcome has
        the time that it needs on a slow line, and no more.
        """
        is_hurried = hurry.is_set()
        cuts = [self._lost] if is_hurried else [self._lost, hurry]
        await _first_of(self.completer.delivered, *cuts, timeout_s=self._sign_off_s)
        if not is_hurried:
            await _first_of(self.completer.delivered, self.completer.failed, *cuts)

    async def _leave_at_once(self) -> None:
        """Give everything back and sign off. The actors were cancelled, and of the attempts those that did not see it are stopped here."""
        if self._lost.is_set() or self.has_signed_off:
            return
        self._active_jobs.cancel_all()
        if tasks := self._active_jobs.tasks:
            await asyncio.wait(tasks, timeout=_CLEANUP_S)
        self._attempts.give_back()
        delivering = asyncio.create_task(self.completer.run(), name="completer")
        at_once = asyncio.Event()
        at_once.set()
        try:
            await self._sign_off(at_once)
        except LeaseLost:
            self._lost.set()
        finally:
            await _cancel(delivering)

    async def _end_attempts(self) -> None:
        """Stop what still runs. An attempt that goes on keeps its slot under the next lease, if there is one."""
        self._active_jobs.cancel_all()
        tasks = self._active_jobs.tasks
        if tasks:
            await asyncio.wait(tasks, timeout=_CLEANUP_S if self._lost.is_set() else _LAST_CLEANUP_S)
        self.leftovers = [task for task in (*self.leftovers, *tasks) if not task.done()]


async def _first_of(*events: asyncio.Event, timeout_s: float | None = None) -> None:
    """Until one of these is set, or the time is over."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _is_cancelled() -> Callable[[], bool]:
    """Whether this task is cancelled from now on. A cancellation that it has survived before does not count."""
    task = asyncio.current_task()
    assert task is not None, "a worker runs in a task"
    before = task.cancelling()
    return lambda: task.cancelling() > before
