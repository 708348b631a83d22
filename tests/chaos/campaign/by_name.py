"""A producer by name, in a process that has no code of the application: `python -m tests.chaos.campaign.by_name` and its `Orders`.

It spells arguments as it likes, and submits each job again under its id until that is answered. SIGTERM: it submits no more.
"""

import asyncio
import logging
import random
import signal
import threading
import time
from collections.abc import Iterator
from itertools import count

import uvloop

from runner import Client, JobOptions, Settings, StoreUnavailable
from tests.chaos.campaign.calls import A_LAUNCH, FIRST_BY_NAME, QUEUE, call
from tests.chaos.campaign.notes import ACCEPTED, SUBMITS, Notes
from tests.chaos.campaign.orders import Orders
from tests.process.worker_main import end_with_parent

AT_ONCE = 4
PAUSE_S = 1.0
_AGAIN_S = 0.05


class Producer:
    """Submits jobs by name, several at once, until it is told to stop."""

    def __init__(self, client: Client, notes: Notes, seed: int, launch: int) -> None:
        self._client = client
        self._note = notes.note
        self._seed = seed
        self._numbers: Iterator[int] = count(FIRST_BY_NAME + launch * A_LAUNCH)
        self._draw = random.Random()
        self.is_over = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._submit_now_and_then())

    async def _submit_now_and_then(self) -> None:
        while not self.is_over.is_set():
            await self._submit(next(self._numbers))
            await asyncio.sleep(self._draw.uniform(0, PAUSE_S))

    async def _submit(self, number: int) -> None:
        job = call(self._seed, number)
        self._note(SUBMITS, number, time.time_ns() // 1000)
        while True:
            try:
                await self._client.submit(job.task, job.args, JobOptions(id=f"c{number}", **job.options))
            except StoreUnavailable:
                await asyncio.sleep(_AGAIN_S)
            else:
                self._note(ACCEPTED, number)
                return


async def main() -> None:
    orders = Orders.given()
    settings = Settings.model_validate({"redis_url": orders.url, **orders.settings})
    async with Client(QUEUE, settings=settings) as client:
        producer = Producer(client, Notes(orders.notes), orders.seed, orders.launch)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, producer.is_over.set)
        print("working", flush=True)
        await producer.run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    threading.Thread(target=end_with_parent, daemon=True).start()
    uvloop.run(main())
