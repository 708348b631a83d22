"""A worker process for tests: `python -m tests.process.worker_main URL QUEUE FOLDER SETTINGS`, with SETTINGS as JSON.

It runs `App`, or the one that the setting "app" names.
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
from runner.worker import run_to_end
from tests.process.apps import App
from tests.process.budget_app import BudgetApp
from tests.process.planned_app import PlannedApp
from tests.process.sharing_app import SharingApp
from tests.process.wide_app import WideApp


async def main() -> None:
    url, queue, folder, text = sys.argv[1:]
    settings = json.loads(text)
    kinds = {"App": App, "BudgetApp": BudgetApp, "PlannedApp": PlannedApp, "SharingApp": SharingApp, "WideApp": WideApp}
    kind = kinds[settings.pop("app", "App")]
    worker = Worker(kind(url, queue, Path(folder), **settings).runner)
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
    run_to_end(main(), uvloop.new_event_loop)


if __name__ == "__main__":
    start()
