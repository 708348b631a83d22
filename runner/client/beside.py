"""A worker beside a block of code, in its event loop. The face of the library, which knows the room of workers, says how one is made."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol


class Runs(Protocol):
    """A worker."""

    async def run(self) -> None:
        """Work until `stop`."""
        ...

    def stop(self) -> None:
        """Drain."""
        ...


class Workers:
    """How a worker of an app is made: set by `import runner`. The modules of a worker are imported when one is made."""

    make: Callable[[Any], Runs]


workers = Workers()


@asynccontextmanager
async def beside(app: Any) -> AsyncIterator[None]:
    """Run a worker meanwhile, and let it drain at the end. If it ends by an error the block is cancelled, and that is raised."""
    host = asyncio.current_task()
    assert host is not None, "a block of async code runs in a task"
    cancelling, worker, is_leaving = host.cancelling(), workers.make(app), False
    running = asyncio.create_task(worker.run(), name="worker")

    def cut(_: asyncio.Task[None]) -> None:
        if not is_leaving:
            host.cancel()

    running.add_done_callback(cut)
    try:
        yield
    except asyncio.CancelledError:
        if running.done() and not running.cancelled() and host.uncancel() <= cancelling:
            running.result()
        raise
    finally:
        is_leaving = True
        if not running.done():
            worker.stop()
            await running
