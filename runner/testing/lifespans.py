"""The lifespan of an app, as its worker would enter it: once for a block, in an asyncio task of its own, in which it is left too."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import Context, copy_context
from typing import Any

from runner.client import Runner
from runner.worker import Lifespan


@asynccontextmanager
async def entered(app: Runner[Any]) -> AsyncIterator[Context]:
    """The context in which the attempts of its jobs begin, so that they have its state. Raises `StartFailed`."""
    ready: asyncio.Future[Context] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()
    holding = asyncio.create_task(_hold(app, ready, over), name="lifespan of a test")
    try:
        yield await ready
    finally:
        over.set()
        await holding


async def _hold(app: Runner[Any], ready: "asyncio.Future[Context]", over: asyncio.Event) -> None:
    lifespan = Lifespan(app)
    try:
        await lifespan.enter(asyncio.Event())
    except BaseException as error:  # noqa: BLE001 - it is raised where the lifespan is asked for
        ready.set_exception(error)
        return
    try:
        ready.set_result(copy_context())
        await over.wait()
    finally:
        await lifespan.leave()
