"""What every player of a campaign has: the doors by which it asks, its own chance, and an account."""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, TypeVar

from redis.asyncio import Redis

from runner import Client, JobHandle, Runner, Submission
from tests.chaos.campaign.asking import until_answered
from tests.chaos.campaign.calls import NEW, OLD
from tests.chaos.campaign.players.diary import Diary

T = TypeVar("T")

Play = Callable[..., AbstractContextManager[None]]
"""A run of a player's job, in the notes of its worker, with the words that are given."""


class Stage(NamedTuple):
    """Where a player plays. `apps` are the two versions of the application, behind a proxy; `watcher` and `redis` go past all proxies."""

    apps: Mapping[int, Runner[Any]]
    watcher: Client
    redis: Redis
    diary: Diary
    states: Counter[str]
    """How many jobs have come to each final state, of all that there are."""
    seed: int
    seconds: float


class Player:
    """One that does something every `PAUSE_S` seconds, and has an account of what came of it."""

    NAME = ""
    """How the names of its jobs begin."""
    PAUSE_S = 1.0

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.draw = random.Random(f"{stage.seed} {self.NAME}")
        self.figures: Counter[str] = Counter()
        """How often it did what."""

    async def run(self) -> None:
        """Play until the time is up."""
        until_s = time.monotonic() + self.stage.seconds
        number = 0
        while time.monotonic() < until_s:
            await self.act(number)
            number += 1
            await asyncio.sleep(self.draw.uniform(0.5, 1.5) * self.PAUSE_S)

    async def act(self, number: int) -> None:
        """Do the next thing."""

    async def finish(self) -> None:
        """Undo what would keep jobs from ending."""

    async def findings(self) -> dict[str, list[str]]:
        """The account, once all has ended: what is wrong."""
        return {}

    async def forget(self) -> None:
        """Take away what would be kept for longer than the campaign waits."""

    # What players do alike

    @property
    def app(self) -> Runner[Any]:
        """That of the new version."""
        return self.stage.apps[NEW]

    def any_app(self) -> Runner[Any]:
        """Of one version or the other."""
        return self.stage.apps[self.draw.choice([OLD, NEW])]

    async def ask(self, what: Callable[[], Awaitable[T]]) -> T:
        """Until it is answered."""
        return await until_answered(what)

    async def submit(self, app: Runner[Any], jobs: Sequence[Submission[Any]]) -> list[JobHandle[Any]]:
        """Until they are accepted."""
        handles = await until_answered(lambda: app.submit_many(jobs))
        self.stage.diary.accepted.update(handle.id for handle in handles)
        self.figures["jobs"] += len(handles)
        return handles


class Findings(defaultdict[str, list[str]]):
    """Findings by kind."""

    def __init__(self) -> None:
        super().__init__(list)
