"""A campaign: workers at work on a steady stream of jobs, one fault after another, and the accounts at the end."""

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from runner import Settings
from runner.connection.client import command
from tests import invariants
from tests.chaos.campaign.faults import FAULTS, KEYS, Arena, Fault
from tests.chaos.campaign.ledger import SHOWN, Ledger
from tests.chaos.campaign.posts import Api, Post, Touched
from tests.chaos.campaign.producer import People, Producer, until_answered
from tests.chaos.campaign.report import Recovery, Report
from tests.chaos.campaign.schedule import Step, steps
from tests.chaos.campaign.workload import LIMITS, QUEUE, Workload
from tests.conftest import connect
from tests.leftovers import FINAL_STATES, keys_of
from tests.process.crew import worker_ids
from tests.proxy import Proxy
from tests.servers import Server

FIRST_PROBE = 1_000_000_000
"""Probes have numbers of their own, far above those of the schedule."""
_READ_S = 0.5
_POLL_S = 0.02
_SAMPLE_S = 30.0
_GIVEN_UP = 4.0
"""So many times its bound is waited for a recovery before the campaign goes on without it."""
_DRAINED_WITHIN_S = 90.0
_SLACK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Plan:
    """What a campaign is to do. `patience` widens the bounds, for machines that are busy with other things."""

    seed: int
    seconds: float
    folder: Path
    kind: str = "valkey"
    workers: int = 6
    rate: float = 130.0
    pause_s: float = 5.0
    with_api: bool = False
    patience: float = 1.0
    kinds: frozenset[str] = frozenset(FAULTS)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def all_settings(self) -> dict[str, Any]:
        """Short times, and results that are forgotten soon, so that memory shows what stays."""
        short = {"lease_s": 4.0, "renew_s": 1.0, "reclaim_s": 0.5, "block_s": 1.0, "drain_s": 10.0, "concurrency": 20}
        kept = {"result_ttl_s": 30.0, "failed_ttl_s": 30.0, "history_length": 200_000, "record_starts": True}
        return short | kept | self.settings

    @property
    def faults(self) -> dict[str, Fault]:
        return {name: fault for name, fault in FAULTS.items() if name in self.kinds and (self.with_api or fault.family != "api")}


class Campaign:
    """One campaign, from its plan to its report."""

    def __init__(self, plan: Plan, arena: Arena, work: Workload, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._arena = arena
        self._redis = arena.redis
        self._say = say
        self.ledger = Ledger(plan.folder)
        self._producer = Producer(work, arena.api, self.ledger, plan.seed, plan.rate)
        self._people = People(work, self._producer, self.ledger, self._redis, plan.seed)
        self._watcher = Workload(arena.server.url, None, **plan.all_settings)
        self._probes = FIRST_PROBE
        self._is_over = asyncio.Event()
        self.report = Report(plan.seed, plan.kind, plan.workers)

    async def run(self) -> Report:
        """Everything, in order. What goes wrong stands in the report."""
        began_s = time.monotonic()
        await asyncio.gather(*(post.start() for post in self._arena.posts))
        if self._arena.api is not None:
            await self._arena.api.start()
        before_bytes = await invariants.bytes_unaccounted(self._redis, QUEUE)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read())
            group.create_task(self._sample())
            async with asyncio.TaskGroup() as load:
                load.create_task(self._producer.run(self._plan.seconds))
                load.create_task(self._people.run(self._plan.seconds))
                await self._inject_all()
            self._say("the time is up; waiting for the last jobs")
            await self._let_everything_end()
            self._is_over.set()
        await self._close(before_bytes)
        self.report.seconds = time.monotonic() - began_s
        return self.report

    # Faults

    async def _inject_all(self) -> None:
        faults = self._plan.faults
        weights = {name: fault.weight for name, fault in faults.items()}
        families = {name: fault.family for name, fault in faults.items()}
        began_s = time.monotonic()
        for step in steps(self._plan.seed, self._plan.seconds, weights, families, self._plan.pause_s):
            if time.monotonic() - began_s > self._plan.seconds:
                break  # recoveries took longer than the schedule thought
            await asyncio.sleep(max(began_s + step.at_s - time.monotonic(), 0))
            await self._inject(step)

    async def _inject(self, step: Step) -> None:
        names = " and ".join(name for name, _ in step.faults)
        bound_s = max(FAULTS[name].bound_s(self._arena.settings) for name, _ in step.faults) * self._plan.patience
        touched = [job for jobs in await asyncio.gather(*(self._one(name, seed) for name, seed in step.faults)) for job in jobs]
        ended_s = time.monotonic()
        until_s = ended_s + bound_s * _GIVEN_UP
        probes = await asyncio.gather(
            self._probe(until_s), self._probe(until_s, delay=0.2), self._probe(until_s, task="metered", priority="high")
        )
        held = [job.job for job in touched if not await self._until(partial(job.is_elsewhere, self._redis), until_s)]
        if held or not all(probes):
            self.report.wrong("recovery", [f"{names}: not recovered within {bound_s * _GIVEN_UP:.1f} s; still held: {held[:SHOWN]}"])
        recovery = Recovery(names, time.monotonic() - ended_s, bound_s)
        self.report.recoveries.append(recovery)
        if recovery.seconds > bound_s:
            self.report.wrong("recovery", [f"{names}: recovered after {recovery.seconds:.1f} s, the bound is {bound_s:.1f} s"])
        self._say(f"{names}: {recovery.seconds:.2f} s ({len(touched)} jobs touched); {self._producer.submitted} jobs submitted")
        await self._staff()

    async def _staff(self) -> None:
        """A worker at each post again."""
        for post in self._arena.posts:
            if post.process is None or not post.process.runs:
                try:
                    await post.start()
                except (TimeoutError, AssertionError) as error:
                    self.report.wrong("start", [f"a worker did not come to work: {error}"])

    async def _one(self, name: str, seed: int) -> list[Touched]:
        """One fault. The other of two at once can be in its way: then it ends early, and what it did is measured all the same."""
        try:
            return await FAULTS[name].inject(self._arena, random.Random(seed))
        except (RedisError, OSError) as error:
            self._say(f"{name} ended early: {error}")
            return []

    async def _probe(self, until_s: float, task: str = "plain", **options: Any) -> bool:
        """Submit a job past all proxies; whether it has succeeded by then."""
        self._probes += 1
        number = self._probes
        job = self._watcher.task(task).with_options(id=f"c{number}", **options).prepare(number=number)
        await until_answered(lambda: self._watcher.runner.submit_many([job]))
        self.ledger.accepted.add(number)
        return await self._until(partial(self._has_succeeded, number), until_s)

    async def _has_succeeded(self, number: int) -> bool:
        state = await command(self._redis, "HGET", KEYS.job(f"c{number}"), "state")
        return bool(state == b"succeeded") or self.ledger.outcomes[number] > 0

    async def _until(self, ask: Callable[[], Awaitable[bool]], until_s: float) -> bool:
        """Ask again and again; no time-out around it, as the library's client can swallow a cancellation."""
        while time.monotonic() < until_s:
            if await self._asked(ask):
                return True
            await asyncio.sleep(_POLL_S)
        return False

    async def _asked(self, ask: Callable[[], Awaitable[bool]]) -> bool:
        try:
            return await ask()
        except (RedisError, OSError):
            return False

    # Accounts

    async def _read(self) -> None:
        # Ended by a flag, for the same reason.
        while not self._is_over.is_set():
            with suppress(RedisError, OSError):  # the server is away; everything waits there
                await self.ledger.read(self._redis)
            await asyncio.sleep(_READ_S)

    async def _sample(self) -> None:
        """How much memory the workers have, and the server besides its keys."""
        while not await self._ends_within(_SAMPLE_S):
            running = [post for post in self._arena.posts if post.process is not None and post.process.runs]
            try:
                self.report.worker_bytes.append(max(post.resident_bytes() for post in running))
                self.report.server_bytes.append(int((await self._redis.info("memory"))["used_memory"]))
            except (RedisError, OSError, ValueError):
                continue

    async def _ends_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._is_over.wait()
        return self._is_over.is_set()

    async def _let_everything_end(self) -> None:
        deadline_s = time.monotonic() + _DRAINED_WITHIN_S
        left: list[str] = ["not looked yet"]
        while left and time.monotonic() < deadline_s:
            await asyncio.sleep(_READ_S)
            if not self.ledger.unfinished:
                live = set((await worker_ids(self._redis, QUEUE)).values())
                left = await invariants.left_behind(self._redis, QUEUE, live)
        self.report.wrong("left behind", left)

    async def _close(self, before_bytes: int) -> None:
        """Take the workers down in order, and close the accounts."""
        ends = await asyncio.gather(*(self._drained(post) for post in self._arena.posts))
        self.report.wrong("exit status", [f"worker left with {status}" for status in ends if status != 0])
        await self.ledger.read(self._redis)
        waiting = int(await command(self._redis, "GET", KEYS.waiting) or 0)
        self.report.wrong("left behind", [f"{waiting} jobs are said to wait"] if waiting else [])
        self.report.wrong("left behind", await invariants.left_behind(self._redis, QUEUE))
        self.report.wrong("untold", await self._not_final())
        for what, found in self.ledger.findings(LIMITS).items():
            self.report.wrong(what, found)
        api = [self._arena.api.traceback] if self._arena.api is not None and self._arena.api.traceback else []
        self.report.wrong("traceback", [trace for post in self._arena.posts for trace in post.tracebacks] + api)
        self.report.account(self.ledger)
        self.report.check_growth()
        self.report.wrong("memory", await self._memory_kept(before_bytes))
        await self._watcher.runner.close()

    async def _drained(self, post: Post) -> int:
        post.signal(signal.SIGTERM)
        status = await post.ended()
        await post.clear()
        return status

    async def _not_final(self) -> list[str]:
        """Jobs that are still kept must be final: all have ended."""
        records = await invariants.records_of(self._redis, QUEUE, await self._kept())
        return [f"job {name} is {record.state!r}" for name, record in records.items() if record.state not in ("", *FINAL_STATES)]

    async def _kept(self) -> list[str]:
        return [name.removeprefix(KEYS.job("")) for name in await keys_of(self._redis, QUEUE) if name.startswith(KEYS.job(""))]

    async def _memory_kept(self, before_bytes: int) -> list[str]:
        """Once all results have expired the server must hold what it held at the start, up to what it keeps for itself."""
        settings = self._arena.settings
        deadline_s = time.monotonic() + max(settings.result_ttl_s, settings.failed_ttl_s) + _READ_S
        left = await self._kept()
        while left and time.monotonic() < deadline_s:
            await asyncio.sleep(_READ_S)
            left = await self._kept()
        await command(self._redis, "DEL", KEYS.history, KEYS.starts)
        now_bytes = await invariants.bytes_unaccounted(self._redis, QUEUE)
        grown = [f"{now_bytes} bytes are in no key, and {before_bytes} were"] if now_bytes > before_bytes * 1.05 + _SLACK_BYTES else []
        return [await self._description(name) for name in left] + grown

    async def _description(self, name: str) -> str:
        key = KEYS.job(name)
        return f"job {name} is still there for {await self._redis.pttl(key)} ms: {await self._redis.hgetall(key)}"


@asynccontextmanager
async def prepared(plan: Plan, say: Callable[[str], None]) -> AsyncIterator[Campaign]:
    """A campaign with its server, its proxies and its processes; all are gone afterwards."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        server = stack.enter_context(Server(plan.kind, appendonly=True, options={"appendfsync": "always"}))
        redis: Redis = await stack.enter_async_context(connect(server.url))
        posts = []
        for number in range(plan.workers):
            proxy = await stack.enter_async_context(Proxy(server.url))
            posts.append(Post(number, proxy, plan.folder, plan.all_settings))
        producer = await stack.enter_async_context(Proxy(server.url))
        api = None
        if plan.with_api:
            api = Api(await stack.enter_async_context(Proxy(server.url)), plan.folder, plan.all_settings)
            stack.push_async_callback(api.close)
        for post in posts:
            stack.push_async_callback(post.clear)
        work = Workload(producer.url, None, **plan.all_settings)
        stack.push_async_callback(work.runner.close)
        arena = Arena(server, redis, posts, producer, api, Settings.model_validate({"redis_url": server.url, **plan.all_settings}))
        yield Campaign(plan, arena, work, say)
