"""The office of the branch: it submits the jobs of the branch, probes whether the limit that is shared serves it, and closes its accounts."""

import asyncio
import time
from contextlib import suppress
from functools import partial

from redis.asyncio import Redis
from redis.exceptions import RedisError

from runner import RunnerError
from runner.connection.client import command
from runner.limits import home_of
from tests import invariants
from tests.chaos.campaign.arena import Arena
from tests.chaos.campaign.asking import until_answered
from tests.chaos.campaign.branch.app import BRANCH, LIMITS, BranchWork, branch_call
from tests.chaos.campaign.branch.contract import CONTRACT, SCOPE, over_contract, used
from tests.chaos.campaign.calls import FIRST_PROBE, OLD
from tests.chaos.campaign.ledger import Ledger
from tests.chaos.campaign.plan import Plan
from tests.chaos.campaign.producer import Producer, prepared
from tests.chaos.campaign.report import Report
from tests.leftovers import immortal_keys
from tests.process.crew import worker_ids
from tests.starts import Starts

_PART_OF_RATE = 16
_POLL_S = 0.02
_BACK_WITHIN_S = 20.0


class Office:
    """That of one campaign. `headquarters` is the ledger of the first queue; `watcher` goes past all proxies."""

    def __init__(self, plan: Plan, arena: Arena, headquarters: Ledger, work: BranchWork, watcher: BranchWork) -> None:
        self._plan = plan
        self._arena = arena
        self._redis: Redis = arena.branch.redis
        self._headquarters = headquarters
        self._watcher = watcher
        call_of = partial(branch_call, plan.seed)
        self.ledger = Ledger(arena.branch.folder, arena.settings.lease_s, call_of, BRANCH)
        self._producer = Producer({OLD: work}, None, self.ledger, call_of, plan.rate / _PART_OF_RATE)
        self._probes = FIRST_PROBE

    async def run(self) -> None:
        """Submit jobs until the time is up."""
        await self._producer.run(self._plan.seconds)

    async def read(self) -> None:
        """Take in what was written since the last time."""
        with suppress(RedisError, OSError):  # its server is away
            await self.ledger.read(self._redis)

    async def is_served(self, until_s: float) -> bool:
        """Whether a job under the limit that is shared has succeeded by then."""
        self._probes += 1
        number = self._probes
        job = prepared(self._watcher, number, branch_call(self._plan.seed, number))
        await until_answered(lambda: self._watcher.runner.submit_many([job]))
        self.ledger.accepted.add(number)
        while time.monotonic() < until_s:
            with suppress(RedisError, OSError):
                state = await command(self._redis, "HGET", self.ledger.keys.job(f"c{number}"), "state")
                if state == b"succeeded" or self.ledger.outcomes[number]:
                    return True
            await asyncio.sleep(_POLL_S)
        return False

    async def left_behind(self) -> list[str]:
        """What keeps the branch from being at rest."""
        if unfinished := self.ledger.unfinished:
            return [f"{len(unfinished)} jobs of the branch have not ended"]
        live = set((await worker_ids(self._redis, BRANCH)).values())
        return await invariants.left_behind(self._redis, BRANCH, live)

    async def close(self, report: Report) -> None:
        """While the workers of both queues still work. What is wrong goes into the report."""
        await self.ledger.read(self._redis)
        found = self.ledger.findings(LIMITS)
        for what, wrong in found.items():
            report.wrong(what, [f"branch: {text}" for text in wrong])
        taken = self._taken()
        spells = [spell for spell in self._headquarters.tokens.spells if spell.limit == CONTRACT.name]
        report.wrong("over a limit", over_contract(taken, spells))
        report.wrong("left in hand", await self._left_in_hand())
        report.wrong("left behind", await immortal_keys(self._arena.redis, home_of(SCOPE)))
        report.branch_jobs = len(self.ledger.accepted)
        report.starts_under_shared = {where: len(starts.at_us) for where, starts in zip(("first queue", "branch"), taken, strict=True)}
        report.shared_used = round(used(taken), 3)
        await self._watcher.runner.close()

    def _taken(self) -> list[Starts]:
        return [ledger.starts_under(CONTRACT.name) for ledger in (self._headquarters, self.ledger)]

    async def _left_in_hand(self) -> list[str]:
        """Once nobody wants any tokens of it, all go back to their bucket."""
        control, out = self._watcher.runner.client.control, ["not looked yet"]
        deadline_s = time.monotonic() + _BACK_WITHIN_S
        while out and time.monotonic() < deadline_s:
            await asyncio.sleep(_POLL_S)
            try:
                shared = (await control.show(CONTRACT.name)).shared
            except RunnerError as error:
                out = [str(error)]
            else:
                out = [] if shared is not None and not shared.out else [f"tokens are out: {shared}"]
        return out
