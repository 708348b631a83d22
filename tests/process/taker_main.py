"""A process that takes tokens without a worker: `python -m tests.process.taker_main URL QUEUE COUNT HOLD_S`.

It stands in line COUNT times, one after the other, and says `taken` each time; HOLD_S above 0 asks for a slot and holds it so long.
"""

import asyncio
import sys

from runner import Concurrency, Runner, Settings, TokenBucket

PACED = TokenBucket("paced", capacity=1, refill=1, every=0.3)
GPU = Concurrency("gpu", 1)


async def main() -> None:
    url, queue, count, hold_s = sys.argv[1:]
    jobs = Runner(queue, settings=taker_settings(url))
    jobs.limit(PACED)
    jobs.limit(GPU)
    for _ in range(int(count)):
        if float(hold_s):
            async with jobs.slot(GPU):
                print("taken", flush=True)
                await asyncio.sleep(float(hold_s))
        else:
            await jobs.take(PACED, wait=None)
            print("taken", flush=True)
    await jobs.close()


def taker_settings(url: str) -> Settings:
    return Settings(redis_url=url, lease_s=2.0, renew_s=0.4, block_s=0.5)


if __name__ == "__main__":
    asyncio.run(main())
