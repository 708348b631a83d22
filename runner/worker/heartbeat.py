"""Heartbeat: a thread that renews the worker's lease, so that a handler which blocks the event loop does not lose its jobs."""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence

from runner.clock import monotonic_s
from runner.errors import LeaseLost, StoreUnavailable
from runner.jobs import StartedJob
from runner.store import LeaseStore
from runner.worker.log_throttle import LogThrottle
from runner.worker.retry import RETRY_S

log = logging.getLogger("runner")


class Heartbeat:
    """Renews one worker's lease, and brings the requests to stop one of its jobs. `on_` callbacks run on the event loop.

    `stuck` says how many slots are taken by what should have stopped, and by which jobs; it is called in the thread.
    """

    def __init__(
        self,
        store: LeaseStore,
        worker: str,
        renew_s: float,
        on_cancel: Callable[[list[str]], None],
        on_lost: Callable[[], None],
        stuck: Callable[[], tuple[int, Sequence[StartedJob]]] = lambda: (0, ()),
    ) -> None:
        self._store = store
        self._worker = worker
        self._renew_s = renew_s
        self._on_cancel = on_cancel
        self._on_lost = on_lost
        self._stuck = stuck
        self._loop = asyncio.get_running_loop()
        self._stopping = threading.Event()
        self._outage = LogThrottle()
        self._thread = threading.Thread(target=self._run, name="runner-heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread without waiting for it: it may be inside a blocking read."""
        self._stopping.set()
        self._store.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                cancelled = self._store.renew(self._worker, *self._stuck())
                self._outage.is_over()
                if cancelled:
                    self._call(self._on_cancel, cancelled)
                self._store.wait_for_message(self._worker, self._renew_s)
            except LeaseLost:
                self._call(self._on_lost)
                return
            except StoreUnavailable as error:
                if not self._stopping.is_set() and self._outage.is_due(monotonic_s()):
                    log.warning("renewal of the lease waits for Redis: %s", error)
                self._stopping.wait(RETRY_S)
            except Exception:
                # Whatever it is: without this thread the worker would lose its jobs while it runs them.
                log.exception("renewal of the lease failed, trying again")
                self._stopping.wait(RETRY_S)

    def _call(self, callback: Callable[..., None], *arguments: object) -> None:
        if not self._stopping.is_set():
            self._loop.call_soon_threadsafe(callback, *arguments)
