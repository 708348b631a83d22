"""The door of plain code: one daemon thread with an event loop, in which the async calls of all apps and clients of the process run.

There is no second, synchronous client: the thread carries a call to the one there is, and calls of many threads share commands.
"""

import asyncio
import atexit
import concurrent.futures.thread  # noqa: F401 - it cannot be imported as the process ends, when the first call may import what it needs
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from concurrent.futures import CancelledError
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from functools import partial, wraps
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from runner.errors import ClientClosed, ConfigurationError
from runner.forks import forget_after_fork, keep

P = ParamSpec("P")
T = TypeVar("T")

_LAST_CALLS_S = 2.0
"""How long the end of the process waits for calls under way: those of other threads, and what an interrupted one takes back."""
_CLOSING_S = 3.0


class Door:
    """Runs a coroutine for a thread that has no event loop. The thread behind it starts at the first call."""

    def __init__(self) -> None:
        self._begin()
        self._is_over = False
        forget_after_fork(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._over = asyncio.Event()
        self._calls: set[asyncio.Task[Any]] = set()

    def forget(self) -> None:
        """In a forked child: the thread is not there."""
        keep(self._loop, self._thread, self._over, self._calls)
        self._begin()

    def call(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a call to its end; who is interrupted meanwhile cancels it. Raises `ConfigurationError` where an event loop runs."""
        self._refuse_to_block_a_loop()
        loop = self._started()
        future = asyncio.run_coroutine_threadsafe(self._perform(call), loop)
        try:
            return future.result()
        except CancelledError:
            raise ClientClosed("the process ends; this call was cancelled") from None
        finally:
            future.cancel()  # if this thread is interrupted, by Ctrl-C

    @contextmanager
    def entered(self, context: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """The same for a block of code."""
        value = self.call(context.__aenter__)
        try:
            yield value
        except BaseException as error:
            if not self.call(partial(context.__aexit__, type(error), error, error.__traceback__)):
                raise
        else:
            self.call(partial(context.__aexit__, None, None, None))

    def close(self) -> None:
        """For the end of the process: wait a moment for calls under way, close all connections, and refuse what comes later."""
        with self._lock:
            self._is_over = True
            loop, thread = self._loop, self._thread
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(self._over.set)
            thread.join(_LAST_CALLS_S + _CLOSING_S)

    async def _perform(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        task = asyncio.current_task()
        assert task is not None, "the door makes a task of each call"
        self._calls.add(task)
        try:
            return await call()
        finally:
            self._calls.discard(task)

    def _refuse_to_block_a_loop(self) -> None:
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            return
        # The greenlets of gevent share a thread, so all of them see the loop of this one; to wait stops none of the others.
        if running is self._loop and self._thread is not None and threading.get_ident() != self._thread.ident:
            return
        raise ConfigurationError("this would stop the event loop that runs in this thread: leave out `.blocking` and await the call")

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._is_over:
                raise ClientClosed("the process ends: call before, or register your function with atexit after the import of runner")
            if self._loop is None:
                _refuse_eventlet()
                self._loop = asyncio.SelectorEventLoop()
                self._thread = threading.Thread(target=self._run, args=[self._loop], name="runner-blocking", daemon=True)
                self._thread.start()
            return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as running:
            running.run(self._serve())

    async def _serve(self) -> None:
        await self._over.wait()
        if self._calls:
            await asyncio.wait(self._calls, timeout=_LAST_CALLS_S)


def _refuse_eventlet() -> None:
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is not None and patcher.is_monkey_patched("thread"):
        raise ConfigurationError("eventlet is not supported: it has no event loop for asyncio; use threads or gevent")


door = Door()
"""The one of this process."""
atexit.register(door.close)


_END: Any = object()


def each(begin: Callable[[], AsyncGenerator[T, None]]) -> Generator[T, None, None]:
    """What an async generator yields, for a thread without an event loop. Who leaves the loop, or is interrupted, closes it."""

    async def begun() -> AsyncGenerator[T, None]:
        return begin()  # some look for the event loop that runs

    generator = door.call(begun)

    async def next_one() -> T:
        return await anext(generator, _END)

    try:
        while (value := door.call(next_one)) is not _END:
            yield value
    finally:
        with suppress(ClientClosed, ConfigurationError):  # the process ends, or this is dropped where a loop runs: that closes it then
            door.call(generator.aclose)


class Blocking:
    """A face for plain code of something that has async methods."""

    __slots__ = ("_of",)

    def __init__(self, of: Any) -> None:
        self._of = of


class through(Generic[P, T]):  # noqa: N801 - reads as the method it makes
    """Makes a method of a `Blocking` from the async one: the same parameters, result, errors and documentation."""

    def __init__(self, method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, face: None, kind: type[Any]) -> Self: ...
    @overload
    def __get__(self, face: Blocking, kind: type[Any]) -> Callable[P, T]: ...
    def __get__(self, face: Blocking | None, kind: type[Any]) -> Any:
        if face is None:
            return self
        # By its name: a kind of its own may have another one, as a client that is restricted to its caller.
        method: Callable[P, Coroutine[Any, Any, T]] = getattr(face._of, self._method.__name__)  # noqa: SLF001 - private to users

        @wraps(self._method)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return door.call(lambda: method(*args, **kwargs))

        return call
