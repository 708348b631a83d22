"""An app whose limit is shared by all queues that have the first part of its name: by `shop-1` and `shop-2`."""

import asyncio
from pathlib import Path

from runner import TokenBucket
from tests.process.apps import App

SHARED = TokenBucket("api", rate="60/s", burst=6)


class SharingApp(App):
    """Jobs of one token and of two."""

    def __init__(self, url: str, queue: str, folder: Path, **settings: object) -> None:
        super().__init__(url, queue, folder, **settings)
        limit = SHARED.in_scope(queue.rpartition("-")[0])

        @self.runner.task(limits=[limit], cost={"api": "tokens"})
        async def spend(number: int, tokens: int = 1) -> int:
            self._note(number)
            await asyncio.sleep(0.005)
            return number

        self.spend = spend
