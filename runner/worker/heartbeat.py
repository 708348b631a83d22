"""Heartbeat: a thread that renews the worker's lease, so that a handler which blocks the event loop does not lose its jobs."""

import asyncio
import logging
import threading
from collections.abc import Callable

from runner.clock import monotonic_s
from runner.errors import LeaseLost, StoreUnavailable
from runner.log_throttle import LogThrottle
from runner.store import LeaseStore
from runner.telemetry import WorkerCounts
from runner.worker.active_jobs import ActiveJobs
from runner.worker.redis_pause import RETRY_S
from runner.worker.stuck_attempts import StuckAttempts
from runner.worker.vitals import Vitals

log = logging.getLogger("runner")


def _ignore(result: str) -> None:
    """Nobody counts renewals."""


class Heartbeat:
    """Renews one lease. With each renewal it reports how the worker is, and learns which running jobs callers have cancelled."""

    def __init__(
        self,
        lease: LeaseStore,
        worker: str,
        active_jobs: ActiveJobs,
        stuck_attempts: StuckAttempts,
        vitals: Vitals,
        counts: WorkerCounts | None = None,
    ) -> None:
        self._lease = lease
        self._note = _ignore if counts is None else counts.note_renewal
        self.renewed_s = monotonic_s()
        """When Redis last said that this worker has its lease, by the monotonic clock."""
        self._worker = worker
        self._active_jobs = active_jobs
        self._stuck_attempts = stuck_attempts
        self._vitals = vitals
        self._loop = asyncio.get_running_loop()
        self._stopping = threading.Event()
        self._outage = LogThrottle()
        self._thread = threading.Thread(target=self._run, name="runner-heartbeat", daemon=True)
        self.lost = asyncio.Event()
        """Set when the lease has lapsed: other workers run the jobs."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread without waiting for it: it may be inside a blocking read."""
        self._stopping.set()
        self._lease.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                stuck = self._stuck_attempts
                cancelled = self._lease.renew(self._worker, stuck.slots, stuck.jobs, self._active_jobs.defects, self._vitals.text())
                self.renewed_s = monotonic_s()
                self._note("renewed")
                self._outage.is_over()
                if cancelled:
                    self._call(self._active_jobs.cancel, cancelled)
                self._lease.wait_for_message(self._worker)
            except LeaseLost:
                self._note("lost")
                self._call(self.lost.set)
                return
            except StoreUnavailable as error:
                if not self._stopping.is_set():
                    self._note("unavailable")
                if not self._stopping.is_set() and self._outage.is_due(monotonic_s()):
                    log.warning("renewal of the lease waits for Redis: %s", error)
                self._stopping.wait(RETRY_S)
            except Exception:
                if self._stopping.is_set():
                    return  # `stop` closed the connections under this call, of which the library can raise a TypeError
                # Any error: without this thread the worker would lose its jobs while it runs them.
                log.exception("renewal of the lease failed, trying again")
                self._stopping.wait(RETRY_S)

    def _call(self, callback: Callable[..., None], *arguments: object) -> None:
        """Let the event loop's thread call this: it alone may touch the worker's state."""
        if not self._stopping.is_set():
            self._loop.call_soon_threadsafe(callback, *arguments)
