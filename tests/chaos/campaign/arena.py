"""What the faults of a campaign are injected into, what a fault is, and how long it may be felt after its end."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from runner import Settings
from runner.connection.client import command
from runner.store.keys import Keys
from tests.chaos.campaign.calls import QUEUE
from tests.chaos.campaign.posts import Api, Post, Touched, held_by
from tests.process.crew import worker_ids
from tests.proxy import Proxy
from tests.servers import Server

RECONNECT_S = 5.0
T = TypeVar("T")
_TRIES = 30
_AGAIN_S = 0.1


@dataclass
class Branch:
    """The second queue: its server, `redis` past all proxies, its workers, and the ways of all its processes to the home of the shared limit."""

    queue: str
    server: Server
    redis: Redis
    posts: Sequence[Post]
    home_lines: Sequence[Proxy]
    producer: Proxy
    folder: Path


@dataclass
class Arena:
    """What faults are injected into. `redis` goes past all proxies."""

    server: Server
    redis: Redis
    posts: Sequence[Post]
    takers: Sequence[Post]
    producers: Sequence[Post]
    producer: Proxy
    """That of the producer in the campaign's own process."""
    api: Api | None
    settings: Settings
    branch: Branch

    @property
    def proxies(self) -> list[Proxy]:
        return [*(post.proxy for post in self.everybody), self.producer, self.branch.producer, *self.branch.home_lines]

    @property
    def everybody(self) -> list[Post]:
        return [*self.posts, *self.takers, *self.producers, *self.branch.posts]

    async def leader(self, draw: random.Random) -> Post:
        """The post that leads, or any while nobody does."""
        return await self.leader_of(self.redis, self.posts, draw, QUEUE)

    async def leader_of(self, redis: Redis, posts: Sequence[Post], draw: random.Random, queue: str) -> Post:
        """The one of these that leads a queue, or any while nobody does."""
        value = await self._answered(lambda: command(redis, "GET", Keys(queue).leader)) or b""
        ids = await self._answered(lambda: worker_ids(redis, queue))
        leading = [post for post in posts if ids.get(post.pid, "") == value.decode().rpartition(":")[0]]
        return leading[0] if leading else draw.choice(posts)

    async def jobs_of(self, *posts: Post) -> list[Touched]:
        ids = await self._answered(lambda: worker_ids(self.redis, QUEUE))
        held = [await self._answered(partial(held_by, self.redis, ids[post.pid])) for post in posts if post.pid in ids]
        return [job for jobs in held for job in jobs]

    @staticmethod
    async def _answered(ask: Callable[[], Awaitable[T]]) -> T:
        """Ask again for a while: the other of two faults may have taken the server away."""
        for _ in range(_TRIES):
            with suppress(RedisError, OSError):
                return await ask()
            await asyncio.sleep(_AGAIN_S)
        return await ask()

    def past_the_lease_s(self, draw: random.Random) -> float:
        return self.settings.lease_s * draw.uniform(1.2, 1.8)

    def within_the_lease_s(self, draw: random.Random) -> float:
        return self.settings.lease_s * draw.uniform(0.1, 0.4)


Inject = Callable[[Arena, random.Random], Awaitable[list[Touched]]]


class Fault(NamedTuple):
    """One kind: what it hits (two at once hit different things), how often it is drawn, in how many seconds it must heal, what it does."""

    family: str
    weight: int
    bound_s: Callable[[Settings], float]
    inject: Inject


# How long the fault may be felt after its end.


def reconnect(_: Settings) -> float:
    return RECONNECT_S


def crash(settings: Settings) -> float:
    return settings.lease_s + settings.reclaim_s + 3.0


def succession(settings: Settings) -> float:
    """Another worker notices that nobody leads when it next stands for election, and gives all a moment before it takes anything back."""
    return crash(settings) + settings.renew_s
