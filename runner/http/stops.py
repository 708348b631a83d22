"""When to end requests that would hold up a stop: those that wait for a job, and streams."""

import asyncio
import signal
from weakref import WeakKeyDictionary

_LOOK_S = 0.5


class _Watch:
    """Looks whether the server stops, for all requests of one event loop, as long as there are some."""

    def __init__(self) -> None:
        self._stops = asyncio.Event()
        self._waiting = 0
        self._next: asyncio.TimerHandle | None = None

    async def wait(self) -> None:
        self._waiting += 1
        if self._next is None:
            self._look()
        try:
            await self._stops.wait()
        finally:
            self._waiting -= 1
            if not self._waiting and self._next is not None:
                self._next.cancel()
                self._next = None

    def _look(self) -> None:
        if _server_stops():
            self._stops.set()
        else:
            self._next = asyncio.get_running_loop().call_later(_LOOK_S, self._look)


_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, _Watch] = WeakKeyDictionary()


async def stopped(stopping: asyncio.Event | None) -> None:
    """Return once the service stops: `stopping` is set, or, without it, a signal has told the uvicorn of this process to stop.

    uvicorn tells the app only when the last request has ended, and so waits for a stream for ever. It is the handler of the signals itself,
    and remembers that one came. Other servers are not known: what runs on them needs the event.
    """
    if stopping is not None:
        await stopping.wait()
        return
    loop = asyncio.get_running_loop()
    await _watches.setdefault(loop, _Watch()).wait()


def _server_stops() -> bool:
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return bool(getattr(server, "should_exit", False))
