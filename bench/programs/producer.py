"""A steady load: submits jobs that do nothing at a rate, in small groups, until its input ends; then says how many."""

import argparse
import asyncio

import uvloop

from bench.programs import standard_input
from bench.workload import QUEUE, build
from runner import load_settings
from runner.clock import monotonic_s

_GROUP_S = 0.002


async def main(rate: int) -> None:
    app = build(QUEUE, load_settings())
    task, sent = app.tasks["noop"], 0
    orders = await standard_input()
    await app.submit_many([])  # publishes its tasks
    print("ready", flush=True)
    await orders.readline()
    begun_s, end = monotonic_s(), asyncio.create_task(orders.readline())
    while not end.done():
        due = int((monotonic_s() - begun_s) * rate)
        if due > sent:
            await app.submit_many([task.prepare() for _ in range(due - sent)])
            sent = due
        await asyncio.wait([end], timeout=_GROUP_S)
    print(f"{sent / (monotonic_s() - begun_s):.0f}", flush=True)
    await app.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rate", type=int, help="jobs a second")
    uvloop.run(main(parser.parse_args().rate))
