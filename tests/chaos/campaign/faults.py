"""The faults of a campaign. Each is one function: it injects, ends what it injected, and returns the jobs that must move on elsewhere."""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from runner import Settings
from runner.connection.client import command
from runner.store.keys import Keys
from tests.chaos.campaign.posts import Api, Post, Touched, held_by
from tests.chaos.campaign.workload import QUEUE
from tests.process.crew import worker_ids
from tests.proxy import Proxy
from tests.servers import Server

KEYS = Keys(QUEUE)
RECONNECT_S = 5.0
T = TypeVar("T")
_TRIES = 30
_AGAIN_S = 0.1


@dataclass
class Arena:
    """What faults are injected into. `redis` goes past all proxies."""

    server: Server
    redis: Redis
    posts: Sequence[Post]
    producer: Proxy
    api: Api | None
    settings: Settings

    @property
    def proxies(self) -> list[Proxy]:
        return [*(post.proxy for post in self.posts), self.producer]

    async def leader(self, draw: random.Random) -> Post:
        """The post that leads, or any while nobody does."""
        value = await self._answered(lambda: command(self.redis, "GET", KEYS.leader)) or b""
        ids = await self._answered(lambda: worker_ids(self.redis, QUEUE))
        leading = [post for post in self.posts if ids.get(post.pid, "") == value.decode().rpartition(":")[0]]
        return leading[0] if leading else draw.choice(self.posts)

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


# Workers


async def kill_worker(arena: Arena, draw: random.Random) -> list[Touched]:
    return await _kill(arena, [draw.choice(arena.posts)])


async def kill_leader(arena: Arena, draw: random.Random) -> list[Touched]:
    return await _kill(arena, [await arena.leader(draw)])


async def kill_half(arena: Arena, draw: random.Random) -> list[Touched]:
    return await _kill(arena, draw.sample(arena.posts, max(len(arena.posts) // 2, 1)))


async def stop_worker_past_its_lease(arena: Arena, draw: random.Random) -> list[Touched]:
    return await _stop(arena, draw.choice(arena.posts), arena.past_the_lease_s(draw))


async def stop_leader_past_its_lease(arena: Arena, draw: random.Random) -> list[Touched]:
    return await _stop(arena, await arena.leader(draw), arena.past_the_lease_s(draw))


async def stop_worker_briefly(arena: Arena, draw: random.Random) -> list[Touched]:
    await _stop(arena, draw.choice(arena.posts), arena.within_the_lease_s(draw))
    return []


async def replace_workers_in_turn(arena: Arena, draw: random.Random) -> list[Touched]:
    for post in draw.sample(arena.posts, max(len(arena.posts) // 2, 1)):
        await _terminate(post, times=1)
        await post.start()
    return []


async def terminate_worker_twice(arena: Arena, draw: random.Random) -> list[Touched]:
    await _terminate(draw.choice(arena.posts), times=2)
    return []


# The server


async def kill_server(arena: Arena, draw: random.Random) -> list[Touched]:
    arena.server.kill()
    await asyncio.sleep(draw.uniform(0, 2))
    await asyncio.to_thread(arena.server.start)
    return []


async def kill_server_thrice(arena: Arena, draw: random.Random) -> list[Touched]:
    for _ in range(3):
        arena.server.kill()
        await asyncio.to_thread(arena.server.start)
        await asyncio.sleep(draw.uniform(0, 0.5))
    return []


async def hang_server(arena: Arena, draw: random.Random) -> list[Touched]:
    os.kill(arena.server.pid, signal.SIGSTOP)
    await asyncio.sleep(draw.uniform(0.5, 2.5))
    os.kill(arena.server.pid, signal.SIGCONT)
    return []


async def pause_clients(arena: Arena, draw: random.Random) -> list[Touched]:
    pause_s = draw.uniform(0.5, 2.0)
    await command(arena.redis, "CLIENT", "PAUSE", round(pause_s * 1000), draw.choice(["WRITE", "ALL"]))
    await asyncio.sleep(pause_s)
    return []


async def kill_clients(arena: Arena, draw: random.Random) -> list[Touched]:
    for _ in range(draw.randint(1, 3)):
        await command(arena.redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await asyncio.sleep(draw.uniform(0, 0.3))
    return []


async def forget_scripts(arena: Arena, draw: random.Random) -> list[Touched]:
    for _ in range(20):
        await command(arena.redis, "SCRIPT", "FLUSH")
        await asyncio.sleep(draw.uniform(0, 0.05))
    return []


async def forget_leader(arena: Arena, draw: random.Random) -> list[Touched]:
    """The lock is gone: for a while there are two leaders."""
    for _ in range(3):
        await command(arena.redis, "DEL", KEYS.leader)
        await asyncio.sleep(draw.uniform(0, 0.5))
    return []


# The network


async def cut_all(arena: Arena, draw: random.Random) -> list[Touched]:
    for _ in range(draw.randint(1, 4)):
        for proxy in arena.proxies:
            proxy.cut_connections()
        await asyncio.sleep(draw.uniform(0, 0.3))
    return []


async def lose_replies(arena: Arena, draw: random.Random) -> list[Touched]:
    for _ in range(3):
        for proxy in arena.proxies:
            proxy.lose_reply_of(draw.choice(["EVALSHA", "EVALSHA", "XREADGROUP"]), keep=draw.choice([0, 0, 3]))
        await asyncio.sleep(draw.uniform(0.1, 0.4))
    return []


async def delay_all(arena: Arena, draw: random.Random) -> list[Touched]:
    for proxy in arena.proxies:
        proxy.delay(draw.uniform(0.01, 0.2))
    await asyncio.sleep(draw.uniform(1, 2))
    return _healed(arena)


async def trickle_one(arena: Arena, draw: random.Random) -> list[Touched]:
    draw.choice(arena.proxies).trickle()
    await asyncio.sleep(draw.uniform(0.5, 1.5))
    return _healed(arena)


async def half_close_one(arena: Arena, draw: random.Random) -> list[Touched]:
    draw.choice(arena.proxies).half_close_connections()
    return []


async def freeze_connections_of_one(arena: Arena, draw: random.Random) -> list[Touched]:
    """Its connections are dead and nobody says so; new ones work. What the server hands to a dead one is found by comparing books."""
    draw.choice(arena.proxies).freeze_connections()
    return []


async def part_one_past_its_lease(arena: Arena, draw: random.Random) -> list[Touched]:
    post = draw.choice(arena.posts)
    touched = await arena.jobs_of(post)
    post.proxy.black_hole()
    await asyncio.sleep(arena.past_the_lease_s(draw))
    _healed(arena)
    return touched


async def part_all_briefly(arena: Arena, draw: random.Random) -> list[Touched]:
    for proxy in arena.proxies:
        proxy.black_hole()
    await asyncio.sleep(arena.within_the_lease_s(draw))
    return _healed(arena)


async def part_all_past_their_leases(arena: Arena, draw: random.Random) -> list[Touched]:
    for proxy in arena.proxies:
        proxy.black_hole()
    await asyncio.sleep(arena.past_the_lease_s(draw))
    return _healed(arena)


async def kill_api(arena: Arena, draw: random.Random) -> list[Touched]:
    if arena.api is not None:
        await arena.api.kill()
        await asyncio.sleep(draw.uniform(0, 1))
        await arena.api.start()
    return []


_Row = tuple[Inject, int, Callable[[Settings], float]]
_FAMILIES: dict[str, list[_Row]] = {
    "worker": [
        (kill_worker, 6, crash),
        (kill_leader, 4, succession),
        (kill_half, 2, succession),
        (stop_worker_past_its_lease, 4, reconnect),
        (stop_leader_past_its_lease, 3, reconnect),
        (stop_worker_briefly, 2, reconnect),
        (replace_workers_in_turn, 2, reconnect),
        (terminate_worker_twice, 2, reconnect),
    ],
    "server": [
        (kill_server, 5, reconnect),
        (kill_server_thrice, 2, reconnect),
        (hang_server, 2, reconnect),
        (pause_clients, 2, reconnect),
        (kill_clients, 3, reconnect),
        (forget_scripts, 2, reconnect),
        (forget_leader, 2, reconnect),
    ],
    "network": [
        (cut_all, 4, reconnect),
        (lose_replies, 5, reconnect),
        (delay_all, 2, reconnect),
        (trickle_one, 2, reconnect),
        (half_close_one, 2, reconnect),
        (freeze_connections_of_one, 3, crash),
        (part_one_past_its_lease, 3, reconnect),
        (part_all_briefly, 2, reconnect),
        (part_all_past_their_leases, 2, reconnect),
    ],
    "api": [(kill_api, 1, reconnect)],
}

FAULTS: dict[str, Fault] = {
    fault.__name__: Fault(family, weight, bound_s, fault) for family, faults in _FAMILIES.items() for fault, weight, bound_s in faults
}


async def _kill(arena: Arena, posts: Sequence[Post]) -> list[Touched]:
    touched = await arena.jobs_of(*posts)
    for post in posts:
        post.signal(signal.SIGKILL)
    return touched


async def _stop(arena: Arena, post: Post, seconds: float) -> list[Touched]:
    touched = await arena.jobs_of(post)
    post.signal(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    post.signal(signal.SIGCONT)
    return touched


async def _terminate(post: Post, *, times: int) -> None:
    for _ in range(times):
        with suppress(ProcessLookupError):  # it may have left after the first already
            post.signal(signal.SIGTERM)
    status = await post.ended()
    if status != 0:
        post.tracebacks.append(f"worker {post.pid} left with status {status}")


def _healed(arena: Arena) -> list[Touched]:
    for proxy in arena.proxies:
        proxy.heal()
    return []
