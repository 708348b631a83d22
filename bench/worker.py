"""The worker program that is measured: warms up on a queue of its own, says `ready`, and starts on the real one at a line of input.

It stops when its input ends, so that it never outlives who started it.
"""

import argparse
import asyncio
import os
import sys

import uvloop

from bench.workload import build
from runner import Runner, TokenBucket, Worker, load_settings

WARM_UP_JOBS = 1_000
_WARM_UP_S = 20.0
_POLL_S = 0.01


async def warm_up(app: Runner) -> None:
    """Run some jobs of each kind, so that imports, caches and scripts are there."""
    for name in ("noop", "limited"):
        await app.submit_many([app.tasks[name].prepare() for _ in range(WARM_UP_JOBS // 2)])
    worker = Worker(app)
    running = asyncio.create_task(worker.run())
    while worker.completion is None or worker.completion.counts["accepted"] < WARM_UP_JOBS:  # noqa: ASYNC110 - it announces nothing
        await asyncio.sleep(_POLL_S)
    worker.stop()
    await running
    await app.close()


async def standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def main(queue: str, metered: TokenBucket) -> None:
    settings = load_settings()
    orders = await standard_input()
    async with asyncio.timeout(_WARM_UP_S):
        await warm_up(build(f"warm-up-{os.getpid()}", settings, metered))
    print("ready", flush=True)
    if not await orders.readline():
        return
    worker = Worker(build(queue, settings, metered))
    running = asyncio.create_task(worker.run())
    await asyncio.wait([running, asyncio.create_task(orders.read())], return_when=asyncio.FIRST_COMPLETED)
    worker.stop()
    await running


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("queue")
    parser.add_argument("rate", help="of the bucket `metered`")
    parser.add_argument("burst", type=int)
    given = parser.parse_args()
    uvloop.run(main(given.queue, TokenBucket("metered", rate=given.rate, burst=given.burst)))
