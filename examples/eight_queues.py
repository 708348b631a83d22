"""Eight queues and a hash, one limit over all of them: `python -m examples.eight_queues`.

For more than one Redis can do. Each tenant's jobs are in one queue, so its own limit, its order and its fair share are kept there; what all
tenants together may do is a shared limit. With RUNNER_REDIS_URL=redis+cluster://... the queues lie on all servers of a cluster. In production each
queue has workers of its own: `QUEUE=3 python -m runner worker --app examples.eight_queues:jobs`.
"""

import argparse
import asyncio
import logging
import os
import sys
import zlib
from collections import Counter
from contextlib import AsyncExitStack
from time import monotonic

from examples.command import exit_status
from runner import JobHandle, Runner, Task, TokenBucket

QUEUES = 8
PROVIDER = TokenBucket("provider", rate="200/s", burst=50, shared="eight-queues")
TENANT = TokenBucket("tenant", rate="30/s", burst=10, key="{tenant}")

ran = Counter[int]()
"""Jobs that this process has run, by the number of their queue."""


def declared(number: int) -> tuple[Runner, Task[[str, int], int]]:
    """One of the queues, with its own task of the same name and limits."""
    app = Runner(f"eight-{number}")

    @app.task(limits=[PROVIDER, TENANT])
    async def send(tenant: str, message: int) -> int:
        ran[number] += 1
        return message

    return app, send


DECLARED = [declared(number) for number in range(QUEUES)]
APPS, SENDS = [app for app, _ in DECLARED], [send for _, send in DECLARED]
jobs = APPS[int(os.environ.get("QUEUE", "0"))]


def queue_of(tenant: str) -> int:
    """The same for a tenant in every process and after every restart, unlike `hash`."""
    return zlib.crc32(tenant.encode()) % QUEUES


async def submit(tenant: str, message: int) -> JobHandle[int]:
    """One job, into the queue of its tenant."""
    return await SENDS[queue_of(tenant)].submit(tenant, message)


async def run(tenants: int, messages: int) -> int:
    """Submit, run all, and tell what came of it."""
    names = [f"t{number}" for number in range(tenants)]
    async with AsyncExitStack() as stack:
        for app in APPS:
            await stack.enter_async_context(app.running(worker=True))
        began_s = monotonic()
        handles = [await submit(tenant, message) for message in range(messages) for tenant in names]
        await asyncio.gather(*(handle.result(timeout=300) for handle in handles))
        took_s = monotonic() - began_s
    least_s = (len(handles) - PROVIDER.capacity) * PROVIDER.every_us / PROVIDER.refill / 1_000_000
    print("queue    " + "".join(f"{number:>7}" for number in range(QUEUES)))
    print("tenants  " + "".join(f"{sum(queue_of(name) == number for name in names):>7}" for number in range(QUEUES)))
    print("jobs     " + "".join(f"{ran[number]:>7}" for number in range(QUEUES)))
    print(f"{len(handles)} jobs in {took_s:.1f} s; {PROVIDER.words} permits that in {least_s:.1f} s")
    return 0


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m examples.eight_queues")
    parser.add_argument("--tenants", type=int, default=40, help="how many there are (40)")
    parser.add_argument("--messages", type=int, default=50, help="how many each of them sends (50)")
    given = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    return exit_status(run(given.tenants, given.messages), "stopped; what has not run waits in its queue")


if __name__ == "__main__":
    sys.exit(main())
