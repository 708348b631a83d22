"""SharedLines: the lines that streams watch, each read once however many watch it."""

import asyncio
from datetime import datetime
from typing import Any

from runner import Client, Principal
from runner.http.event_frames import frame
from runner.http.waiting_schemas import line_document

_LINE = 100
"""Jobs of a line that are told."""
_MOST_LINES = 20
"""Lines that are read each second; of more each is read every other second."""


class SharedLines:
    """The lines that streams of one service watch: each is read once a second, however many watch it."""

    def __init__(self) -> None:
        self._reading: dict[tuple[Any, ...], tuple[int, asyncio.Task[bytes]]] = {}
        self._latest_s = 0

    async def frame(self, client: Client, principal: Principal, name: str, at: datetime) -> bytes:
        """The event that tells a line, as this caller may see it."""
        second = int(at.timestamp())
        if second != self._latest_s:
            self._latest_s = second
            self._reading = {key: one for key, one in self._reading.items() if second - one[0] <= 1}
        key = (name, tuple(principal.tasks))
        known = self._reading.get(key)
        is_late = known is None or (second != known[0] and (len(self._reading) <= _MOST_LINES or second - known[0] > 1))
        if known is None or is_late:
            known = self._reading[key] = second, asyncio.create_task(_line_of(client, name), name="a line for streams")
        return await asyncio.shield(known[1])  # who leaves takes it from nobody

    async def close(self) -> None:
        """Wait for what is under way."""
        if self._reading:
            await asyncio.wait([task for _, task in self._reading.values()])


async def _line_of(client: Client, name: str) -> bytes:
    return frame("line", line_document(await client.waiting_line(name, most=_LINE)))
