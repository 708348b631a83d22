"""A worker process of a campaign: `python -m tests.chaos.campaign.worker` and its `Orders`."""

import asyncio
import logging
import signal
import threading

import uvloop

from runner import Worker
from tests.chaos.campaign.orders import Orders
from tests.chaos.campaign.workload import Workload
from tests.process.worker_main import end_with_parent, tell


async def main() -> None:
    orders = Orders.given()
    worker = Worker(Workload(orders.url, orders.notes, orders.version, **orders.settings).runner)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    async with asyncio.TaskGroup() as group:
        telling = group.create_task(tell(worker))
        await worker.run()
        telling.cancel()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    threading.Thread(target=end_with_parent, daemon=True).start()
    uvloop.run(main())
