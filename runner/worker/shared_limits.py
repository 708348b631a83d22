"""SharedLimits: finds the limits that a queue shares, while this worker leads, and keeps an exchange with the home of each scope."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from runner.errors import RunnerError
from runner.limits import Limit
from runner.store import Home, JobStore
from runner.telemetry import SharedCounts
from runner.worker.exchange import Exchange

log = logging.getLogger("runner")

_LOOK_S = 15.0
"""Between two looks at the catalog of the queue: another app may have brought a limit that is shared."""


class SharedLimits:
    """Of one worker. `declared` are the limits of its app, which need no look at the catalog."""

    def __init__(
        self, store: JobStore, url: str, declared: Mapping[str, Limit], *, weight: int, revision: int, counts: SharedCounts | None = None
    ) -> None:
        self._store = store
        self._url = url
        self._declared = declared
        self._weight = weight
        self._revision = revision
        self._limits: dict[str, dict[str, Limit]] = {}
        self._exchanges: dict[str, Exchange] = {}
        self._counts = counts if counts is not None else SharedCounts()

    def wake(self) -> None:
        """Jobs may have started, or wait."""
        for exchange in self._exchanges.values():
            exchange.wake()

    async def run(self, served: Callable[[], None]) -> None:
        """Until cancelled. served: called when tokens have come."""
        self._note(self._declared)
        homes: list[Home] = []
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    try:
                        self._note(await self._store.declared())
                    except RunnerError as error:
                        log.info("the catalog could not be read for shared limits, which is tried again: %s", error)
                    for scope in self._limits.keys() - self._exchanges.keys():
                        home = Home(self._url, scope, self._store.settings)
                        homes.append(home)
                        exchange = Exchange(
                            self._store, home, self._limits[scope], self._weight, self._revision, served, self._counts.of(scope)
                        )
                        self._exchanges[scope] = exchange
                        group.create_task(exchange.run(), name=f"shared limits {scope}")
                    await asyncio.sleep(_LOOK_S)
        finally:
            self._exchanges.clear()
            self._counts.rest()
            for home in homes:
                await home.close()

    def _note(self, limits: Mapping[str, Limit]) -> None:
        for limit in limits.values():
            if limit.shared is not None:
                self._limits.setdefault(limit.shared, {})[limit.name] = limit
