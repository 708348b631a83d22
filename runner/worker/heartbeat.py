"""Two threads beside the event loop: Heartbeat renews the worker's lease even while a handler blocks the loop; StallWatch says which."""

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Sequence

from runner.clock import monotonic_s
from runner.errors import LeaseLost, StoreUnavailable
from runner.jobs import StartedJob
from runner.store import LeaseStore
from runner.worker.log_throttle import LogThrottle

log = logging.getLogger("runner")

_RETRY_S = 0.2


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
                self._stopping.wait(_RETRY_S)
            except Exception:
                # Whatever it is: without this thread the worker would lose its jobs while it runs them.
                log.exception("renewal of the lease failed, trying again")
                self._stopping.wait(_RETRY_S)

    def _call(self, callback: Callable[..., None], *arguments: object) -> None:
        if not self._stopping.is_set():
            self._loop.call_soon_threadsafe(callback, *arguments)


class StallWatch:
    """Logs the stack of whatever keeps the event loop from running for longer than `stall_s`. Start it on that loop."""

    def __init__(self, stall_s: float) -> None:
        self._stall_s = stall_s
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._last_tick_s = monotonic_s()
        self._stopping = threading.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._run, name="runner-stall-watch", daemon=True)

    def start(self) -> None:
        self._tick()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._timer is not None:
            self._timer.cancel()
        self._thread.join()

    def _tick(self) -> None:
        self._last_tick_s = monotonic_s()
        self._timer = self._loop.call_later(self._stall_s / 4, self._tick)

    def _run(self) -> None:
        reported_tick_s = 0.0
        while not self._stopping.wait(self._stall_s / 4):
            tick_s = self._last_tick_s
            if monotonic_s() - tick_s > self._stall_s and tick_s != reported_tick_s:
                reported_tick_s = tick_s
                frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - the one way to see another thread's stack
                stack = "".join(traceback.format_stack(frame)) if frame else "(no stack)"
                log.warning(
                    "the event loop has stood still for over %g s; make this call async or the task a plain function:\n%s",
                    self._stall_s,
                    stack,
                )
