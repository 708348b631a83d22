"""Any ASGI app behind a real uvicorn on a free port, in the loop of the test."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import uvicorn

from tests.eventually import PATIENCE_S, eventually


class _Server(uvicorn.Server):
    """uvicorn as it is, except that signals belong to the test."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(app: Any, *, host: str = "127.0.0.1", root_path: str = "") -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app through real sockets; stopped at the end, and the server's error is the test's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named asyncio turns off Nagle's delay: an answer of two writes would take 40 ms otherwise.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind((host, 0))
        listener.listen(2048)
        # proxy_headers is uvicorn's own belief in X-Forwarded-For, which it has for 127.0.0.1 by default.
        config = uvicorn.Config(app, lifespan="on", log_config=None, access_log=False, proxy_headers=False, root_path=root_path)
        server = _Server(config)
        task = asyncio.create_task(server.serve([listener]), name="uvicorn")
        port = listener.getsockname()[1]
        try:
            await eventually(lambda: server.started or task.done())
            limits = httpx.Limits(max_connections=None)
            url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
            async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S, trust_env=False, limits=limits) as http:
                yield http
        finally:
            server.should_exit = True
            async with asyncio.timeout(PATIENCE_S):
                await task
