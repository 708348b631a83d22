"""Asking again until Redis answers: what producers, people and players do while it is away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from runner import StoreUnavailable
from runner.connection.client import command

T = TypeVar("T")

AGAIN_S = 0.05


async def until_answered(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask again until Redis answers."""
    while True:
        try:
            return await ask()
        except StoreUnavailable:
            await asyncio.sleep(AGAIN_S)


async def now_us(redis: Redis) -> int:
    """Redis's clock."""
    while True:
        try:
            seconds, micros = await command(redis, "TIME")
        except (RedisError, OSError):
            await asyncio.sleep(AGAIN_S)
            continue
        return int(seconds) * 1_000_000 + int(micros)
