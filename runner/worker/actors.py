"""Actors: those of one worker under one lease. Wires them together, runs them, drains, and signs off."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from runner.errors import LeaseLost, StoreUnavailable
from runner.store import JobStore, LeaseStore
from runner.worker.active_jobs import ActiveJobs
from runner.worker.attempts import Attempts
from runner.worker.claimer import Claimer
from runner.worker.completer import Completer
from runner.worker.executor import Executor
from runner.worker.heartbeat import Heartbeat
from runner.worker.refill_loop import RefillLoop
from runner.worker.stuck_attempts import StuckAttempts

log = logging.getLogger("runner")

_CLEANUP_S = 2.0
"""Time that stopped attempts get to end before their jobs are given back without them."""
_LAST_CLEANUP_S = 0.2
"""Time for those that go on, once they are stopped a second time."""


class Actors:
    """One life of a worker, from enlisted to signed off or to the loss of its lease. `leftovers` are attempts of its lives before."""

    def __init__(
        self, store: JobStore, lease: LeaseStore, worker: str, executor: Executor, leftovers: Sequence[asyncio.Task[None]]
    ) -> None:
        settings = store.settings
        self._store = store
        self._worker = worker
        self._drain_s = settings.drain_s
        self._sign_off_s = 2 * settings.command_timeout_s
        self._active_jobs = ActiveJobs(settings.concurrency, leftovers)
        self.completer = Completer(store, worker, self._active_jobs)
        self._attempts = Attempts(executor, self._active_jobs, self.completer, settings)
        self._claimer = Claimer(store, worker, self._active_jobs, self._attempts, self.completer)
        self.refill_loop = RefillLoop(store, worker, self._claimer.start_due)
        self._stuck_attempts = StuckAttempts(self._active_jobs, executor, settings.renew_s)
        self._heartbeat = Heartbeat(lease, worker, self._active_jobs, self._stuck_attempts)
        self._lost = self._heartbeat.lost
        self.leftovers = list(leftovers)
        """After `run`: the attempts that go on although they were stopped."""
        self.has_signed_off = False

    async def run(self, stopping: asyncio.Event, hurry: asyncio.Event) -> None:
        """Work until `stopping`, then drain, until `hurry` at the longest, and sign off. Raises `LeaseLost`."""
        try:
            async with asyncio.TaskGroup() as group:
                background = [
                    group.create_task(self.completer.run(), name="completer"),
                    group.create_task(self.refill_loop.run(), name="refill loop"),
                    group.create_task(self._stuck_attempts.run(), name="stuck attempts"),
                ]
                self._heartbeat.start()
                await self._claim_until(stopping)
                if not self._lost.is_set():
                    await self._drain(hurry)
                if not self._lost.is_set():
                    await self._sign_off()
                for actor in background:
                    actor.cancel()
        finally:
            self._heartbeat.stop()
            await self._end_attempts()
        if self._lost.is_set():
            raise LeaseLost(f"the lease of worker {self._worker} has lapsed")

    async def _claim_until(self, stopping: asyncio.Event) -> None:
        """Claim until the worker is to stop or its lease is lost. Raises an error of the claimer, or of the task of an attempt."""
        claiming = asyncio.create_task(self._claimer.run(), name="claimer")
        waits = [asyncio.create_task(event.wait()) for event in (stopping, self._lost)]
        ends: list[asyncio.Future[Any]] = [claiming, self._active_jobs.defect, *waits]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if self._active_jobs.defect.done():
                self._active_jobs.defect.result()
            if claiming.done():
                claiming.result()
        except LeaseLost:
            self._lost.set()
        finally:
            for wait in waits:
                wait.cancel()
            await _cancel(claiming)

    async def _drain(self, hurry: asyncio.Event) -> None:
        """Let running jobs finish, then stop the rest and give it back. Once the lease is lost, other workers run all of them."""
        if self._active_jobs.running:
            log.info("draining: %d jobs may finish within %g s", self._active_jobs.running, self._drain_s)
        idle, *others = [asyncio.create_task(end) for end in (self._active_jobs.wait_until_idle(), hurry.wait(), self._lost.wait())]
        await asyncio.wait({idle, *others}, timeout=self._drain_s, return_when=asyncio.FIRST_COMPLETED)
        if not self._lost.is_set():
            self._active_jobs.cancel_all()
            await asyncio.wait({idle}, timeout=_CLEANUP_S)
            self._attempts.give_back()
        for end in (idle, *others):
            end.cancel()

    async def _sign_off(self) -> None:
        """Deliver every outcome and leave nothing behind in Redis."""
        try:
            async with asyncio.timeout(self._sign_off_s):
                await self.completer.wait_until_delivered()
                self._heartbeat.stop()  # after the next line a renewal would find no lease, and report it as lost
                await self._store.reconcile(self._worker, (), leave=True)
                self.has_signed_off = True
        except (StoreUnavailable, TimeoutError):
            log.warning("Redis is away; other workers run the jobs of this one once its lease lapses")

    async def _end_attempts(self) -> None:
        """Stop what still runs. An attempt that goes on keeps its slot under the next lease, if there is one."""
        self._active_jobs.cancel_all()
        tasks = self._active_jobs.tasks
        if tasks:
            await asyncio.wait(tasks, timeout=_CLEANUP_S if self._lost.is_set() else _LAST_CLEANUP_S)
        self.leftovers = [task for task in (*self.leftovers, *tasks) if not task.done()]


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
