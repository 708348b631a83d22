"""SharedCall: one call at a time for all callers of this process, in any event loop, who share its end."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, NamedTuple

from runner.clock import monotonic_s
from runner.errors import ClientClosed
from runner.forks import forget_after_fork, keep

_PATIENCE_S = 5.0
"""A call that takes longer is one whose event loop has stopped: another caller makes one."""


class _Running(NamedTuple):
    """A call that is under way. `end` is for callers in other event loops: True once it has returned, False if they must call themselves."""

    task: asyncio.Task[None]
    end: "Future[bool]"
    since_s: float


class SharedCall:
    """Lets one call run at a time, in the event loop of the caller that came first.

    A failure reaches all callers that wait: with calls of their own they would each wait for a time-out. The cancellation of one
    caller does not end the call of the others. If the loop or the client that makes the call ends, callers in other loops make one.
    """

    def __init__(self, *, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._running: _Running | None = None
        forget_after_fork(self)

    async def __call__(self, call: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Wait for the running call; start this one if there is none. Raises what the call raises, and `ClientClosed`."""
        while True:
            running = self._joined(call)
            if running.task.get_loop() is asyncio.get_running_loop():
                await _ended_here(running.task)
                return
            if await _ended_elsewhere(running.end):
                return

    async def close(self) -> None:
        """Cancel the call if it runs in this event loop: those who wait for it here get a `ClientClosed`."""
        running = self._running
        if running is not None and running.task.get_loop() is asyncio.get_running_loop():
            running.task.cancel()
            await asyncio.gather(running.task, return_exceptions=True)

    def forget(self) -> None:
        """In a forked child: nothing runs here."""
        keep(self._running)
        self._lock, self._running = threading.Lock(), None

    def _joined(self, call: Callable[[], Coroutine[Any, Any, None]]) -> _Running:
        with self._lock:
            running = self._running
            if running is None or monotonic_s() - running.since_s > _PATIENCE_S:
                end = Future[bool]()
                end.set_running_or_notify_cancel()  # a caller that is cancelled cannot cancel it for the others
                task = asyncio.create_task(call(), name=self._name)
                running = self._running = _Running(task, end, monotonic_s())
                task.add_done_callback(lambda _: self._note_end(running))
            return running

    def _note_end(self, ended: _Running) -> None:
        with self._lock:
            if self._running is ended:
                self._running = None
        error = None if ended.task.cancelled() else ended.task.exception()
        if error is None or isinstance(error, ClientClosed):
            ended.end.set_result(error is None and not ended.task.cancelled())
        else:
            ended.end.set_exception(error)


async def _ended_here(task: asyncio.Task[None]) -> None:
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        caller = asyncio.current_task()
        if task.cancelled() and (caller is None or not caller.cancelling()):
            raise ClientClosed("the client was closed before the tasks and limits of its queue were known") from None
        raise


async def _ended_elsewhere(end: "Future[bool]") -> bool:
    """Whether the call has returned; False if it was cancelled, or takes so long that its loop may have stopped. Raises what it raised."""
    here = asyncio.wrap_future(end)
    here.add_done_callback(_retrieve)
    await asyncio.wait({here}, timeout=_PATIENCE_S)
    return here.done() and here.result()


def _retrieve(end: "asyncio.Future[bool]") -> None:
    """The caller may have been cancelled meanwhile; asyncio would log the error otherwise."""
    if not end.cancelled():
        end.exception()
