"""Faults of the server: it is killed, hangs, or forgets."""

import asyncio
import os
import random
import signal

from runner.connection.client import command
from tests.chaos.campaign.arena import Arena
from tests.chaos.campaign.posts import KEYS, Touched


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
