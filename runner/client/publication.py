"""Publication: puts the tasks, limits and schedules of one app into the catalog of its queue, and keeps them there."""

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from runner.client.declared_schedules import DeclaredSchedules
from runner.client.schedule_declaration import declare
from runner.client.shared_call import SharedCall
from runner.client.task import Task
from runner.clock import monotonic_s
from runner.errors import RunnerError
from runner.limits import Limit
from runner.names import first_of
from runner.store import Role, Schedules

log = logging.getLogger("runner")

_RETRY_S = 5.0
"""Pause after a refresh that failed."""
_MOST_NAMED = 10
_WINS = {
    "worker": "a worker declares it",
    "revision": "a higher revision declares it",
    "start": "a process that started later declares it",
    "run time": "it was added at run time: remove it, or rename yours",
}


class Publication:
    """One for all event loops and threads of a process; each publishes through a store of its own, and what one has done counts for all.

    `tasks`, `limits` and `schedules` may grow: what is new is published before it is used, so that nothing is used that the queue does not know. After
    `every_s` of use a refresh says again what is declared, for which nobody waits: if Redis has lost the catalog, there may be no worker
    that publishes it.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task[..., Any]],
        limits: Mapping[str, Limit],
        schedules: DeclaredSchedules | None = None,
        *,
        role: Role = Role.producer,
        revision: int = 0,
        every_s: float = 0.0,
    ) -> None:
        self._tasks = tasks
        self._limits = limits
        self._schedules = DeclaredSchedules("") if schedules is None else schedules
        self._role = role
        self._revision = revision
        self._every_s = every_s
        self._since_us = 0
        self._declared = -1
        """How many tasks, limits and schedules the latest publication had; none ever leaves."""
        self._published_s = self._refresh_s = float("-inf")
        self._shared = SharedCall(name="publication")
        self._refreshing: set[asyncio.Task[None]] = set()
        self._outdone: list[tuple[str, str, str]] = []

    @property
    def is_due(self) -> bool:
        """Whether there is anything for `keep` to do."""
        return self._has_news or monotonic_s() >= self._refresh_s

    @property
    def _has_news(self) -> bool:
        return self._declared < self._count

    @property
    def _count(self) -> int:
        return len(self._tasks) + len(self._limits) + len(self._schedules)

    async def keep(self, store: Schedules, *, since_s: float = float("-inf")) -> None:
        """Publish what is new, or everything if that was last done before `since_s`; begin a refresh if one is due.

        Raises `StoreUnavailable`, `IncompatibleVersion`, `ClientClosed`.
        """
        while self._lacks(since_s):  # a call that was under way may have begun before
            await self._shared(partial(self._publish_what_lacks, store, since_s))
        if monotonic_s() >= self._refresh_s:
            self._refresh_s = monotonic_s() + _RETRY_S
            refreshing = asyncio.create_task(self._refresh(store), name="publication")
            self._refreshing.add(refreshing)
            refreshing.add_done_callback(self._refreshing.discard)

    def _lacks(self, since_s: float) -> bool:
        return self._has_news or self._published_s < since_s

    async def _publish_what_lacks(self, store: Schedules, since_s: float) -> None:
        """Nothing, if another thread has done it since this one looked."""
        if self._lacks(since_s):
            await self.publish(store)

    async def publish(self, store: Schedules) -> None:
        """Publish now."""
        declared, began_s = self._count, monotonic_s()
        self._schedules.check()
        schedules = list(self._schedules.values())
        done = await store.publish(
            *self._declarations(store), self._since_us, role=self._role, revision=self._revision, schedules=self._schedules.bodies()
        )
        outdone = await declare(store, schedules, self._role, self._revision, done.since_us) if schedules else []
        self._since_us, self._published_s, self._declared = done.since_us, began_s, declared
        self._refresh_s = monotonic_s() + self._every_s
        self._tell(store.keys.queue, done.outdone + outdone)

    async def close(self) -> None:
        """Cancel what is under way in this event loop."""
        await self._shared.close()
        own = [task for task in list(self._refreshing) if task.get_loop() is asyncio.get_running_loop()]
        for task in own:
            task.cancel()
        await asyncio.gather(*own, return_exceptions=True)

    def _declarations(self, store: Schedules) -> tuple[dict[str, str], list[Limit]]:
        limits = list(self._limits.values())
        if store.clock is not None:  # a test moves the time of this queue, and of no other: it shares nothing
            limits = [limit.in_scope(None) for limit in limits]
        return {name: task.definition.spec.to_json() for name, task in list(self._tasks.items())}, limits

    async def _refresh(self, store: Schedules) -> None:
        try:
            schedules = self._schedules.bodies()
            if await store.refresh(*self._declarations(store), role=self._role, revision=self._revision, schedules=schedules):
                self._refresh_s = monotonic_s() + self._every_s
            else:
                await self._shared(partial(self.publish, store))
        except RunnerError as error:
            log.info("the catalog was not refreshed, which is tried again: %s", error)

    def _tell(self, queue: str, outdone: list[tuple[str, str, str]]) -> None:
        """Say what the catalog holds otherwise than this process declares it: in one line, and once as long as that is the same."""
        if outdone and outdone != self._outdone:
            names = first_of([f"{what} {name} ({_WINS[by]})" for what, name, by in outdone], _MOST_NAMED)
            log.warning("queue %s keeps other declarations than those of this %s: %s", queue, self._role.value, names)
        self._outdone = outdone
