"""The app that the process tests run: every handler first notes in a file that it runs, where no lost Redis can lose it."""

import asyncio
import contextlib
import ctypes
import os
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from runner import Concurrency, Quota, Runner, Settings, Task, TokenBucket, current_job

METERED = TokenBucket("metered", rate="100/s", burst=5)
SLOTS = Concurrency("slots", 3)
CALLS = Quota("calls", 1_000_000, per="day")
LIMITS = [METERED, SLOTS, CALLS]
FAST = {"lease_s": 2.0, "renew_s": 0.4, "reclaim_s": 0.3, "block_s": 0.5, "drain_s": 10.0, "concurrency": 5, "record_starts": True}


DEATHS: dict[str, Callable[[], object]] = {
    "exit": lambda: os._exit(9),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": partial(ctypes.string_at, 0),
}
"""How a job can take its worker with it."""


def eat_memory() -> int:
    """Ask for more memory than the process may have, as under `ulimit -v`; Linux only."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + 64_000_000, before[1]))
    try:
        return len(bytearray(1_000_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


PATIENT = {"command_timeout_s": 10.0}
"""For the test's own App where Redis is not made to fail: its calls do not fail on a busy machine."""


class App:
    """A Runner and its tasks. A job's number is also its id: `j<number>`."""

    def __init__(self, url: str, queue: str, folder: Path, **settings: object) -> None:
        self.runner = Runner(queue, settings=Settings.model_validate({**FAST, "redis_url": url, **settings}))
        self._log = folder / "runs"

        @self.runner.task
        async def nap(number: int, seconds: float = 0.0) -> int:
            self._note(number)
            await asyncio.sleep(seconds)
            return number

        @self.runner.task
        def block(number: int, seconds: float) -> int:
            self._note(number)
            time.sleep(seconds)
            return number

        @self.runner.task(limits=[METERED])
        async def metered(number: int, seconds: float = 0.0) -> int:
            self._note(number)
            await asyncio.sleep(seconds)
            return number

        @self.runner.task(limits=LIMITS)
        async def counted(number: int, seconds: float = 0.0) -> int:
            self._note(number)
            current_job().progress(number)
            current_job().observe("calls", {"x-ratelimit-remaining": "900000", "x-ratelimit-reset": "60"})
            current_job().observe("metered", {"x-ratelimit-remaining": str(METERED.capacity)})
            await asyncio.sleep(seconds)
            return number

        @self.runner.task
        async def lethal(number: int, how: str = "exit", seconds: float = 0.0) -> None:
            self._note(number)
            await asyncio.sleep(seconds)
            DEATHS[how]()

        @self.runner.task(retries=0)
        async def hungry(number: int) -> int:
            self._note(number)
            return eat_memory()

        @self.runner.task
        async def hog(number: int, seconds: float) -> int:
            self._note(number)
            time.sleep(seconds)  # noqa: ASYNC251 - the fault under test
            return number

        @self.runner.task(limits=LIMITS)
        async def overtaken(number: int) -> int:
            self._note(number)
            while self.runs()[f"j{number}"] == 1:  # noqa: ASYNC110 - another process says so in a file
                await asyncio.sleep(0.01)
            return number

        @self.runner.task
        async def stubborn(number: int, seconds: float) -> int:
            self._note(number)
            until_s = time.monotonic() + seconds
            while time.monotonic() < until_s:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(seconds)
            return number

        self.nap, self.block, self.metered, self.stubborn = nap, block, metered, stubborn
        self.lethal, self.hungry, self.hog = lethal, hungry, hog
        self.counted, self.overtaken = counted, overtaken

    def runs(self) -> Counter[str]:
        """How often each job's handler was begun, by job id."""
        return Counter(self._log.read_text().split()) if self._log.exists() else Counter()

    async def submit(self, task: Task[..., Any], numbers: range, *args: object, **options: Any) -> list[str]:
        """Submit one job for each number; returns their ids."""
        jobs = [task.with_options(id=f"j{number}", **options).prepare(number, *args) for number in numbers]
        return [job.id for job in await self.runner.submit_many(jobs)]

    def _note(self, number: int) -> None:
        descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, f"j{number}\n".encode())
        os.close(descriptor)
