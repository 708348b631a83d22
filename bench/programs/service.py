"""The HTTP service that is measured, as `python -m runner api` serves it: says `ready` and where."""

import asyncio

import uvloop

from bench.programs import standard_input
from bench.workload import QUEUE
from runner import load_settings
from runner.http.server import serve


async def main() -> None:
    stopping, orders = asyncio.Event(), await standard_input()
    serving = asyncio.create_task(
        serve(QUEUE, settings=load_settings(), port=0, on_started=lambda url: print("ready", url, flush=True), stopping=stopping)
    )
    await asyncio.wait([serving, asyncio.create_task(orders.read())], return_when=asyncio.FIRST_COMPLETED)
    stopping.set()
    await serving


if __name__ == "__main__":
    uvloop.run(main())
