"""A customer who is down for twenty hours, and one who stays down, in the time of a test: `python -m examples.webhooks_out.a_day`."""

import asyncio
import logging
from datetime import timedelta

from examples.local_server import serving
from examples.webhooks_out.receivers import Receivers
from examples.webhooks_out.tasks import A_DAY_S, ENDPOINTS, jobs, publish
from runner import JobStatus
from runner.testing import TestQueue


async def tried(down_s: float) -> tuple[JobStatus, list[float]]:
    """What became of one delivery, and when it was tried, in seconds. The clock jumps to each attempt; the receiver has the same clock."""
    async with TestQueue(jobs) as queue:
        receivers = Receivers(down_s=down_s, clock=lambda: queue.seconds)
        async with serving(receivers) as url:
            ENDPOINTS.update(receivers.endpoints(url))
            job = await publish("evt-1", "down", "order.paid", {"order": 1})
            await queue.run_until_idle()
            return await job.status(), [start.at for start in queue.starts]


async def main() -> None:
    for down_s in (20 * 3600, 2 * A_DAY_S):
        status, starts = await tried(down_s)
        print(f"down for {timedelta(seconds=down_s)}: {status.state} after {len(starts)} attempts")
        print("  ", ", ".join(str(timedelta(seconds=round(at_s))) for at_s in starts))
        if status.error is not None:
            print("  ", status.error.type, status.error.message)


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    asyncio.run(main())
