"""ProcessClaimer: keeps the children of a worker busy. It asks for jobs only while a child is free, and takes none that has to wait for one."""

import asyncio
import logging

from runner.errors import StoreUnavailable
from runner.store import Claims, left_s
from runner.worker.child_pool import NoChildren
from runner.worker.claimer import Claimer
from runner.worker.redis_pause import RETRY_S

log = logging.getLogger("runner")


class ProcessClaimer:
    """Beside the claim loop of a worker under one lease, for streams of their own. It claims by the means of that one."""

    def __init__(self, store: Claims, children: NoChildren, claimer: Claimer) -> None:
        self._store = store
        self._children = children
        self._claimer = claimer

    async def run(self) -> None:
        """Claim until cancelled. Raises `LeaseLost`."""
        while True:
            try:
                await self._children.wait_for_room()
                if not await self._start():
                    await asyncio.sleep(RETRY_S)
            except StoreUnavailable as error:
                log.warning("claiming for child processes waits for Redis: %s", error)
                await asyncio.sleep(RETRY_S)

    async def _start(self) -> bool:
        """Start what is there, then wait for more if children are left. False: Redis has refused it, and the claim loop sorts that out."""
        room = self._children.reserve()
        try:
            claimed = await self._claimer.claim_for_children(room)
        finally:
            self._children.unreserve(room)
        if claimed is None:
            return False
        if claimed.paused_after is not None:
            await self._store.wait_for_change(claimed.paused_after, left_s(claimed.next_wake_us, self._store.settings.block_s))
        elif len(claimed.jobs) < room and not (claimed.jobs and claimed.next_wake_us == 0):
            await self._claimer.wait_for_process_jobs()
        return True
