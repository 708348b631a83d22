"""create_app: the service as an ASGI app. It opens its client in the event loop that serves, and closes it there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from runner import Client
from runner.http.dependencies import STATE, Service
from runner.http.problems import answer_of_app
from runner.http.routes import GROUPS

_DESCRIPTION = """Background jobs that never break a rate limit: submit by name, see what a job waits for and when it starts, wait for its end.

Every error is `application/problem+json` (RFC 9457); its `type` is the path of a short explanation."""


def create_app(open_client: Callable[[], Client] = Client, stopping: asyncio.Event | None = None) -> FastAPI:
    """The service of the queue that `open_client` connects to: by default the queue "default" on the Redis of the environment.

    Set `stopping` to end requests that wait for a job. While Redis is away, at the start too, answers are 503.
    """
    stop = stopping or asyncio.Event()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Service]]:
        async with open_client() as client:
            yield {STATE: Service(client, stop)}

    app = FastAPI(
        title="metered-runner",
        version=version("metered-runner"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for error in (HTTPException, Exception):
        app.add_exception_handler(error, answer_of_app)
    for group in GROUPS:
        # include_router would make FastAPI look through the groups at each request, which costs as much as a small answer.
        app.router.routes.extend(group.routes)
    return app
