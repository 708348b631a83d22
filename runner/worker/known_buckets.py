"""KnownBuckets: how each bucket of shared limits stands with its home, as the exchange of one worker remembers it."""

from collections.abc import Iterable
from dataclasses import dataclass

_MOST_DUE = 8
_MOST, _KEPT_S = 1_000, 60.0
"""Of more buckets those are forgotten about which the home was not called for so long."""


@dataclass(slots=True)
class KnownBucket:
    """One of them. Instants are of the monotonic clock.

    share: tokens of one round. granted: all that its home is known to have given. come_s: when the home wants to be called again. untold_since_s: since when there is something to tell; None if there is not.
    """

    is_in_line: bool = False
    share: int = 1
    granted: int = 0
    come_s: float = float("inf")
    called_s: float = float("-inf")
    untold_since_s: float | None = None


class KnownBuckets:
    """By name. A look at the queue sees a part of many buckets, so what is due of the others is known here alone."""

    def __init__(self) -> None:
        self._known: dict[str, KnownBucket] = {}

    def of(self, name: str) -> KnownBucket:
        """The one of this name, from now on known."""
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = KnownBucket()
        return found

    def all(self) -> Iterable[KnownBucket]:
        """Each that is known."""
        return self._known.values()

    def forget(self, names: Iterable[str]) -> None:
        """These are shared no more."""
        for name in names:
            self._known.pop(name, None)

    @property
    def come_s(self) -> float:
        """When the home wants to be called about the first of them."""
        return min((one.come_s for one in self._known.values()), default=float("inf"))

    def due(self, now_s: float) -> list[str]:
        """Some of those for which it is time. Others, of which nothing was heard for long, are forgotten if there are many."""
        if len(self._known) > _MOST:
            self._known = {name: one for name, one in self._known.items() if one.is_in_line or now_s - one.called_s < _KEPT_S}
        return [name for name, one in self._known.items() if one.come_s <= now_s][:_MOST_DUE]
