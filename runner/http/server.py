"""serve: the service on a port, until a signal or an event stops it. It prints nothing."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from runner import Client, ConfigurationError, Settings
from runner.garbage import Garbage
from runner.http.app import create_app
from runner.http.authorization import ByKey
from runner.http.browser_guard import BrowserGuard
from runner.http.connections import Connections, most_connections
from runner.http.listening import listen, listen_unix, refuse_open_door, remove_socket
from runner.http.protocol import BoundedProtocol, check_all
from runner.http.turns import Turns

_GRACE_S = 5
_BACKLOG = 128
"""Connections that wait to be accepted: all of them are accepted in one turn of the loop."""
_TICKS_A_SECOND = 10
"""How often uvicorn calls `on_tick`."""


async def serve(
    queue: str = "default",
    *,
    settings: Settings | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    root_path: str = "",
    uds: str | None = None,
    uds_mode: int = 0o660,
    insecure: bool = False,
    on_started: Callable[[str], object] = lambda _: None,
    on_signal: Callable[[], object] = lambda: None,
    stopping: asyncio.Event | None = None,
    build: Callable[..., FastAPI] = create_app,
) -> None:
    """Serve a queue until SIGINT, SIGTERM or `stopping`. Then answer requests that wait for a job at once, finish the others, and return.

    `root_path` is the prefix that a proxy strips, like "/queue": links in answers begin with it. Port 0 takes a free port;
    `on_started` receives the URL once requests are answered. `on_signal` is called at each signal, and the second one ends requests
    that are under way. `uds` is the path of a unix socket to listen on instead, for those whom `uds_mode` permits. `build` makes the app
    from what opens the client, the event that stops it, and `authorize`, see `create_app`.

    As long as the queue has no keys it listens on this machine only, unless `insecure`: then everybody may do everything until there
    is a key. Raises OSError if it cannot listen there, and `ConfigurationError` if no Redis is configured, its server is unfit, or
    strangers could call without a key; a Redis that is away is no error.
    """
    stop = stopping or asyncio.Event()
    listener = listen(host, port) if uds is None else listen_unix(Path(uds), uds_mode)
    try:
        client = Client(queue, settings=settings)
        settings = client.settings
        await client.refuse_unfit_server()
        if uds is None and not insecure:
            await refuse_open_door(client, host)
        connections = Connections(most_connections())
        app = build(lambda: client, stop, authorize=ByKey(lambda: client, strangers=insecure))
        config = uvicorn.Config(
            BrowserGuard(app, (settings.allowed_hosts or "").split(",")),
            lifespan="on",
            http=partial(BoundedProtocol, bounds=connections, turns=Turns()),  # type: ignore[arg-type] # uvicorn only calls it
            ws="none",
            log_config=None,
            access_log=False,
            root_path=_checked_root(root_path),
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_S,
            backlog=_BACKLOG,
        )
        await _Server(config, connections, stop, lambda: on_started(_url(listener)), on_signal).serve([listener])
    finally:
        listener.close()
        if uds is not None:
            remove_socket(Path(uds))


class _Server(uvicorn.Server):
    """uvicorn's server. Its stop also ends the requests that wait for a job, and a signal only stops it: uvicorn would raise it again."""

    def __init__(
        self,
        config: uvicorn.Config,
        connections: Connections,
        stopping: asyncio.Event,
        on_started: Callable[[], object],
        on_signal: Callable[[], object],
    ) -> None:
        super().__init__(config)
        self._open = connections
        self._stopping = stopping
        self._on_started = on_started
        self._on_signal = on_signal
        self._loop = asyncio.get_running_loop()
        self._garbage, self._until_stopped = Garbage(), ExitStack()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        with self._until_stopped:
            await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._until_stopped.enter_context(self._garbage.kept_in_hand(self._loop.time()))
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if self.force_exit:
            # uvicorn then skips the shutdown of the app, whose task is cancelled with a stack trace when the loop closes.
            await self.lifespan.shutdown()

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS_A_SECOND == 0:
            now_s = self._loop.time()
            check_all(self._open, now_s)
            self._garbage.look(now_s)
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


def _checked_root(root_path: str) -> str:
    if root_path and (not root_path.startswith("/") or not root_path.isascii() or set(root_path) & set("?#% ")):
        raise ConfigurationError(f"root path {root_path!r} cannot be used: give the prefix that the proxy strips, like /queue")
    return root_path.rstrip("/")


def _url(listener: socket.socket) -> str:
    if listener.family == socket.AF_UNIX:
        return f"unix:{listener.getsockname()}"
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
