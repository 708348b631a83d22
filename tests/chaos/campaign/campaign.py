"""A campaign: workers at work on a steady stream of jobs, one fault after another, and the accounts at the end."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from redis.exceptions import RedisError

from runner.connection.client import command
from tests import invariants
from tests.chaos.campaign.arena import Arena
from tests.chaos.campaign.branch.app import BranchWork
from tests.chaos.campaign.branch.office import Office
from tests.chaos.campaign.calls import NEW, QUEUE, call
from tests.chaos.campaign.closing import Closing
from tests.chaos.campaign.faults import FAULTS
from tests.chaos.campaign.ledger import SHOWN, Ledger
from tests.chaos.campaign.plan import Plan
from tests.chaos.campaign.players.cast import Cast
from tests.chaos.campaign.players.player import Stage
from tests.chaos.campaign.posts import KEYS, Touched
from tests.chaos.campaign.probes import Probes
from tests.chaos.campaign.producer import People, Producer
from tests.chaos.campaign.report import Recovery, Report
from tests.chaos.campaign.schedule import Step, steps
from tests.chaos.campaign.workload import Workload
from tests.process.crew import worker_ids

_READ_S = 0.5
_SAMPLE_S = 30.0
_LOOK_S = 2.0
"""So long is asked for the jobs that were held at least, also if the probes took all the time."""
_GIVEN_UP = 4.0
"""So many times its bound is waited for a recovery before the campaign goes on without it."""


class Campaign:
    """One campaign, from its plan to its report."""

    def __init__(
        self, plan: Plan, arena: Arena, works: Mapping[int, Workload], branch_work: BranchWork, say: Callable[[str], None]
    ) -> None:
        self._plan = plan
        self._arena = arena
        self._redis = arena.redis
        self._say = say
        self.ledger = Ledger(plan.folder, arena.settings.lease_s, partial(call, plan.seed))
        self._producer = Producer(works, arena.api, self.ledger, partial(call, plan.seed), plan.rate)
        self._people = People(works[NEW], self._producer, self.ledger, self._redis, plan.seed)
        self._watcher = Workload(arena.server.url, None, NEW, **plan.all_settings)
        self._probes = Probes(self._watcher, self.ledger, self._redis)
        own_watcher = BranchWork(arena.branch.server.url, None, **plan.all_settings, shared_url=arena.server.url)
        self._office = Office(plan, arena, self.ledger, branch_work, own_watcher)
        self._is_over = asyncio.Event()
        apps = {version: work.runner for version, work in works.items()}
        stage = Stage(apps, self._watcher.runner.client, self._redis, self.ledger.diary, self.ledger.states, plan.seed, plan.seconds)
        self._cast = Cast(stage, plan.players)
        self._posts = arena.everybody
        self.report = Report(plan.seed, plan.kind, plan.workers, plan.takers)

    async def run(self) -> Report:
        """Everything, in order. What goes wrong stands in the report."""
        began_s = time.monotonic()
        for post in self._posts:  # one after the other, as each keeps a core busy until it works
            await post.start()
        if self._arena.api is not None:
            await self._arena.api.start()
        before_bytes = await invariants.bytes_unaccounted(self._redis, QUEUE)
        closing = Closing(self._plan, self._arena, self.ledger, self._office, self._cast, self.report)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read())
            group.create_task(self._sample())
            try:
                async with asyncio.TaskGroup() as load:
                    load.create_task(self._producer.run(self._plan.seconds))
                    load.create_task(self._people.run(self._plan.seconds))
                    load.create_task(self._office.run())
                    load.create_task(self._cast.run())
                    await self._inject_all()
                self._say("the time is up; the deploy is finished, and the last callers and jobs come to their ends")
                await closing.finish_deploy()
                await self._cast.finish()
                await closing.run_excused_again(self._watcher.runner.client)
                await closing.let_callers_go()
                await closing.let_everything_end()
            finally:
                self._is_over.set()  # what watches ends by it alone
        await closing.close(before_bytes)
        await self._watcher.runner.close()
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
        is_well = all(await asyncio.gather(self._probes.succeed(until_s, new_task=self._has_new_worker), self._office.is_served(until_s)))
        look_until_s = max(until_s, time.monotonic() + _LOOK_S)
        held = [job.job for job in touched if not await self._probes.until(partial(job.is_elsewhere, self._redis), look_until_s)]
        if held or not is_well:
            self.report.wrong("recovery", [f"{names}: not recovered within {bound_s * _GIVEN_UP:.1f} s; still held: {held[:SHOWN]}"])
        recovery = Recovery(names, time.monotonic() - ended_s, bound_s)
        self.report.recoveries.append(recovery)
        if recovery.seconds > bound_s:
            self.report.wrong("recovery", [f"{names}: recovered after {recovery.seconds:.1f} s, the bound is {bound_s:.1f} s"])
        self._say(f"{names}: {recovery.seconds:.2f} s ({len(touched)} jobs touched); {self._producer.submitted} jobs submitted")
        await self._staff()

    @property
    def _has_new_worker(self) -> bool:
        return any(post.version == NEW and post.works for post in self._arena.posts)

    async def _staff(self) -> None:
        """A worker or taker at each post again."""
        for post in self._posts:
            if post.process is None or not post.process.runs:
                try:
                    await post.start()
                except (TimeoutError, AssertionError) as error:
                    self.report.wrong("start", [f"{post.name} did not come to work: {error}"])

    async def _one(self, name: str, seed: int) -> list[Touched]:
        """One fault. The other of two at once can be in its way: then it ends early, and what it did is measured all the same."""
        try:
            return await FAULTS[name].inject(self._arena, random.Random(seed))
        except (RedisError, OSError) as error:
            self._say(f"{name} ended early: {error}")
            return []

    # Accounts

    async def _read(self) -> None:
        # Ended by a flag, as the library's client can swallow a cancellation.
        while not self._is_over.is_set():
            with suppress(RedisError, OSError):  # the server is away; everything waits there
                await self.ledger.read(self._redis)
                await self._look_at_leases()
            await self._office.read()
            await asyncio.sleep(_READ_S)

    async def _look_at_leases(self) -> None:
        """Which workers of the new version live."""
        ids = await worker_ids(self._redis, QUEUE)
        new = {ids[pid] for post in self._arena.posts for pid, version in post.versions.items() if version == NEW and pid in ids}
        leases: Any = await self._redis.zrange(KEYS.workers, 0, -1, withscores=True)
        seconds, micros = await command(self._redis, "TIME")  # asked last: who left meanwhile is not there at the next look
        now_us = int(seconds) * 1_000_000 + int(micros)
        self.ledger.versions.note_look(
            now_us, {name.decode(): int(until_us) for name, until_us in leases if name.decode() in new and until_us > now_us}
        )

    async def _sample(self) -> None:
        """How much memory the workers have, and the server besides its keys."""
        while not await self._ends_within(_SAMPLE_S):
            running = [post for post in self._posts if post.process is not None and post.process.runs]
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
