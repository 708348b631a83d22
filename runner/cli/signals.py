"""Signals of commands that run until stopped. A process that has not ended in time after a signal ends itself."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

log = logging.getLogger("runner")

_MARGIN_S = 10.0
"""Added to the time that running jobs get: for clean-up, signing off, and a busy machine."""
_NUMBERS = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """While entered, SIGTERM and SIGINT call `stop` on the event loop.

    The handlers are Python's, not the loop's, and a thread ends the process: some seconds more than `grace_s` after the first
    signal, and some seconds after the second. So a job's handler that blocks the loop cannot keep the process alive.
    """

    def __init__(self, stop: Callable[[], object], grace_s: float) -> None:
        self._stop = stop
        self._patience_s = grace_s + _MARGIN_S
        self._loop = asyncio.get_running_loop()
        self._deadlines: list[threading.Timer] = []
        self._former: dict[signal.Signals, Any] = {}

    def received(self) -> None:
        """Do what a signal does. Code that handles the signals itself, such as a server, calls this at each."""
        self._loop.call_soon_threadsafe(self._stop)
        deadline = threading.Timer(self._patience_s, _end_process, [self._patience_s])
        deadline.daemon = True
        deadline.start()
        self._deadlines.append(deadline)
        self._patience_s = _MARGIN_S

    def __enter__(self) -> Self:
        self._former = {number: signal.signal(number, self._handle) for number in _NUMBERS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, former in self._former.items():
            signal.signal(number, former)
        for deadline in self._deadlines:
            deadline.cancel()

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.received()


def _end_process(patience_s: float) -> None:
    log.error(
        "the process did not end within %g s of a signal and is ended now; other workers run its jobs once its lease lapses", patience_s
    )
    logging.shutdown()
    os._exit(1)
