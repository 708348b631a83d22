"""The player of pools: a task that one version has in a pool and the other not, and jobs for a pool that few workers read."""

import asyncio
import random
from typing import Any

from runner import Runner, TokenBucket
from tests.chaos.campaign.calls import NEW, OLD
from tests.chaos.campaign.players.player import Findings, Play, Player, Stage

SIDE, DEEP, DEFAULT = "side", "deep", "default"
TURNS = TokenBucket("turns", rate="30/s", burst=1)
"""Jobs of all pools need it: one that is closed may hold up no other."""
WORKER_POOLS = (DEFAULT, f"{SIDE},{DEFAULT}", f"{DEFAULT},{SIDE},{DEEP}")
"""What the workers of the new version read, one post after the other; those of the old one know the default pool alone."""


def pools_of(post: int) -> str:
    """Those that a worker of the new version reads at this post."""
    return WORKER_POOLS[post % len(WORKER_POOLS)]


def declare(runner: Runner[Any], play: Play, version: int) -> None:
    async def apart(number: int) -> int:
        with play(runner.settings.pools):
            await asyncio.sleep(random.uniform(0, 0.2))
            return number

    pool = {"pool": SIDE} if version == NEW else {}
    runner.task(limits=[TURNS], **pool)(apart)  # type: ignore[call-overload] # the options are those of a version


class Pools(Player):
    """A job of a pool is run by the workers of that pool, and by them alone; while nobody reads it, it waits."""

    NAME = "pools"
    PAUSE_S = 0.4

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.pool_of: dict[str, str] = {}

    async def act(self, number: int) -> None:
        version = self.draw.choice([OLD, NEW, NEW])
        pool = self.draw.choice([None, None, DEEP, SIDE])
        task = self.stage.apps[version].tasks["apart"].with_options(id=f"pools-{number}", pool=pool)
        await self.submit(self.stage.apps[version], [task.prepare(number=number)])
        self.pool_of[f"pools-{number}"] = pool or (SIDE if version == NEW else DEFAULT)
        self.figures[f"of pool {self.pool_of[f'pools-{number}']}"] += 1

    async def findings(self) -> dict[str, list[str]]:
        wrong = Findings()
        for job, pool in self.pool_of.items():
            for run in self.stage.diary.runs[job]:
                if pool not in run.words[0].split(","):
                    wrong["pool"].append(f"{job} of pool {pool} was run by a worker of {run.words[0]}")
        return wrong
