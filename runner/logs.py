"""Logs: a logger on which the user's configuration of logging costs at most the line. A filter or a handler of his may raise anything."""

import logging
import signal
import sys
from typing import Any

from runner.clock import monotonic_s
from runner.foreign import asked, indented, kind_of
from runner.log_throttle import A_MINUTE_S, LogThrottle
from runner.traces import trace_of

_lost = LogThrottle(A_MINUTE_S)


class Safe(logging.Logger):
    """Logging here raises nothing but Ctrl-C: an actor of a worker that reports a fault must not end by its report."""

    def makeRecord(self, *args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: N802 - the name is logging's
        """By the user's factory; if that raises, by none."""
        try:
            return super().makeRecord(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - the factory may exit
            _note(error)
            name, level, path, line, message, arguments, exc_info = args[:7]
            return logging.LogRecord(name, level, path, line, message, arguments, exc_info)

    def handle(self, record: logging.LogRecord) -> None:
        try:
            super().handle(record)
        except BaseException as error:  # noqa: BLE001 - a filter or a handler may exit
            _note(error)


def guard_logs(logger: logging.Logger) -> None:
    """Make a logger a safe one, once. It stays the same object, as others may have got it before, and of its own class too."""
    if not isinstance(logger, Safe):
        logger.__class__ = type("SafeLogger", (Safe, type(logger)), {})


def _note(error: BaseException) -> None:
    """Say on stderr, now and then, what logging has raised. Raises Ctrl-C again."""
    if issubclass(type(error), KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        raise error  # Python raises it in the middle of anything as long as nobody else handles the signal
    if _lost.is_due(monotonic_s()):
        said = f"runner: {kind_of(error)} came out of this process's configuration of logging, so lines of the log are lost"
        asked(lambda: sys.stderr.write(f"{said}:\n{indented(trace_of(error))}\n"), lambda _: 0)
