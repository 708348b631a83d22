"""router: the routes of a queue, for a FastAPI app of your own to include under any prefix."""

import asyncio
from typing import Any

from fastapi import APIRouter, Depends

from runner import Client, Runner
from runner.http.dependencies import Authorize, Opening, bound_to
from runner.http.routes import GROUPS


def router(
    queue: Client | Runner[Any],
    *,
    stopping: asyncio.Event | None = None,
    authorize: Authorize | None = None,
    most_streams: int | None = None,
) -> APIRouter:
    """The routes of a queue: `app.include_router(router(jobs), prefix="/queue")`.

    They answer errors with problem documents and limit the size of bodies, whatever the app does; a dependency given to
    `include_router` runs before each, and guards it: no key is asked for, unless `authorize` says who a request is from, see
    `create_app`. The app closes the queue at its end: `await jobs.close()`. Set `stopping` to end requests that wait for a job, and
    streams of events, of which `most_streams` may be open; uvicorn's stop does so without it. An app may include the routers of several
    queues under different prefixes.
    """
    whole = APIRouter(dependencies=[Depends(bound_to(Opening(queue, stopping, authorize, most_streams)))])
    for group in GROUPS:
        whole.include_router(group)
    return whole
