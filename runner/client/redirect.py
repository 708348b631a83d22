"""Redirect: an app or a client works for a while with another queue, on another server, as a test wants it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from runner.client.app import Runner
from runner.client.client import Client
from runner.client.sessions import Sessions
from runner.client.stored_jobs import StoredJobs
from runner.client.task import Task
from runner.settings import Settings


def app_of(task: Task[..., Any]) -> Runner[Any] | None:
    """The app with which a task was declared."""
    app = getattr(task._submit, "__self__", None)  # noqa: SLF001 - private to users
    return app if isinstance(app, Runner) else None


@asynccontextmanager
async def redirected(app: Runner[Any] | Client, queue: str, settings: Settings) -> AsyncIterator[None]:
    """All that is submitted and asked through this app or client goes there, in every event loop and thread."""
    replaced = ("queue", "settings", "_client", "_at_hand", "_published") if isinstance(app, Runner) else ("_jobs",)
    before = {name: vars(app)[name] for name in replaced}
    if isinstance(app, Runner):
        app.queue, app.settings = queue, settings
        vars(app).update(_client=None, _at_hand=None)
    else:
        vars(app)["_jobs"] = StoredJobs(Sessions(queue, settings))
    try:
        yield
    finally:
        await app.close()
        vars(app).update(before)
