"""What comes in from outside: jobs at a steady rate, and people who cancel, retry and change limits. All of it repeats until answered."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol

import httpx
from redis.asyncio import Redis

from runner import Concurrency, Limit, Runner, RunnerError, SlidingWindow, StoreUnavailable, Submission, Task, TokenBucket
from tests.app_internals import store_of
from tests.chaos.campaign.asking import AGAIN_S, now_us, until_answered
from tests.chaos.campaign.branch import contract
from tests.chaos.campaign.calls import LIMITED, Call
from tests.chaos.campaign.ledger import Ledger, Submitted
from tests.chaos.campaign.posts import Api
from tests.chaos.campaign.schedule import deeds
from tests.chaos.campaign.tokens import Spell
from tests.chaos.campaign.workload import METERED, SLOTS, STEPPED, WINDOWED, Workload

_TICK_S = 0.1
_MOST_AT_ONCE = 500

_LOWERED: tuple[tuple[Limit, dict[str, Any], Limit], ...] = (
    (METERED, {"rate": "15/s", "burst": 5}, TokenBucket("metered", rate="15/s", burst=5)),
    (STEPPED, {"capacity": 5, "refill": 5, "every": 1}, TokenBucket("stepped", capacity=5, refill=5, every=1)),
    (WINDOWED, {"capacity": 15}, SlidingWindow("windowed", 15, per=2)),
    (SLOTS, {"capacity": 3}, Concurrency("slots", 3)),
    (contract.CONTRACT, {"rate": "10/s", "burst": 4}, contract.LOWERED),
)
"""Limits that are lowered for a while: which, by which numbers, and what is in force then."""


class Work(Protocol):
    """An application with its tasks."""

    @property
    def runner(self) -> Runner[Any]: ...

    def task(self, name: str) -> Task[..., Any]: ...


def prepared(work: Work, number: int, job: Call) -> Submission:
    """The submission of a job by the code of a version."""
    return work.task(job.task).with_options(id=f"c{number}", **job.options).prepare(**job.args)


class Producer:
    """Submits the jobs of the schedule in order, by the code of both versions and over HTTP, each again under its id until it is answered."""

    def __init__(self, works: Mapping[int, Work], api: Api | None, ledger: Ledger, call_of: Callable[[int], Call], rate: float) -> None:
        self._works = works
        self._api = api
        self._ledger = ledger
        self._call_of = call_of
        self._rate = rate
        self._next = 0

    @property
    def submitted(self) -> int:
        return self._next

    async def run(self, until_s: float) -> None:
        """Submit at the rate until the time is up; what could not be submitted in time follows."""
        began_s = time.monotonic()
        while (passed_s := time.monotonic() - began_s) < until_s or self._next < int(until_s * self._rate):
            due = min(int(min(passed_s, until_s) * self._rate) - self._next, _MOST_AT_ONCE)
            if due <= 0:
                await asyncio.sleep(_TICK_S)
                continue
            jobs = {number: self._call_of(number) for number in range(self._next, self._next + due)}
            self._note_submitted(jobs)
            await self._submit(jobs)
            self._ledger.accepted.update(jobs)
            self._next += due

    def _note_submitted(self, jobs: Mapping[int, Call]) -> None:
        now_us = time.time_ns() // 1000
        for number, job in jobs.items():
            if job.task in LIMITED:
                self._ledger.submitted[number] = Submitted(job.task, job.options["priority"], now_us)
            self._ledger.versions.note_submission(number, now_us)

    async def _submit(self, jobs: Mapping[int, Call]) -> None:
        """In one batch for each door that they come by."""
        for version, work in self._works.items():
            batch = [
                prepared(work, number, job) for number, job in jobs.items() if job.version == version and not self._goes_over_http(job)
            ]
            if batch:
                await until_answered(partial(work.runner.submit_many, batch))
        if self._api is not None and (others := {number: job for number, job in jobs.items() if job.by_http}):
            await self._submit_by_api(self._api, others)

    def _goes_over_http(self, job: Call) -> bool:
        return self._api is not None and job.by_http

    async def _submit_by_api(self, api: Api, jobs: Mapping[int, Call]) -> None:
        body = {"jobs": [{"id": f"c{number}", "task": job.task, "args": job.args, **job.options} for number, job in jobs.items()]}
        while True:
            try:
                answer = await api.http.post("/v1/jobs/batch", json=body)
            except httpx.HTTPError:
                await asyncio.sleep(AGAIN_S)
                continue
            if answer.status_code == httpx.codes.ACCEPTED:
                return
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                raise RuntimeError(f"the API answered {answer.status_code}: {answer.text[:500]}")
            await asyncio.sleep(AGAIN_S)


class People:
    """Cancel jobs, retry failed ones, and lower, pause or freeze limits for a moment."""

    def __init__(self, work: Workload, producer: Producer, ledger: Ledger, redis: Redis, seed: int) -> None:
        self._client = work.runner.client
        self._producer = producer
        self._ledger = ledger
        self._redis = redis
        self._seed = seed

    async def run(self, until_s: float) -> None:
        began_s = time.monotonic()
        for deed in deeds(self._seed, until_s):
            await asyncio.sleep(max(began_s + deed.at_s - time.monotonic(), 0))
            await getattr(self, f"_{deed.what}")(random.Random(deed.seed))

    async def _cancel(self, draw: random.Random) -> None:
        if newest := self._producer.submitted:
            number = max(newest - draw.randrange(300), 0)
            await until_answered(lambda: store_of(self._client).cancel(f"c{number}"))

    async def _retry(self, draw: random.Random) -> None:
        if self._ledger.failed_lately:
            number = draw.choice(self._ledger.failed_lately)
            # Counted before it is asked, and once for each time it is asked: a reply can be lost.
            while True:
                self._ledger.retried[number] += 1
                try:
                    await store_of(self._client).retry(f"c{number}")
                    return
                except StoreUnavailable:
                    await asyncio.sleep(AGAIN_S)

    async def _change_limit(self, draw: random.Random) -> None:
        limit, numbers, lowered = draw.choice(_LOWERED)
        how = draw.choice(["lower", "lower", "pause", "freeze"])
        seconds = draw.uniform(0.5, 3.0)
        if how == "lower":
            await self._asked(lambda: self._client.control.override(limit.name, **numbers))
        elif how == "pause":
            await self._asked(lambda: self._client.control.pause(limit.name))
        else:
            await self._asked(lambda: self._client.control.freeze(limit.name, 60.0))
        from_us = await now_us(self._redis)
        await asyncio.sleep(seconds)
        until_us = await now_us(self._redis)
        if how == "lower":
            await self._asked(lambda: self._client.control.restore(limit.name))
        elif how == "pause":
            await self._asked(lambda: self._client.control.resume(limit.name))
        else:
            await self._asked(lambda: self._client.control.release(limit.name))
        if not isinstance(limit, Concurrency) or how != "lower":
            most = lowered.bound((until_us - from_us) / 1_000_000) if how == "lower" else 0
            is_shared = limit.shared is not None
            spells = contract.spells_of(from_us, until_us, most) if is_shared else [Spell(limit.name, from_us, until_us, most)]
            self._ledger.tokens.spells += spells

    async def _asked(self, ask: Callable[[], Awaitable[object]]) -> None:
        try:
            await until_answered(ask)
        except RunnerError as error:
            raise RuntimeError(f"a limit could not be changed: {error}") from error
