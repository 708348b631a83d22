"""The HTTP service with a watch on its event loop. At each line of input after the first it says the longest time that the loop was blocked
since the line before: in ms, by the clock and of processor time."""

import asyncio
import time

import uvloop

from bench.programs import standard_input
from bench.workload import QUEUE
from runner import load_settings
from runner.http.server import serve

_TICK_S = 0.002


class Watch:
    """Ticks, and notes how late."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.forget()
        self._tick()

    def forget(self) -> None:
        self.longest_s = self.longest_cpu_s = 0.0
        self._due_s, self._cpu_s = self._loop.time(), time.thread_time()

    def _tick(self) -> None:
        now_s, cpu_s = self._loop.time(), time.thread_time()
        self.longest_s = max(self.longest_s, now_s - self._due_s)
        self.longest_cpu_s = max(self.longest_cpu_s, cpu_s - self._cpu_s)
        self._due_s, self._cpu_s = now_s + _TICK_S, cpu_s
        self._loop.call_later(_TICK_S, self._tick)


async def answer(orders: asyncio.StreamReader, watch: Watch) -> None:
    while await orders.readline():
        print(f"{watch.longest_s * 1000:.1f} {watch.longest_cpu_s * 1000:.1f}", flush=True)
        watch.forget()


async def main() -> None:
    stopping, orders, watch = asyncio.Event(), await standard_input(), Watch()
    serving = asyncio.create_task(
        serve(QUEUE, settings=load_settings(), port=0, on_started=lambda url: print("ready", url, flush=True), stopping=stopping)
    )
    await asyncio.wait([serving, asyncio.create_task(answer(orders, watch))], return_when=asyncio.FIRST_COMPLETED)
    stopping.set()
    await serving


if __name__ == "__main__":
    uvloop.run(main())
