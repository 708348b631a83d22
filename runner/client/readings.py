"""Readings: what all queues together had used of a shared limit, as its home said last: of a call that began later, what was used at its beginning."""

from typing import NamedTuple

_MOST = 128
_MOST_BUCKETS, _KEPT_S = 1_000, 600.0
"""Of more buckets those are forgotten of which nothing was said for so long: the first word of a call only asks again."""


class Reading(NamedTuple):
    """What was used of a bucket at an instant by the clock of its home, see `Heard`. read_s: when it was here, by the clock of this process."""

    read_s: float
    at_us: int
    levels: str


class Readings:
    """The latest ones of each bucket, and of the older ones some."""

    def __init__(self) -> None:
        self._of: dict[str, list[Reading]] = {}
        self._most = _MOST_BUCKETS

    def add(self, bucket: str, reading: Reading) -> None:
        """Note what the home has said."""
        known = self._of.setdefault(bucket, [])
        known.append(reading)
        if len(known) > _MOST:
            del known[: _MOST // 2 : 2]
        if len(self._of) > self._most:
            self._of = {name: own for name, own in self._of.items() if reading.read_s - own[-1].read_s < _KEPT_S}
            self._most = max(_MOST_BUCKETS, 2 * len(self._of))

    def before(self, bucket: str, began_s: float) -> Reading | None:
        """The latest that was here when a call began."""
        return next((one for one in reversed(self._of.get(bucket, ())) if one.read_s <= began_s), None)
