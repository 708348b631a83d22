"""Orders are paid while answers are lost, and a worker is killed after a charge and before it has heard of it: `python -m examples.payments`."""

import argparse
import asyncio
import json
import os
import secrets
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from examples.command import exit_status
from examples.local_server import serving
from examples.payments.provider import Order, Provider
from examples.payments.tasks import jobs, pay
from runner import JobFailed, RunnerError

LOG = Path("payments.log")
APP = ("--app", "examples.payments.tasks:jobs")


async def started(*words: str) -> Process:
    """`python -m runner ...`, as in production; what it logs goes to a file."""
    with LOG.open("a") as log:  # noqa: ASYNC230 - a local file that is opened three times
        return await asyncio.create_subprocess_exec(sys.executable, "-m", "runner", *words, *APP, stdin=DEVNULL, stdout=PIPE, stderr=log)


async def stop(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    await process.communicate()


@asynccontextmanager
async def service() -> AsyncGenerator[str]:
    """The HTTP API with the dashboard; it comes first, so it has the embedded server, if one is needed. Gives the URL."""
    process = await started("api", "--port", "0", "--json")
    try:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            if (said := json.loads(line))["event"] == "listening":
                yield said["url"]
                return
        raise RunnerError(f"the API did not start: see {LOG}")
    finally:
        await stop(process)


class Crew:
    """A worker, which is killed once at its worst moment: the money has moved, and only the provider knows."""

    def __init__(self, kill_at: int) -> None:
        self._worker: Process | None = None
        self._left = kill_at

    async def start(self) -> None:
        self._worker = await started("worker")

    async def charged(self, order: Order) -> None:
        self._left -= 1
        if self._left == 0 and self._worker is not None:
            self._worker.send_signal(signal.SIGKILL)
            await self._worker.wait()
            print(f"kill -9 of the worker: {order.order} was charged, and no worker has heard of it", flush=True)
            await self.start()

    async def stop(self) -> None:
        if self._worker is not None:
            await stop(self._worker)


async def run(count: int) -> int:
    crew, run_id = Crew(kill_at=count // 3), secrets.token_hex(3)
    provider = Provider(charged=crew.charged)
    async with serving(provider) as url:
        os.environ["PAYMENTS_URL"] = url
        async with service() as api_url, jobs.running():
            print(f"dashboard {api_url}/ui/", flush=True)
            await crew.start()
            try:
                paid, declined = await results(run_id, count)
            finally:
                await crew.stop()
    print(f"{count} orders: {paid} paid, {declined} declined by the bank")
    print("the provider counted", ", ".join(f"{name} {number}" for name, number in provider.counts.items()))
    print(f"charges made: {len(provider.charges)}, orders charged twice: {len(provider.twice)}")
    return 0 if paid == len(provider.charges) and not provider.twice else 1


async def results(run_id: str, count: int) -> tuple[int, int]:
    """Every order is paid for twice, as by a customer who clicks again: it is one job. Returns how many were paid and declined."""
    orders = [(f"{run_id}-{n}", 1_000 + n if n % 20 else 200_000) for n in range(count)]
    handles = [await pay(*order) for order in orders]
    again = [await pay(*order) for order in orders]
    assert [one.id for one in again] == [one.id for one in handles]
    declined = 0
    async for job in jobs.as_completed(handles, timeout=300):
        try:
            job.result()
        except JobFailed:
            declined += 1
    return count - declined, declined


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.payments")
    parser.add_argument("--count", type=int, default=200, help="how many orders (200)")
    given = parser.parse_args()
    return exit_status(run(given.count), "stopped; what was accepted goes on with the next worker of this queue")


if __name__ == "__main__":
    sys.exit(main())
