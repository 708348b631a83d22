"""A command that asks: opens a client on the queue, asks, closes it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from runner.cli.loading import load_app
from runner.client import Client

T = TypeVar("T")


def with_client(ask: Callable[[Client], Awaitable[T]], app: str | None, queue: str | None, redis_url: str | None) -> T:
    """What `ask` answers, asked of the queue that the options name."""
    runner = load_app(app, redis_url=redis_url)

    async def main() -> T:
        async with Client(queue or runner.queue, settings=runner.settings) as client:
            return await ask(client)

    return asyncio.run(main())
