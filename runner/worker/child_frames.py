"""Frames: what a child of a worker is told, one frame after the other; in a lifespan of the app, whose event loop runs while the child waits."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from runner.client import Runner
from runner.jobs import enter_state
from runner.worker.frames import Frame, read_frame_from
from runner.worker.lifespan import Lifespan


class Frames:
    """Of a child that enters no lifespan."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """There is nothing to leave."""

    def next(self) -> Frame:
        """Raises EOFError once the worker sends no more."""
        return read_frame_from(self._descriptor)


class FramesInLifespan(Frames):
    """The lifespan is entered and left in one asyncio task. A job runs between two turns of its loop, on the same thread."""

    def __init__(self, descriptor: int, app: Runner) -> None:
        super().__init__(descriptor)
        self._app = app
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        """Raises `StartFailed`."""
        entered: asyncio.Future[object] = self._loop.create_future()
        self._task = task = self._loop.create_task(self._live(entered.set_result), name="lifespan")
        task.add_done_callback(lambda _: entered.done() or entered.cancel())
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(entered)
        if task.done():
            task.result()
        enter_state(self._app, entered.result())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stopping.set()
        if self._task is not None:
            self._loop.run_until_complete(self._task)
        self._loop.close()

    def next(self) -> Frame:
        """As above. Its loop runs meanwhile."""
        return self._loop.run_until_complete(self._loop.run_in_executor(None, super().next))

    async def _live(self, entered: Callable[[object], object]) -> None:
        lifespan = Lifespan(self._app)
        await lifespan.enter(asyncio.Event())
        entered(self._app.state)
        await self._stopping.wait()
        await lifespan.leave()


def frames_of(descriptor: int, app: Runner) -> Frames:
    """As the app wants its children."""
    return FramesInLifespan(descriptor, app) if app.children.lifespan and app.lifespan is not None else Frames(descriptor)
