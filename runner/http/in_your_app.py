"""For a FastAPI app of your own: its lifespan with a queue, and this library's errors as problem documents."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI

from runner import Runner
from runner.http.problem_errors import ERRORS
from runner.http.problems import answer_of_app
from runner.http.routes import problems as texts


def lifespan(jobs: Runner[Any], *, worker: bool = False) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """`FastAPI(lifespan=lifespan(jobs))`: closes the queue's connections at the end of the app; with `worker` runs its jobs too.

    That is `jobs.running(worker=...)`, which an app uses itself that has a lifespan of its own. Of `uvicorn --workers 4` each process
    has a worker. At the end uvicorn ends the requests, and then the worker drains.
    """

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        async with jobs.running(worker=worker):
            yield

    return running


def problems(app: FastAPI) -> None:
    """Answer the errors of this library that a route raises as `application/problem+json`, with the status that fits.

    `BacklogFull` is 503 with Retry-After, `InvalidArguments` 422, `UnknownJob` 404, as in the queue's own API; other errors stay the app's.
    The `type` of a problem is a path that explains it, so the app gets the route `/problems/{name}` for that, outside of its schema.
    """
    for error in ERRORS:
        app.add_exception_handler(error, answer_of_app)
    app.include_router(texts.router, include_in_schema=False)
