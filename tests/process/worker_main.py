"""A worker process for tests: `python -m tests.process.worker_main URL QUEUE FOLDER SETTINGS`, with SETTINGS as JSON.

Says `working` once it works and `stopped` once it has left. SIGTERM drains. It dies with the process that started it.
"""

import asyncio
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path

import uvloop

from runner import Worker
from tests.process.apps import App


async def main() -> None:
    url, queue, folder, settings = sys.argv[1:]
    worker = Worker(App(url, queue, Path(folder), **json.loads(settings)).runner)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    async with asyncio.TaskGroup() as group:
        telling = group.create_task(tell(worker))
        await worker.run()
        telling.cancel()
    print("stopped", flush=True)


async def tell(worker: Worker) -> None:
    await worker.wait_until_working()
    print("working", flush=True)


def end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


def start() -> None:
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)d %(levelname)s %(message)s")
    threading.Thread(target=end_with_parent, daemon=True).start()
    uvloop.run(main())


if __name__ == "__main__":
    start()
