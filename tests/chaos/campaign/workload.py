"""The work of a campaign: tasks of every kind under limits of every kind. Each run is noted in a file of its worker's own."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runner import Backoff, Concurrency, Limit, Quota, RateLimited, Runner, Settings, SlidingWindow, Task, TokenBucket, current_job

QUEUE = "campaign"

METERED = TokenBucket("metered", rate="40/s", burst=20)
STEPPED = TokenBucket("stepped", capacity=20, refill=10, every=1)
TENANT = TokenBucket("tenant", rate="5/s", burst=5, key="{tenant}")
PROVIDER = TokenBucket("provider", rate="20/s", burst=5)
SCARCE = TokenBucket("scarce", rate="1/s", burst=2)
WINDOWED = SlidingWindow("windowed", 40, per=2)
SLOTS = Concurrency("slots", 8)
HOURLY = Quota("hourly", 200, per="hour", on_exhausted="fail")
LIMITS: tuple[Limit, ...] = (METERED, STEPPED, TENANT, PROVIDER, SCARCE, WINDOWED, SLOTS, HOURLY)

SOON = Backoff(base=0.2, cap=0.5)

BEGAN, ENDED, STOPPED = "B", "E", "S"
"""What a line of the notes says of a run: it began, it came to its end by itself, it was stopped from outside."""


class Workload:
    """A Runner with the tasks. The job of number n has the id `c<n>`; a worker process gives the file its runs are noted in."""

    def __init__(self, url: str, notes: Path | None, **settings: Any) -> None:
        self.runner = Runner(QUEUE, settings=Settings.model_validate({"redis_url": url, **settings}))
        self._notes = None if notes is None else os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._declare_plain()
        self._declare_limited()

    def task(self, name: str) -> Task[..., Any]:
        return self.runner.tasks[name]

    def _declare_plain(self) -> None:
        task = self.runner.task

        @task
        async def plain(number: int) -> int:
            with self._run(number):
                return number

        @task
        def threaded(number: int, seconds: float) -> int:
            with self._run(number):
                time.sleep(seconds)
                return number

        @task
        async def slow(number: int, seconds: float) -> int:
            with self._run(number):
                await asyncio.sleep(seconds)
                return number

        @task(backoff=SOON)
        async def flaky(number: int, failures: int) -> int:
            with self._run(number):
                if current_job().failures < failures:
                    raise RuntimeError("as planned")
                return number

        @task(retries=1, backoff=SOON)
        async def doomed(number: int) -> None:
            with self._run(number):
                raise RuntimeError("as planned")

    def _declare_limited(self) -> None:
        task = self.runner.task

        @task(limits=[METERED])
        async def metered(number: int) -> None:
            with self._run(number):
                pass

        @task(limits=[STEPPED])
        async def stepped(number: int) -> None:
            with self._run(number):
                pass

        @task(limits=[WINDOWED])
        async def windowed(number: int) -> None:
            with self._run(number):
                pass

        @task(limits=[TENANT])
        async def keyed(number: int, tenant: str) -> None:
            with self._run(number):
                pass

        @task(limits=[SLOTS])
        async def slotted(number: int, seconds: float) -> None:
            with self._run(number):
                await asyncio.sleep(seconds)

        @task(limits=[METERED, TENANT, SLOTS], cost={"metered": "tokens"})
        async def mixed(number: int, tenant: str, tokens: int) -> None:
            with self._run(number):
                await asyncio.sleep(0.02)

        @task(limits=[SCARCE], max_wait=2.0)
        async def hasty(number: int) -> None:
            with self._run(number):
                pass

        @task(limits=[HOURLY])
        async def rationed(number: int) -> None:
            with self._run(number):
                pass

        @task(limits=[PROVIDER])
        async def told_to_wait(number: int) -> None:
            with self._run(number):
                if current_job().attempt == 1:
                    raise RateLimited("provider", retry_after=0.2)

    @contextmanager
    def _run(self, number: int) -> Iterator[None]:
        attempt = current_job().attempt
        self._note(BEGAN, number, attempt)
        try:
            yield
        except asyncio.CancelledError:
            self._note(STOPPED, number, attempt)
            raise
        except BaseException:
            self._note(ENDED, number, attempt)
            raise
        self._note(ENDED, number, attempt)

    def _note(self, what: str, number: int, attempt: int) -> None:
        if self._notes is not None:  # one write, which the page cache keeps though the process is killed
            os.write(self._notes, f"{what} {number} {attempt}\n".encode())
