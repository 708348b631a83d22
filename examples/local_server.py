"""A server on loopback beside the example that calls it: what takes the place of a provider, of sites or of customers here."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import FastAPI


class _Server(uvicorn.Server):
    """uvicorn, except that Ctrl-C belongs to the program around it."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def serving(app: FastAPI, port: int = 0) -> AsyncGenerator[str]:
    """Serve the app during the block, on a free port if none is given; gives the URL. Raises OSError for a port that is taken."""
    with socket.create_server(("127.0.0.1", port), backlog=2048) as listener:
        config = uvicorn.Config(
            app, log_config=None, log_level="critical", access_log=False, timeout_keep_alive=75, timeout_graceful_shutdown=1
        )
        server = _Server(config)
        running = asyncio.create_task(server.serve([listener]), name="uvicorn")
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await asyncio.gather(running, return_exceptions=True)
