"""Signals of commands that run until stopped. A process that has not ended in time after a signal ends itself."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

from runner.forks import forget_after_fork

log = logging.getLogger("runner")

_MARGIN_S = 10.0
"""Added to the time that running jobs get: for clean-up, signing off, and a busy machine."""
_NUMBERS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stoppable() -> Iterator[None]:
    """From the beginning of a command that runs until stopped: SIGTERM ends it, with status 0, also while it imports the app.

    The kernel has no default for the first process of a container: without a handler it would ignore the signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


class Signals:
    """While entered, SIGTERM and SIGINT call `stop` on the event loop.

    The handlers are Python's, not the loop's, and a thread ends the process: some seconds more than `grace_s` after the first
    signal, and some seconds after the second. So a job's handler that blocks the loop cannot keep the process alive.
    `more_s` is asked by that thread once the time after the first signal is over: for so long it waits once more.
    A child that a job's handler forks gets the default handlers: those of its parent would do nothing there.
    """

    def __init__(self, stop: Callable[[], object], grace_s: float, more_s: Callable[[], float] = lambda: 0.0) -> None:
        self._stop = stop
        self._more_s = more_s
        self._patience_s = grace_s + _MARGIN_S
        self._loop = asyncio.get_running_loop()
        self._deadlines: list[threading.Timer] = []
        self._is_over = False
        self._former: dict[signal.Signals, Any] = {}
        self.interrupts = 0
        """How often SIGINT came."""

    def drain(self) -> None:
        """Do what a first signal does, unless one has come."""
        if not self._deadlines:
            self.received()

    def received(self) -> None:
        """Do what a signal does. Code that handles the signals itself, such as a server, calls this at each."""
        self._loop.call_soon_threadsafe(self._stop)
        self._allow(self._patience_s, self._more_s if not self._deadlines else lambda: 0.0)
        self._patience_s = _MARGIN_S

    def _allow(self, seconds: float, more_s: Callable[[], float], spent_s: float = 0.0) -> None:
        """End the process after so many seconds, or after those that `more_s` adds then."""

        def expire() -> None:
            more = more_s()
            if self._is_over:
                return
            if more > 0:
                self._allow(more, lambda: 0.0, spent_s + seconds)
            else:
                _end_process(spent_s + seconds)

        deadline = threading.Timer(seconds, expire)
        deadline.daemon = True
        deadline.start()
        self._deadlines.append(deadline)

    def __enter__(self) -> Self:
        self._former = {number: signal.signal(number, self._handle) for number in _NUMBERS}
        forget_after_fork(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, former in self._former.items():
            signal.signal(number, former)
        self._former, self._is_over = {}, True
        for deadline in self._deadlines:
            deadline.cancel()

    def forget(self) -> None:
        """In a forked child: whoever handles the signals now, a server too, belongs to the parent."""
        if self._former:
            signal.set_wakeup_fd(-1)  # of the event loop: it would tell the parent of the child's signals
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self._former, self._deadlines = {}, []

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.interrupts += number == signal.SIGINT
        self.received()


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _end_process(patience_s: float) -> None:
    log.error(
        "the process did not end within %g s of a signal and is ended now; other workers run its jobs once its lease lapses", patience_s
    )
    logging.shutdown()
    os._exit(1)
