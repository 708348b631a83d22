"""Faults of the processes: workers, takers, producers and the API are killed, stopped, terminated and replaced."""

import asyncio
import os
import random
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.chaos.campaign.arena import Arena
from tests.chaos.campaign.calls import NEW, OLD
from tests.chaos.campaign.posts import Post, Touched

_REPLACED_AT_ONCE = 2

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


async def deploy_new_version(arena: Arena, draw: random.Random) -> list[Touched]:
    """A rolling deploy; afterwards no worker of the old version is there."""
    return await _deploy([(post, NEW) for post in _shuffled(arena.posts, draw)])


async def deploy_old_version(arena: Arena, draw: random.Random) -> list[Touched]:
    """The way back; afterwards no worker of the new version is there, and jobs of its task wait."""
    return await _deploy([(post, OLD) for post in _shuffled(arena.posts, draw)])


async def deploy_to_some(arena: Arena, draw: random.Random) -> list[Touched]:
    """A deploy that stops half way: both versions work side by side."""
    posts = _shuffled(arena.posts, draw)
    versions = [NEW if number % 2 else OLD for number in range(len(posts))]
    return await _deploy(list(zip(posts, versions, strict=True)))


async def kill_children(arena: Arena, draw: random.Random) -> list[Touched]:
    """What runs jobs in processes of its own, in all workers: some of it as it starts."""
    for _ in range(draw.randint(1, 3)):
        for post in arena.posts:
            for child in children_of(post.pid):
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        await asyncio.sleep(draw.uniform(0, 0.5))
    return []


# Takers: what they hold is no job, and lapses with their leases


async def kill_taker(arena: Arena, draw: random.Random) -> list[Touched]:
    draw.choice(arena.takers).signal(signal.SIGKILL)
    return []


async def kill_all_takers(arena: Arena, draw: random.Random) -> list[Touched]:
    for post in arena.takers:
        post.signal(signal.SIGKILL)
    return []


async def stop_taker_past_its_lease(arena: Arena, draw: random.Random) -> list[Touched]:
    await _stop(arena, draw.choice(arena.takers), arena.past_the_lease_s(draw))
    return []


# Producers in processes of their own


async def kill_producer(arena: Arena, draw: random.Random) -> list[Touched]:
    draw.choice(arena.producers).signal(signal.SIGKILL)
    return []


# The API


async def kill_api(arena: Arena, draw: random.Random) -> list[Touched]:
    if arena.api is not None:
        await arena.api.kill()
        await asyncio.sleep(draw.uniform(0, 1))
        await arena.api.start()
    return []


def children_of(process: int) -> list[int]:
    """The processes that this one has started, and that live."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            found += [int(stat.parent.name)] if parent == process else []
    return found


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


def _shuffled(posts: Sequence[Post], draw: random.Random) -> list[Post]:
    return draw.sample(list(posts), len(posts))


async def _deploy(orders: Sequence[tuple[Post, int]]) -> list[Touched]:
    """Replace the workers that are of another version than ordered, some at a time."""
    to_do = [(post, version) for post, version in orders if post.version != version]
    for first in range(0, len(to_do), _REPLACED_AT_ONCE):
        some = to_do[first : first + _REPLACED_AT_ONCE]
        await asyncio.gather(*(_replace(post, version) for post, version in some))
    return []


async def _replace(post: Post, version: int) -> None:
    await _terminate(post, times=1)
    post.version = version
    await post.start()
