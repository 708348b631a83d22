"""Probes: small jobs and takes past all proxies, which tell whether everything is well again."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from runner import StoreUnavailable, TakeRefused
from runner.connection.client import command
from tests.chaos.campaign.asking import until_answered
from tests.chaos.campaign.calls import FIRST_PROBE
from tests.chaos.campaign.ledger import Ledger
from tests.chaos.campaign.posts import KEYS
from tests.chaos.campaign.workload import CRAWL, Workload

_POLL_S = 0.02
_TAKEN_WITHIN_S = 1.0


class Probes:
    """The probes of one campaign, which it counts as jobs like any other."""

    def __init__(self, work: Workload, ledger: Ledger, redis: Redis) -> None:
        self._work = work
        self._ledger = ledger
        self._redis = redis
        self._next = FIRST_PROBE

    async def succeed(self, until_s: float, *, new_task: bool) -> bool:
        """Whether a plain, a delayed and a limited job have succeeded by then, and a take was answered.

        new_task: whether a worker lives that has the new task. Its job has succeeded then, or it waits for such a worker and says so.
        """
        probes = await asyncio.gather(
            self._succeeds(until_s),
            self._succeeds(until_s, delay=0.2),
            self._succeeds(until_s, task="metered", priority="high"),
            self.until(self._can_take, until_s),
            self._succeeds(until_s, task="refund", priority="high") if new_task else self._waits_for_a_worker(until_s),
        )
        return all(probes)

    async def until(self, ask: Callable[[], Awaitable[bool]], until_s: float) -> bool:
        """Ask again and again; no time-out around it, as the library's client can swallow a cancellation."""
        while time.monotonic() < until_s:
            if await self._asked(ask):
                return True
            await asyncio.sleep(_POLL_S)
        return False

    async def says_that_it_waits(self, number: int) -> bool:
        """Whether a job says that it waits for a worker that has its task."""
        state, reason = await command(self._redis, "HMGET", KEYS.job(f"c{number}"), "state", "reason")
        return bool(state == b"scheduled" and reason == b"no worker")

    async def _succeeds(self, until_s: float, task: str = "plain", **options: Any) -> bool:
        """Submit a job past all proxies; whether it has succeeded by then."""
        return await self.until(partial(self._has_succeeded, await self._submitted(task, **options)), until_s)

    async def _waits_for_a_worker(self, until_s: float) -> bool:
        """It is submitted past the workers that had the task a moment ago, so it can be told late that none has."""
        return await self.until(partial(self.says_that_it_waits, await self._submitted("refund")), until_s)

    async def _submitted(self, task: str, **options: Any) -> int:
        self._next += 1
        number = self._next
        job = self._work.task(task).with_options(id=f"c{number}", **options).prepare(number=number)
        await until_answered(lambda: self._work.runner.submit_many([job]))
        self._ledger.accepted.add(number)
        return number

    async def _has_succeeded(self, number: int) -> bool:
        state = await command(self._redis, "HGET", KEYS.job(f"c{number}"), "state")
        return bool(state == b"succeeded") or self._ledger.outcomes[number] > 0

    async def _can_take(self) -> bool:
        """A take without a worker, in line with all others."""
        try:
            await self._work.runner.take(CRAWL, wait=_TAKEN_WITHIN_S)
        except (StoreUnavailable, TakeRefused):
            return False
        return True

    async def _asked(self, ask: Callable[[], Awaitable[bool]]) -> bool:
        try:
            return await ask()
        except (RedisError, OSError):
            return False
