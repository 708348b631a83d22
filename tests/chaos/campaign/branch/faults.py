"""Faults of the branch: its workers, its server, and its way to the home of the limit that it shares."""

import asyncio
import os
import random
import signal

from tests.chaos.campaign.arena import Arena
from tests.chaos.campaign.posts import Post, Touched


async def kill_branch_worker(arena: Arena, draw: random.Random) -> list[Touched]:
    draw.choice(arena.branch.posts).signal(signal.SIGKILL)
    return []


async def kill_branch_leader(arena: Arena, draw: random.Random) -> list[Touched]:
    """With tokens in hand, which lapse unless the next leader uses them."""
    (await _leader(arena, draw)).signal(signal.SIGKILL)
    return []


async def stop_branch_leader_past_its_lease(arena: Arena, draw: random.Random) -> list[Touched]:
    """Afterwards it says what was true a while ago."""
    leader = await _leader(arena, draw)
    leader.signal(signal.SIGSTOP)
    await asyncio.sleep(arena.past_the_lease_s(draw))
    leader.signal(signal.SIGCONT)
    return []


async def kill_branch_server(arena: Arena, draw: random.Random) -> list[Touched]:
    """For a part of a lease, or for longer: then its hand lapses at home."""
    arena.branch.server.kill()
    await asyncio.sleep(draw.uniform(0, 3.5))
    await asyncio.to_thread(arena.branch.server.start)
    return []


async def hang_branch_server(arena: Arena, draw: random.Random) -> list[Touched]:
    os.kill(arena.branch.server.pid, signal.SIGSTOP)
    await asyncio.sleep(draw.uniform(0.2, 3.5))
    os.kill(arena.branch.server.pid, signal.SIGCONT)
    return []


async def part_branch_from_home(arena: Arena, draw: random.Random) -> list[Touched]:
    """What was sent arrives late, when the connections heal."""
    for proxy in arena.branch.home_lines:
        proxy.black_hole()
    await asyncio.sleep(draw.uniform(0.5, 5.0))
    for proxy in arena.branch.home_lines:
        proxy.heal()
    return []


async def lose_answers_of_home(arena: Arena, draw: random.Random) -> list[Touched]:
    for _ in range(draw.randint(3, 12)):
        for proxy in arena.branch.home_lines:
            proxy.lose_reply_of(draw.choice(["EVALSHA", "EVALSHA", "BLPOP"]), keep=draw.choice([0, 0, 3]))
        await asyncio.sleep(draw.uniform(0.05, 0.3))
    return []


async def _leader(arena: Arena, draw: random.Random) -> Post:
    return await arena.leader_of(arena.branch.redis, arena.branch.posts, draw, arena.branch.queue)
