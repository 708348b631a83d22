"""Forty events for each of five customers, of whom four are difficult: `python -m examples.webhooks_out`."""

import argparse
import asyncio
import logging
import secrets
import sys
import time

from examples.command import exit_status
from examples.local_server import serving
from examples.webhooks_out.receivers import CUSTOMERS, Receivers
from examples.webhooks_out.tasks import ENDPOINTS, jobs, publish
from runner import JobHandle, State


async def watch(handles: list[JobHandle[int]], receivers: Receivers, began_s: float) -> None:
    """A line each second: what each customer has got, of how many."""
    each = len(handles) // len(CUSTOMERS)
    while True:
        taken = "  ".join(f"{customer} {len(receivers.of[customer].taken):>3}" for customer in CUSTOMERS)
        print(f"{time.monotonic() - began_s:5.1f} s  of {each} each:  {taken}", flush=True)
        await asyncio.sleep(1)


async def run(count: int) -> int:
    receivers, run_id, began_s = Receivers(), secrets.token_hex(3), time.monotonic()
    async with serving(receivers) as url, jobs.running(worker=True):
        ENDPOINTS.update(receivers.endpoints(url))
        handles = [await publish(f"evt-{run_id}-{n}", customer, "order.paid", {"order": n}) for n in range(count) for customer in CUSTOMERS]
        watching = asyncio.create_task(watch(handles, receivers, began_s))
        try:
            states = [job.status.state async for job in jobs.as_completed(handles)]
        finally:
            watching.cancel()
    print(f"\n{'customer':<10}{'delivered':>10}{'attempts':>10}{'most at once':>14}{'last one after':>16}")
    for customer, received in receivers.of.items():
        last_s = max(received.attempts) - began_s
        print(f"{customer:<10}{len(received.taken):>10}{len(received.attempts):>10}{received.most_at_once:>14}{last_s:>14.1f} s")
    print(f"{states.count(State.succeeded)} delivered, {states.count(State.failed)} given up")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.webhooks_out")
    parser.add_argument("--count", type=int, default=40, help="how many events each customer gets (40)")
    given = parser.parse_args()
    logging.basicConfig(filename="webhooks.log", format="%(asctime)s %(message)s")
    return exit_status(run(given.count), "stopped; what was not delivered is tried again by the next worker of this queue")


if __name__ == "__main__":
    sys.exit(main())
