"""A producer in plain code: threads, and no event loop of its own: `python -m tests.chaos.campaign.in_plain_code` and its `Orders`.

Each thread submits a job, waits for its result, and notes whether that is the right one. SIGTERM: the threads ask for no more.
"""

import logging
import random
import signal
import threading
import time
from itertools import count
from typing import Any
from uuid import UUID

from runner import StoreUnavailable
from tests.chaos.campaign.calls import A_LAUNCH, FIRST_PLAIN, Call, call, plain_version
from tests.chaos.campaign.notes import ACCEPTED, LATE, RIGHT, SUBMITS, WRONG, Notes
from tests.chaos.campaign.orders import Orders
from tests.chaos.campaign.workload import Workload
from tests.process.worker_main import end_with_parent

THREADS = 6
PAUSE_S = 1.0
PATIENCE_S = 20.0
_AGAIN_S = 0.05


def result_of(job: Call) -> object:
    """What the job returns, of the type that its task returns."""
    match job.task:
        case "per_account":
            return UUID(job.args["account"])
        case "per_branch":
            return int(job.args["branch"])
    return job.args["number"]


class Producer:
    """Submits jobs and waits for their results, in several threads."""

    def __init__(self, work: Workload, notes: Notes, seed: int, launch: int) -> None:
        self._work = work
        self._note = notes.note
        self._seed = seed
        self._numbers = count(FIRST_PLAIN + launch * A_LAUNCH)
        self.is_over = threading.Event()

    def run(self) -> None:
        """Until it is over and all threads have ended."""
        threads = [threading.Thread(target=self._work_on) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work_on(self) -> None:
        while not self.is_over.wait(random.uniform(0, PAUSE_S)):
            number = next(self._numbers)
            self._ask(number, call(self._seed, number))

    def _ask(self, number: int, job: Call) -> None:
        self._note(SUBMITS, number, time.time_ns() // 1000)
        handle = self._submitted(number, job)
        self._note(ACCEPTED, number)
        try:
            result = handle.result(timeout=PATIENCE_S)
        except (TimeoutError, StoreUnavailable):  # it is away for long, or the job waits for its limit
            self._note(LATE, number)
        else:
            expected = result_of(job)
            if result == expected and type(result) is type(expected):
                self._note(RIGHT, number)
            else:
                self._note(WRONG, number, repr(result), "instead of", repr(expected))

    def _submitted(self, number: int, job: Call) -> Any:
        task = self._work.task(job.task).with_options(id=f"c{number}", **job.options)
        while True:
            try:
                return task.blocking.submit(**job.args)
            except StoreUnavailable:
                time.sleep(_AGAIN_S)


def main() -> None:
    orders = Orders.given()
    work = Workload(orders.url, None, plain_version(orders.launch), **orders.settings)
    producer = Producer(work, Notes(orders.notes), orders.seed, orders.launch)
    signal.signal(signal.SIGTERM, lambda *_: producer.is_over.set())
    print("working", flush=True)
    producer.run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    threading.Thread(target=end_with_parent, daemon=True).start()
    main()
