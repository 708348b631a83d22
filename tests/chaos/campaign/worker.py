"""A worker process of a campaign: `python -m tests.chaos.campaign.worker` and its `Orders`. Its children import it by this name."""

import asyncio
import logging
import signal
import threading

import uvloop

from runner import Worker
from tests.chaos.campaign.orders import Orders
from tests.chaos.campaign.workload import Workload
from tests.process.worker_main import end_with_parent, tell

_orders = Orders.given()
jobs = Workload(_orders.url, _orders.notes, _orders.version, **_orders.settings).runner


async def main() -> None:
    worker = Worker(jobs)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    async with asyncio.TaskGroup() as group:
        telling = group.create_task(tell(worker))
        await worker.run()
        telling.cancel()


if __name__ == "__main__":
    _orders.tell_children()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    threading.Thread(target=end_with_parent, daemon=True).start()
    uvloop.run(main())
