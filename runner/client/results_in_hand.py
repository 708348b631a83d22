"""ResultsInHand: how much of the results that are read part by part a process holds, however slowly they are taken."""

from collections.abc import AsyncGenerator
from weakref import WeakKeyDictionary

from runner.client.raw_result import RawResult
from runner.errors import UnknownJob
from runner.jobs import State
from runner.store import Jobs, StoredResult

_MOST_HELD = 32_000_000
"""Bytes of results held at once in one event loop; a larger one is held alone."""
_LEAST_PART = 1_000_000
_MOST_PARTS = 8
"""A result that has to give way before each of its parts is read so often."""


class HeldResult:
    """A result that was read from Redis, for as long as its `RawResult` is used."""

    def __init__(self, hand: "ResultsInHand", job_id: str, stored: StoredResult) -> None:
        self._hand = hand
        self.id = job_id
        self.size = len(stored.data)
        self.stored: StoredResult | None = stored
        """None while others need its room."""
        self.ended = stored.ended

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """All of it, read again if it had to give way meanwhile."""
        length = max(_LEAST_PART, -(-self.size // _MOST_PARTS))
        try:
            for offset in range(0, self.size, length):
                yield (await self._hand.data_of(self))[offset : offset + length]
        finally:
            self.stored = None


class ResultsInHand:
    """Redis has a field of a hash whole or not at all, so results are read whole, and few are held: the one that was needed last stays longest.

    One that had to give way is read again when its caller has taken what he was given. So who takes slowly holds a part, and nobody up.
    """

    def __init__(self, store: Jobs) -> None:
        self._store = store
        self._held: WeakKeyDictionary[HeldResult, None] = WeakKeyDictionary()

    async def read(self, job_id: str) -> RawResult | State | None:
        """A result; the state of a job that has none, None if the job is unknown."""
        stored = await self._store.stored_result(job_id)
        if not isinstance(stored, StoredResult):
            return stored
        held = HeldResult(self, job_id, stored)
        self._make_room_beside(held)
        return RawResult(job_id, held.size, held.parts)

    async def data_of(self, raw: HeldResult) -> bytes:
        """All of a result, for the next part of it."""
        if raw.stored is None:
            stored = await self._store.stored_result(raw.id)
            if not isinstance(stored, StoredResult) or stored.ended != raw.ended:
                raise UnknownJob(f"job {raw.id.rpartition('/')[2]!r} has expired while its result was read")
            raw.stored = stored
        self._make_room_beside(raw)
        return raw.stored.data

    def _make_room_beside(self, raw: HeldResult) -> None:
        self._held.pop(raw, None)
        held = [other for other in self._held if other.stored is not None]
        room = _MOST_HELD - raw.size
        for other in reversed(held):
            room -= other.size
            if room < 0:
                other.stored = None
        self._held[raw] = None
