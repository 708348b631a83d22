"""create_app: the service as an ASGI app, alone on a server or mounted in another app."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from runner import Client, Runner
from runner.http.authorization import Authorize, ByKey
from runner.http.dependencies import STATE, Opening
from runner.http.docs_page import add_docs_page
from runner.http.guarded_app import GuardedApp
from runner.http.library_version import VERSION
from runner.http.problems import answer_of_app
from runner.http.routes import GROUPS, TAGS

_DESCRIPTION = """Background jobs that never break a rate limit: submit by name, see what a job waits for and when it starts, wait for its end.

Every error is `application/problem+json` (RFC 9457); its `type` is the path of a short explanation."""


def create_app(
    queue: Client | Runner[Any] | Callable[[], Client] = Client,
    stopping: asyncio.Event | None = None,
    *,
    authorize: Authorize | None = None,
    most_streams: int | None = None,
) -> FastAPI:
    """The service of a queue: by default of the queue "default" on the Redis of the environment.

    A client that a function given as `queue` opens is closed at the end of the app, or with its event loop by an app that is
    mounted: `app.mount("/queue", create_app(jobs))`. A Client or a Runner belongs to its giver, who closes it: `await jobs.close()`.
    An app that mounts this one guards it by middleware; dependencies of its routes do not reach a mounted app, so include
    `runner.http.router` for those. Set `stopping` to end requests that wait for a job, and streams of events; uvicorn's stop does so
    without it. While Redis is away, at the start too, answers are 503.

    authorize: who a request is from, and whether they may do it. By default the queue's keys say so (`client.keys`, `keys create`); as long
    as it has none, whoever is on this machine may do everything and nobody else. `anyone` lets everybody in, for an app that is guarded
    otherwise. most_streams: of events that are open at once; 500, or a quarter of the connections if those are few.
    """
    opening = Opening(queue, stopping, authorize or ByKey(lambda: opening.service.client), most_streams)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        opening.service  # noqa: B018 - opens it: what cannot be opened is said when the app starts
        try:
            yield
        finally:
            await opening.close()

    app = GuardedApp(
        title="metered-runner",
        version=VERSION,
        description=_DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    setattr(app.state, STATE, opening)
    for error in (HTTPException, Exception):
        app.add_exception_handler(error, answer_of_app)
    for group in GROUPS:
        # include_router would make FastAPI look through the groups at each request, which costs as much as a small answer.
        app.router.routes.extend(group.routes)
    add_docs_page(app)
    return app
