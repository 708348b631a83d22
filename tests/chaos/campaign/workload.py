"""The work of a campaign: tasks of every kind under limits of every kind, in two versions. Each run is noted in its worker's notes."""

import asyncio
import time
from pathlib import Path
from typing import Any
from uuid import UUID

from runner import (
    Backoff,
    Children,
    Concurrency,
    Limit,
    Quota,
    RateLimited,
    Runner,
    Settings,
    SlidingWindow,
    Task,
    TokenBucket,
    current_job,
)
from tests.chaos.campaign import new_version, odd_provider, old_version
from tests.chaos.campaign.branch.contract import CONTRACT
from tests.chaos.campaign.calls import NEW, QUEUE
from tests.chaos.campaign.notes import Notes
from tests.chaos.campaign.players import cast

METERED = TokenBucket("metered", rate="40/s", burst=20)
STEPPED = TokenBucket("stepped", capacity=20, refill=10, every=1)
TENANT = TokenBucket("tenant", rate="5/s", burst=5, key="{tenant}")
PROVIDER = TokenBucket("provider", rate="20/s", burst=5)
SCARCE = TokenBucket("scarce", rate="1/s", burst=2)
WINDOWED = SlidingWindow("windowed", 40, per=2)
SLOTS = Concurrency("slots", 8)
CRAWL = TokenBucket("crawl", rate="3/s", burst=2)
SHARED = TokenBucket("shared", rate="10/s", burst=1)
"""Takers want it all the time: a token too many would show at once."""
BURSTS = TokenBucket("bursts", capacity=40, refill=40, every=12)
HOURLY = Quota("hourly", 400, per="hour", on_exhausted="fail")
ACCOUNTS = TokenBucket("accounts", rate="4/s", burst=4, key="{account}")
BRANCHES = TokenBucket("branches", rate="4/s", burst=4, key="{branch}")
_COMMON = (
    CONTRACT,
    METERED,
    STEPPED,
    TENANT,
    PROVIDER,
    SCARCE,
    WINDOWED,
    SLOTS,
    CRAWL,
    SHARED,
    BURSTS,
    HOURLY,
    ACCOUNTS,
    BRANCHES,
    odd_provider.ODD,
)
LIMITS: tuple[Limit, ...] = (*_COMMON, *new_version.LIMITS, *cast.LIMITS)
"""As they are in force: those of the new version, whatever an old worker or producer declares after it."""

SOON = Backoff(base=0.2, cap=0.5)


class Workload:
    """A Runner with the tasks of a version. The job of number n has the id `c<n>`; a worker's process gives the file for its notes."""

    def __init__(self, url: str, notes: Path | None, version: int, **settings: Any) -> None:
        self.runner = Runner(
            QUEUE, settings=Settings.model_validate({"redis_url": url, **settings}), revision=version, children=Children(size=1)
        )
        noted = Notes(notes)
        self._run = run = noted.run_of(version)
        self._declare_plain()
        self._declare_limited()
        self._declare_of_several_limits()
        self._declare_keyed_by_spelled_values()
        odd_provider.declare(self.runner, run)
        cast.declare(self.runner, noted.play, version)
        (new_version if version == NEW else old_version).declare(self.runner, run)

    def task(self, name: str) -> Task[..., Any]:
        return self.runner.tasks[name]

    def _declare_plain(self) -> None:
        task, run = self.runner.task, self._run

        @task
        async def plain(number: int) -> int:
            with run(number):
                return number

        @task
        def threaded(number: int, seconds: float) -> int:
            with run(number):
                time.sleep(seconds)
                return number

        @task
        async def slow(number: int, seconds: float) -> int:
            with run(number):
                await asyncio.sleep(seconds)
                return number

        @task(backoff=SOON)
        async def flaky(number: int, failures: int) -> int:
            with run(number):
                if current_job().failures < failures:
                    raise RuntimeError("as planned")
                return number

        @task(retries=1, backoff=SOON)
        async def doomed(number: int) -> None:
            with run(number):
                raise RuntimeError("as planned")

    def _declare_limited(self) -> None:
        task, run = self.runner.task, self._run

        @task(limits=[METERED])
        async def metered(number: int) -> None:
            with run(number):
                pass

        @task(limits=[STEPPED])
        async def stepped(number: int) -> None:
            with run(number):
                pass

        @task(limits=[WINDOWED])
        async def windowed(number: int) -> None:
            with run(number):
                pass

        @task(limits=[TENANT])
        async def keyed(number: int, tenant: str) -> None:
            with run(number):
                pass

        @task(limits=[SLOTS])
        async def slotted(number: int, seconds: float) -> None:
            with run(number):
                await asyncio.sleep(seconds)

        @task(limits=[SCARCE], max_wait=2.0)
        async def hasty(number: int) -> None:
            with run(number):
                pass

        @task(limits=[HOURLY])
        async def rationed(number: int) -> None:
            with run(number):
                pass

        @task(limits=[CONTRACT], cost={"contract": "tokens"})
        async def spending(number: int, tokens: int) -> None:
            with run(number):
                pass

        @task(limits=[PROVIDER])
        async def told_to_wait(number: int) -> None:
            with run(number):
                if current_job().attempt == 1:
                    raise RateLimited("provider", retry_after=0.2)

    def _declare_of_several_limits(self) -> None:
        task, run = self.runner.task, self._run

        @task(limits=[METERED, TENANT, SLOTS], cost={"metered": "tokens"})
        async def mixed(number: int, tenant: str, tokens: int) -> None:
            with run(number):
                await asyncio.sleep(0.02)

        @task(limits=[SLOTS, CRAWL])
        async def crawling(number: int, seconds: float) -> None:
            with run(number):
                await asyncio.sleep(seconds)

        @task(limits=[WINDOWED, STEPPED], cost={"windowed": "pages", "stepped": "calls"})
        async def paired(number: int, pages: int, calls: int) -> None:
            with run(number):
                pass

        @task(limits=[TENANT, METERED, WINDOWED], fair_by="{tenant}")
        async def tripled(number: int, tenant: str) -> None:
            with run(number):
                pass

        @task(limits=[BURSTS, METERED])
        async def bursting(number: int) -> None:
            with run(number):
                pass

        @task(limits=[PROVIDER, SLOTS])
        async def asking(number: int, seconds: float) -> None:
            with run(number):
                await asyncio.sleep(seconds)

        @task(limits=[SHARED, STEPPED])
        async def alongside(number: int) -> None:
            with run(number):
                pass

        @task(limits=[CONTRACT, METERED])
        async def spending_metered(number: int) -> None:
            with run(number):
                pass

        @task(limits=[HOURLY, STEPPED])
        async def entitled(number: int) -> None:
            with run(number):
                pass

    def _declare_keyed_by_spelled_values(self) -> None:
        task, run = self.runner.task, self._run

        @task(limits=[ACCOUNTS])
        async def per_account(number: int, account: UUID) -> UUID:
            with run(number):
                return account

        @task(limits=[BRANCHES])
        async def per_branch(number: int, branch: int) -> int:
            with run(number):
                return branch
