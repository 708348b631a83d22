"""Overlook: the overview as it is read. All who look in one event loop share the readings, and all processes the answers of Redis."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

from runner.client.overview_figures import Memory, figures
from runner.client.pulse import Pulse
from runner.clock import monotonic_s
from runner.store import JobStore, Overview

LOOK_S = 1.0
"""The pause between two readings for those who watch."""
_FRESH_S = 0.9
"""So long a reading serves all who ask here."""


def _without(overview: Overview, hidden: frozenset[str]) -> Overview:
    fields: dict[str, Any] = {part: _HIDDEN.get(part) for part in hidden}
    return replace(overview, **fields)


_HIDDEN: dict[str, Any] = {"limits": (), "changes": (), "more": 0, "started_s": 0.0}
"""In the place of parts that a caller may not see; of the others None."""


class Overlook:
    """The overviews of one session."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._memory = Memory()
        self._latest: Overview | None = None
        self._read_s = 0.0
        self._reading: asyncio.Task[Overview] | None = None
        self._pulse = Pulse(LOOK_S)
        self._seen_of: Overview | None = None
        self._seen: dict[frozenset[str], Overview] = {}

    async def look(self) -> Overview:
        """How the queue stands; who asks within the same second gets the same. Raises `StoreUnavailable`."""
        if self._latest is not None and monotonic_s() - self._read_s < _FRESH_S:
            return self._latest
        if self._reading is None:
            self._reading = asyncio.create_task(self._read(), name="overview")
            self._reading.add_done_callback(self._forget_reading)
        return await asyncio.shield(self._reading)  # who leaves takes it from nobody

    async def watch(self) -> AsyncGenerator[Overview, None]:
        """How the queue stands, and again each second. Without anybody who watches nothing is read. Raises `StoreUnavailable`."""
        while True:
            yield await self.look()
            await self._pulse.beat()

    def without(self, overview: Overview, hidden: frozenset[str]) -> Overview:
        """The same without some of its parts: one for all who may not see these, as long as it is the latest."""
        if not hidden:
            return overview
        if overview is not self._seen_of:
            self._seen_of, self._seen = overview, {}
        return self._seen.get(hidden) or self._seen.setdefault(hidden, _without(overview, hidden))

    async def close(self) -> None:
        """Wait for the call that is under way."""
        if self._reading is not None:
            await asyncio.wait([self._reading])

    async def _read(self) -> Overview:
        reading = await self._store.overview(self._memory.text)
        self._latest, self._read_s = figures(reading, self._memory, self._store.keys.queue), monotonic_s()
        return self._latest

    def _forget_reading(self, reading: asyncio.Task[Overview]) -> None:
        self._reading = None
        if not reading.cancelled():
            reading.exception()  # whoever waits for it has it
