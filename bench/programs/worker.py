"""The worker that is measured: warms up on a queue of its own, says `ready`, and starts on the real one at a line of input."""

import argparse
import asyncio
import os

import uvloop

from bench.programs import standard_input
from bench.workload import build
from runner import Runner, TokenBucket, Worker, load_settings

WARM_UP_JOBS = 1_000
_WARM_UP_S = 30.0
_POLL_S = 0.01


async def warm_up(app: Runner) -> None:
    """Run some jobs of each kind, so that imports, caches and scripts are there."""
    for name in ("noop", "limits_1"):
        await app.submit_many([app.tasks[name].prepare() for _ in range(WARM_UP_JOBS // 2)])
    worker = Worker(app)
    running = asyncio.create_task(worker.run())
    while worker.state.accepted < WARM_UP_JOBS:  # noqa: ASYNC110 - it announces nothing
        await asyncio.sleep(_POLL_S)
    worker.stop()
    await running
    await app.close()


async def main(queue: str, metered: TokenBucket, every_s: float) -> None:
    settings = load_settings()
    orders = await standard_input()
    async with asyncio.timeout(_WARM_UP_S):
        await warm_up(build(f"warm-up-{os.getpid()}", settings, metered, every_s))
    print("ready", flush=True)
    if not await orders.readline():
        return
    worker = Worker(build(queue, settings, metered, every_s))
    running = asyncio.create_task(worker.run())
    await asyncio.wait([running, asyncio.create_task(orders.read())], return_when=asyncio.FIRST_COMPLETED)
    worker.stop()
    await running


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("queue")
    parser.add_argument("rate", help="of the bucket `metered`")
    parser.add_argument("burst", type=int)
    parser.add_argument("every_s", type=float, help="after which a bucket of `metered-by-key` gives a token")
    given = parser.parse_args()
    uvloop.run(main(given.queue, TokenBucket("metered", rate=given.rate, burst=given.burst), given.every_s))
