"""Lifespan: what an app opens for a worker, and closes after it. Entered and left in the worker's own asyncio task."""

import asyncio
import logging
import traceback
from contextlib import AbstractAsyncContextManager
from contextvars import Token
from pathlib import Path
from typing import Any

from runner.client import Runner
from runner.errors import StartFailed
from runner.foreign import indented, kind_of, on_one_line, text_of
from runner.jobs import enter_state, leave_state, name_of_function
from runner.traces import trace_of

_PYTHONS = str(Path(asyncio.__file__).parents[1])
"""The folder of Python's own modules."""

log = logging.getLogger("runner")


class Lifespan:
    """That of one worker. An app without one has the state None."""

    def __init__(self, app: Runner[Any]) -> None:
        self._app = app
        self._name = "" if app.lifespan is None else name_of_function(app.lifespan)
        self._timeout_s = app.settings.start_timeout_s
        self._context: AbstractAsyncContextManager[Any] | None = None
        self._token: Token[Any] | None = None

    async def enter(self, stopping: asyncio.Event) -> bool:
        """Enter it, unless the worker is to stop before that has ended; whether it is entered. Raises `StartFailed`."""
        value = None
        if self._app.lifespan is not None:
            try:
                async with asyncio.timeout(self._timeout_s) as deadline:
                    watching = asyncio.create_task(_cut(stopping, deadline))
                    try:
                        context = self._app.lifespan(self._app)
                        value = await context.__aenter__()
                        self._context = context
                    finally:
                        watching.cancel()
            except Exception as error:
                if stopping.is_set() and isinstance(error, TimeoutError):
                    return False
                raise self._failed(error, is_late=deadline.expired()) from error
        self._token = enter_state(self._app, value)
        return True

    async def leave(self) -> None:
        """Leave it, if it was entered. Raises whatever it raises."""
        if self._token is not None:
            leave_state(self._token)
            self._token = None
        if self._context is not None:
            context, self._context = self._context, None
            # However the worker ended: what follows the `yield` of a lifespan runs, as a web server would run it.
            await context.__aexit__(None, None, None)

    def _failed(self, error: Exception, *, is_late: bool) -> StartFailed:
        log.info("lifespan %s failed:\n%s", self._name, indented(trace_of(error)))
        if is_late and isinstance(error, TimeoutError):
            return StartFailed(f"lifespan {self._name} took longer than start_timeout_s ({self._timeout_s:g} s){_place(error.__cause__)}")
        return StartFailed(f"lifespan {self._name} failed: {kind_of(error)}: {on_one_line(text_of(error))}{_place(error)}")


async def _cut(stopping: asyncio.Event, deadline: asyncio.Timeout) -> None:
    await stopping.wait()
    deadline.reschedule(asyncio.get_running_loop().time())


def _place(error: BaseException | None) -> str:
    """Where it was raised, outside of Python's own files if it was raised for such a place."""
    frames = [] if error is None else traceback.extract_tb(error.__traceback__)
    own = [
        frame
        for frame in frames
        if (frame.filename != __file__ and not frame.filename.startswith(_PYTHONS)) or "site-packages" in frame.filename
    ]
    return f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
