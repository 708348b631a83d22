"""The app that the process tests run: every handler first notes in a file that it runs, where no lost Redis can lose it."""

import asyncio
import contextlib
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

from runner import Concurrency, Quota, Runner, Settings, Task, TokenBucket

METERED = TokenBucket("metered", rate="100/s", burst=5)
SLOTS = Concurrency("slots", 3)
CALLS = Quota("calls", 1_000_000, per="day")
LIMITS = [METERED, SLOTS, CALLS]
FAST = {"lease_s": 2.0, "renew_s": 0.4, "reclaim_s": 0.3, "block_s": 0.5, "drain_s": 10.0, "concurrency": 5, "record_starts": True}


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
            await asyncio.sleep(seconds)
            return number

        @self.runner.task
        async def lethal(number: int) -> None:
            self._note(number)
            os._exit(9)

        @self.runner.task
        async def stubborn(number: int, seconds: float) -> int:
            self._note(number)
            until_s = time.monotonic() + seconds
            while time.monotonic() < until_s:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(seconds)
            return number

        self.nap, self.block, self.metered, self.lethal, self.stubborn = nap, block, metered, lethal, stubborn
        self.counted = counted

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
