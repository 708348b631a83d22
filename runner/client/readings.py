"""Readings: what all queues together had used of a shared limit, as its home said last: of a call that began later, what was used at its beginning."""

from typing import NamedTuple

_MOST = 128


class Reading(NamedTuple):
    """What was used of a bucket at an instant by the clock of its home, see `Heard`. read_s: when it was here, by the clock of this process."""

    read_s: float
    at_us: int
    levels: str


class Readings:
    """The latest ones of each bucket, and of the older ones some."""

    def __init__(self) -> None:
        self._of: dict[str, list[Reading]] = {}

    def add(self, bucket: str, reading: Reading) -> None:
        """Note what the home has said."""
        known = self._of.setdefault(bucket, [])
        known.append(reading)
        if len(known) > _MOST:
            del known[: _MOST // 2 : 2]

    def before(self, bucket: str, began_s: float) -> Reading | None:
        """The latest that was here when a call began."""
        return next((one for one in reversed(self._of.get(bucket, ())) if one.read_s <= began_s), None)
