"""Processes that lead are killed with tokens of a shared limit in hand, again and again: all queues together keep to the limit, and go on."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from runner.connection.client import command
from runner.limits import home_of
from runner.store.keys import Keys
from tests import invariants
from tests.eventually import eventually
from tests.leftovers import immortal_keys, keys_of
from tests.process.apps import PATIENT
from tests.process.crew import final, worker_ids
from tests.process.nursery import nursery_of
from tests.process.sharing_app import SHARED, SharingApp
from tests.recovery import Recovery

SHORT = {"lease_s": 1.0, "renew_s": 0.2, "reclaim_s": 0.3, "block_s": 0.3, "max_crashes": 100, "concurrency": 3}
QUEUES = 3
DIED = 70
A_QUEUES_NUMBERS = 10_000
ALWAYS_WAITING = 12
RECOVERY_S = 5.0
"""Lease, look of the next leader, the lease of a hand, and the start of a process."""
POINTS = ["exchange", "lease", "blpop", "claim", "refill", "finish", "lead"]
"""The calls of a leader that has tokens of a shared limit."""


class Queues:
    """The apps of several queues that share a limit, each of which always has some jobs of one token and of three."""

    def __init__(self, redis_url: str, queue: str, folder: Path) -> None:
        names = [f"{queue}-{at}" for at in range(QUEUES)]
        self.apps = [SharingApp(redis_url, name, folder / name, **SHORT, **PATIENT) for name in names]
        self.ids: list[list[str]] = [[] for _ in self.apps]
        self.is_over = False

    async def feed(self) -> None:
        """Until it is over."""
        while not self.is_over:
            for at, app in enumerate(self.apps):
                while len(self.ids[at]) - len(app.runs()) < ALWAYS_WAITING:
                    first = at * A_QUEUES_NUMBERS + len(self.ids[at])
                    self.ids[at] += await app.submit(app.spend, range(first, first + 1), 3)
                    self.ids[at] += await app.submit(app.spend, range(first + 1, first + 5))
            await asyncio.sleep(0.05)

    async def all_go_on(self) -> None:
        """Each queue starts some more."""
        aims = [len(app.runs()) + 3 for app in self.apps]
        await eventually(lambda: all(len(app.runs()) >= aim for app, aim in zip(self.apps, aims, strict=True)))

    async def over_limit(self, redis: Redis) -> list[str]:
        """Of the starts of all queues as if they were one."""
        starts = [start for app in self.apps for start in await invariants.starts_of(redis, app.runner.queue)]
        runs = sum((app.runs() for app in self.apps), Counter[str]())
        assert len({start.job for start in starts}) == len(runs)
        return invariants.over_limit(sorted(starts, key=lambda start: start.at_us), [SHARED], runs)


@asynccontextmanager
async def queues_at_work(redis: Redis, redis_url: str, queue: str, folder: Path) -> AsyncIterator[Queues]:
    """Afterwards all jobs have ended, and all starts together kept to the limit."""
    queues = Queues(redis_url, queue, folder)
    feeding = asyncio.create_task(queues.feed())
    try:
        yield queues
        queues.is_over = True
        await feeding
        for app, own in zip(queues.apps, queues.ids, strict=True):
            await final(redis, app.runner.queue, own)
        assert await queues.over_limit(redis) == []
        assert await immortal_keys(redis, home_of(queue)) == []
    finally:
        queues.is_over = True
        await asyncio.gather(feeding, return_exceptions=True)
        for name in [*(app.runner.queue for app in queues.apps), home_of(queue)]:
            if keys := await keys_of(redis, name):
                await redis.delete(*keys)
        for app in queues.apps:
            await app.runner.close()


@pytest.mark.fault("F43", bound_s=RECOVERY_S)
async def test_leaders_that_die_between_any_two_calls_exceed_no_shared_limit(
    redis: Redis, redis_url: str, queue: str, tmp_path: Path, recovery: Recovery
) -> None:
    """Each time at another place, while the other queues go on; the next worker of the queue takes over what was in hand, or it lapses."""
    draw = random.Random(11)
    places = [f"{point}:{when}=exit@{draw.randint(1, 8)}" for point in POINTS for when in ("before", "after")]
    draw.shuffle(places)
    async with nursery_of(redis_url, tmp_path) as nursery, queues_at_work(redis, redis_url, queue, tmp_path) as queues:

        async def die_again_and_again(name: str, own: Sequence[str]) -> None:
            for place in own:
                victim = await nursery.spawn(name, app="SharingApp", failpoints=place, **SHORT)
                assert await nursery.ended(victim) == DIED, place
            await nursery.spawn(name, app="SharingApp", **SHORT)

        async with asyncio.TaskGroup() as group:
            for at, app in enumerate(queues.apps):
                group.create_task(die_again_and_again(app.runner.queue, places[at::QUEUES]))
        recovery.begins()
        await queues.all_go_on()
        recovery.ends()


@pytest.mark.fault("F43", bound_s=RECOVERY_S)
async def test_leaders_that_are_killed_at_random_exceed_no_shared_limit(
    redis: Redis, redis_url: str, queue: str, tmp_path: Path, recovery: Recovery
) -> None:
    """By SIGKILL at any instant, while another worker of the queue works on."""
    async with nursery_of(redis_url, tmp_path) as nursery, queues_at_work(redis, redis_url, queue, tmp_path) as queues:
        for app in queues.apps:
            for _ in range(2):
                await nursery.spawn(app.runner.queue, app="SharingApp", **SHORT)
        await queues.all_go_on()

        async def kill_again_and_again(name: str) -> None:
            for _ in range(3):
                victim = await leader_of(redis, name)
                await asyncio.sleep(random.uniform(0, 0.3))
                await nursery.kill(victim)
                await nursery.spawn(name, app="SharingApp", **SHORT)

        async with asyncio.TaskGroup() as group:
            for app in queues.apps:
                group.create_task(kill_again_and_again(app.runner.queue))
        recovery.begins()
        await queues.all_go_on()
        recovery.ends()


async def leader_of(redis: Redis, queue: str) -> int:
    """The process that leads, once one does."""

    async def leading() -> int:
        value = await command(redis, "GET", Keys(queue).leader) or b""
        ids = await worker_ids(redis, queue)
        return next((pid for pid, worker in ids.items() if worker == value.decode().rpartition(":")[0]), 0)

    return await eventually(leading)
