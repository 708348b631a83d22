"""Threads: run plain functions outside the event loop. A thread cannot be stopped, so the process must be able to end without it."""

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import partial
from inspect import isawaitable, iscoroutine
from queue import SimpleQueue
from typing import Any

from runner.foreign import kind_of, text_of


class NoThread(Exception):
    """The system starts no more threads: too many processes, or no memory. Nothing of the call is left behind."""


class DaemonThreads:
    """Starts a thread when a call finds none idle, and keeps it for later calls.

    The threads of `concurrent.futures` are no daemons: a function that never returns would keep the process from ending.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._started = 0

    def run(self, call: Callable[[], Any]) -> Future[Any]:
        """Run the call in a thread. The future cannot be cancelled. Raises `NoThread`."""
        # The thread comes first: a call in the queue that no thread was started for would run at some later time, as nobody's.
        if not self._idle.acquire(blocking=False):
            self._start()
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # the thread sets the result in any case, so nothing may cancel the future before
        self._calls.put((future, call))
        return future

    def close(self) -> None:
        """End the idle threads at once, and each busy one when its function returns."""
        for _ in range(self._started):
            self._calls.put(None)

    def _start(self) -> None:
        try:
            threading.Thread(target=self._work, name=f"runner-task-{self._started + 1}", daemon=True).start()
        except (RuntimeError, MemoryError, OSError) as error:
            raise NoThread(str(error)) from error
        self._started += 1

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            future, call = item
            value: Any = None
            raised: BaseException | None = None
            try:
                value = call()
            except (StopIteration, GeneratorExit) as error:
                raised = RuntimeError(f"a plain function raised {kind_of(error)}: {text_of(error)}")  # a Future cannot carry these
            except BaseException as error:  # noqa: BLE001 - the attempt decides what each error means
                raised = error
            # Idle before the future is set: the next call comes as soon as it is, and would start a thread without need.
            self._idle.release()
            if raised is None:
                future.set_result(value)
            else:
                future.set_exception(raised)
            del item, future, call, value, raised  # an idle thread keeps nothing of its last call alive


class ThreadCall:
    """One call of a plain function in a thread. Called like the function, it returns what to await; cancelling that stops nothing."""

    def __init__(self, threads: DaemonThreads, function: Callable[..., Any]) -> None:
        self._threads = threads
        self._function = function
        self._future: asyncio.Future[Any] | None = None

    def __call__(self, **arguments: Any) -> Awaitable[Any]:
        """Start the thread."""
        call = partial(contextvars.copy_context().run, self._function, **arguments)
        self._future = asyncio.wrap_future(self._threads.run(call))
        return self._returned(self._future)

    async def _returned(self, future: asyncio.Future[Any]) -> Any:
        """What the function returns. A plain wrapper of an async function returns a coroutine, which this loop runs."""
        value = await asyncio.shield(future)
        return await value if isawaitable(value) else value

    @property
    def is_running(self) -> bool:
        return self._future is not None and not self._future.done()

    async def wait(self) -> None:
        """Until the function has returned or raised."""
        if self._future is not None:
            await asyncio.wait({self._future})
            # The attempt has its outcome already: asyncio would complain of an error that is not retrieved, and of a coroutine that is not run.
            if self._future.exception() is None and iscoroutine(returned := self._future.result()):
                returned.close()

    def abandon(self) -> None:
        """The event loop may be closed when the function returns; a cancelled future does not call it then."""
        if self._future is not None:
            self._future.cancel()
