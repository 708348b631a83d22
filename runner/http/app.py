"""create_app: the service as an ASGI app. Its client is opened in the event loop that serves, and closed there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from runner import Client
from runner.http import problems, schemas
from runner.http.body_limit import MAX_BATCH_BYTES, BodyGuard
from runner.http.dependencies import Service
from runner.http.routes import catalog, health, jobs, limits, submissions
from runner.http.routes import problems as problem_texts

_DESCRIPTION = """Background jobs that never break a rate limit: submit by name, see what a job waits for and when it starts, await its end.

Every error is `application/problem+json` (RFC 9457); its `type` is the path of a short explanation."""


def create_app(open_client: Callable[[], Client] = Client, *, stopping: asyncio.Event | None = None) -> FastAPI:
    """The service of the queue that `open_client` connects to; by default the one named by the environment.

    Set `stopping` to let go of requests that wait for a job's end. Redis may be away, at the start too: answers are 503 meanwhile.
    """
    stop = stopping or asyncio.Event()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Service]]:
        async with open_client() as client:
            yield {"service": Service(client, stop)}

    app = FastAPI(
        title="metered-runner",
        version=version("metered-runner"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(BodyGuard, limits={"/v1/jobs/batch": MAX_BATCH_BYTES})
    problems.install(app)
    for router in (submissions.router, jobs.router, limits.router, catalog.router, health.router, problem_texts.router):
        # Not by include_router: FastAPI then looks through the routers anew at each request, which costs as much as a small answer.
        app.router.routes.extend(router.routes)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's description, and the models it does not meet in a signature."""
    if app.openapi_schema is None:
        description = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        _, more = models_json_schema([(model, "validation") for model in schemas.models()], ref_template="#/components/schemas/{model}")
        description.setdefault("components", {}).setdefault("schemas", {}).update(more["$defs"])
        app.openapi_schema = description
    return app.openapi_schema
