"""StallWatch: a thread that logs which call blocks the event loop."""

import asyncio
import logging
import sys
import threading

from runner.clock import monotonic_s
from runner.foreign import indented
from runner.traces import stack_of

log = logging.getLogger("runner")


class StallWatch:
    """Logs the stack of the event loop's thread once the loop has not run for `stall_s`. Create and start it on that loop."""

    def __init__(self, stall_s: float) -> None:
        self._stall_s = stall_s
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._last_tick_s = monotonic_s()
        self._longest_s = 0.0
        self.stalls = 0
        """How often it was blocked."""
        self._stopping = threading.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._run, name="runner-stall-watch", daemon=True)

    def start(self) -> None:
        self._tick()
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stopping.set()
        if self._timer is not None:
            self._timer.cancel()
        self._thread.join()

    def take_longest_s(self) -> float:
        """How late the loop's timer was at most since the last call, in any thread: it looks four times in `stall_s`."""
        longest_s, self._longest_s = self._longest_s, 0.0
        return max(longest_s, self._late_s(monotonic_s()))

    def _late_s(self, now_s: float) -> float:
        return max(now_s - self._last_tick_s - self._stall_s / 4, 0.0)

    def _tick(self) -> None:
        now_s = monotonic_s()
        self._longest_s = max(self._longest_s, self._late_s(now_s))
        self._last_tick_s = now_s
        self._timer = self._loop.call_later(self._stall_s / 4, self._tick)

    def _run(self) -> None:
        reported_tick_s = 0.0
        while not self._stopping.wait(self._stall_s / 4):
            tick_s = self._last_tick_s
            if monotonic_s() - tick_s > self._stall_s and tick_s != reported_tick_s:
                reported_tick_s = tick_s
                self.stalls += 1
                frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - the one way to see another thread's stack
                stack = stack_of(frame) if frame else "(no stack)"
                log.warning(
                    "the event loop was blocked for over %g s; make this call async or the task a plain function:\n%s",
                    self._stall_s,
                    indented(stack),
                )
