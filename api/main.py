"""The app of the service: `uvicorn api.main:app`, or `python -m api`.

Its queue is the one of RUNNER_QUEUE or RUNNER_APP, as for `python -m runner api`. What only this deployment has is added in `build`.
"""

import asyncio
from collections.abc import Callable

from fastapi import FastAPI

from runner import Client, load_queue
from runner.http import Authorize, create_app


def open_client() -> Client:
    """A client of the queue of RUNNER_QUEUE, or else of RUNNER_APP; of the queue "default" without both. Called when the app starts."""
    jobs = load_queue()
    return Client(jobs.queue, settings=jobs.settings)


def build(open_client: Callable[[], Client], stopping: asyncio.Event | None = None, *, authorize: Authorize | None = None) -> FastAPI:
    """The app of the queue that `open_client` connects to; see `create_app`."""
    return create_app(open_client, stopping, authorize=authorize)


app = build(open_client)
