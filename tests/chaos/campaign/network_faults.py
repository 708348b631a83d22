"""Faults of the network, in the proxy of each process."""

import asyncio
import random

from tests.chaos.campaign.arena import Arena
from tests.chaos.campaign.posts import Touched


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


def _healed(arena: Arena) -> list[Touched]:
    for proxy in arena.proxies:
        proxy.heal()
    return []
