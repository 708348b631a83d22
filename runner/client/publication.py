"""Publication: puts the tasks and limits of one process into the catalog of its queue, and keeps them there."""

from collections.abc import Mapping
from typing import Any

from runner.client.shared_call import SharedCall
from runner.client.task import Task
from runner.clock import monotonic_s
from runner.limits import Limit
from runner.store import Limits


class Publication:
    """Published again every `every_s`: if Redis loses the catalog, there may be no worker that publishes it.

    `tasks` and `limits` may grow; what is new is published the next time.
    """

    def __init__(self, store: Limits, tasks: Mapping[str, Task[..., Any]], limits: Mapping[str, Limit], *, every_s: float = 0.0) -> None:
        self._store = store
        self._tasks = tasks
        self._limits = limits
        self._every_s = every_s
        self._since_us = 0
        self._published_s = float("-inf")
        self._shared = SharedCall(self.publish, name="publication")

    @property
    def is_due(self) -> bool:
        """Whether the latest publication is older than `every_s`."""
        return monotonic_s() - self._published_s > self._every_s

    async def keep(self, since_s: float = float("-inf")) -> None:
        """Publish if that is due, or was last done before `since_s`. Raises `StoreUnavailable`, `IncompatibleVersion`."""
        if self.is_due or self._published_s < since_s:
            await self._shared()

    async def publish(self) -> None:
        """Publish now."""
        specs = {name: task.definition.spec.to_json() for name, task in self._tasks.items()}
        self._since_us, _ = await self._store.publish(specs, list(self._limits.values()), self._since_us)
        self._published_s = monotonic_s()

    async def close(self) -> None:
        """Cancel a publication that is under way."""
        await self._shared.close()
