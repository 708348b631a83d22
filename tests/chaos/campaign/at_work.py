"""A process that is a worker of a campaign."""

import asyncio
import logging
import signal
import threading
from typing import Any

import uvloop

from runner import Runner, Worker
from tests.process.worker_main import end_with_parent, tell


def work_for(app: Runner[Any]) -> None:
    """Until SIGTERM, or until the process that started this one has ended."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    threading.Thread(target=end_with_parent, daemon=True).start()
    uvloop.run(_work_for(app))


async def _work_for(app: Runner[Any]) -> None:
    worker = Worker(app)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    async with asyncio.TaskGroup() as group:
        telling = group.create_task(tell(worker))
        await worker.run()
        telling.cancel()
