"""serve: the service on a port, until a signal or an event stops it. It prints nothing."""

import asyncio
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from runner import Client, Settings
from runner.http.app import create_app

_GRACE_S = 5
_BACKLOG = 2048


async def serve(
    queue: str = "default",
    *,
    settings: Settings | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    on_started: Callable[[str], object] = lambda _: None,
    on_signal: Callable[[], object] = lambda: None,
    stopping: asyncio.Event | None = None,
    build: Callable[[Callable[[], Client], asyncio.Event], FastAPI] = create_app,
) -> None:
    """Serve a queue until SIGINT, SIGTERM or `stopping`. Then answer requests that wait for a job at once, finish the others, and return.

    Port 0 takes a free one; `on_started` receives the URL once requests are answered. `on_signal` is called at each signal, and
    the second one ends requests that are under way. `build` makes the app from what opens the client and the event that stops
    it. Raises OSError if it cannot listen there, and `ConfigurationError` if no Redis is configured or its server is unfit; a Redis
    that is away is no error.
    """
    stop = stopping or asyncio.Event()
    listener = _listen(host, port)
    try:
        client = Client(queue, settings=settings)
        await client.refuse_unfit_server()
        config = uvicorn.Config(
            build(lambda: client, stop),
            lifespan="on",
            http="httptools",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
        await _Server(config, stop, lambda: on_started(_url(listener)), on_signal).serve([listener])
    finally:
        listener.close()


class _Server(uvicorn.Server):
    """uvicorn's server. Its stop also ends the requests that wait for a job, and a signal only stops it: uvicorn would raise it again."""

    def __init__(
        self, config: uvicorn.Config, stopping: asyncio.Event, on_started: Callable[[], object], on_signal: Callable[[], object]
    ) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._on_started = on_started
        self._on_signal = on_signal
        self._loop = asyncio.get_running_loop()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if self.force_exit:
            # uvicorn then skips the shutdown of the app, whose task is cancelled with a stack trace when the loop closes.
            await self.lifespan.shutdown()

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._stopping.is_set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn calls it
        if self.should_exit:
            self.force_exit = True
            self._loop.call_soon_threadsafe(self._abort_connections)
        self.should_exit = True
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._on_signal()

    def _abort_connections(self) -> None:
        """From Python 3.12 on `asyncio.Server.wait_closed`, which uvicorn calls last, waits for open connections."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket, made here so that a port in use is an OSError of `serve`.

    It names its protocol, unlike a socket of `socket.create_server`: asyncio disables Nagle's algorithm for connections of
    IPPROTO_TCP only, and with the algorithm each answer waits about 40 ms for an acknowledgement. uvloop disables it for all.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
