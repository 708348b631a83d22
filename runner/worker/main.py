"""The event loop of a worker's process: it turns on whatever code that handlers left behind lets out of it."""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from runner.foreign import indented, kind_of
from runner.traces import trace_of

log = logging.getLogger("runner")

T = TypeVar("T")


def run_to_end(main: Coroutine[Any, Any, T], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> T:
    """Run a coroutine in a loop of its own until it has ended, as `asyncio.run` does.

    asyncio stops its loop when a task or a callback raises SystemExit or KeyboardInterrupt, or when a callback's error of any kind cannot be
    logged. What `main` raises ends it here too. What a task raises that a handler has started ends only that task: nothing else of the loop
    is lost, so it goes on where it stopped.
    """
    started: list[asyncio.Task[T]] = []

    async def noted() -> T:
        task = asyncio.current_task()
        assert task is not None, "main runs as a task"
        started.append(task)
        return await main

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        try:
            return runner.run(noted())
        except BaseException as error:  # noqa: BLE001 - see `_note_stray`
            _note_stray(error, started)
        while True:
            try:
                return runner.get_loop().run_until_complete(started[0])
            except BaseException as error:  # noqa: BLE001
                _note_stray(error, started)


def _note_stray(error: BaseException, started: list[asyncio.Task[T]]) -> None:
    """Log what has come out of the loop. Raises it again if it is not a stray: it ends `main`, or is Ctrl-C."""
    if not started or started[0].done() or not _is_stray(error):
        raise error
    log.critical(
        "%s came out of a task or a callback that a handler had started; only that has ended:\n%s",
        kind_of(error),
        indented(trace_of(error)),
    )


def _is_stray(error: BaseException) -> bool:
    """Whether it is not Ctrl-C: Python raises KeyboardInterrupt for that as long as nobody else handles the signal."""
    return not issubclass(type(error), KeyboardInterrupt) or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
