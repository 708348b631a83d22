"""LookTimes: when the process of takers in line looks at their buckets: with the next token, if no worker and no other process does so."""

import random
from collections.abc import Collection, Sequence
from itertools import islice

from runner.clock import MICROSECONDS
from runner.store import MOST_NAMES, Tended

_MISSED_US = 100_000
"""A wake found so late by a process that has left the looks to another: that one has gone."""
_PATIENCE_S = 0.25
"""How long after a wake such a process looks, and half of it more at random; and how long one waits that could serve nothing that was due."""
_TIMER_GRAIN_S = 0.001
"""Event loops fire timers up to a millisecond early."""
_LEAST_PAUSE_S = 0.005


class LookTimes:
    """The instants, by the clock of the caller, at which each bucket is due for a look.

    While a worker leads, none is. Of several processes one looks with each token; another one, which came too late for that, looks a
    moment later from then on, and so finds out when the first has gone.
    """

    def __init__(self) -> None:
        self._is_led = False
        self._is_first = True
        self._due_s: dict[str, float] = {}
        self._wakes_s: dict[str, float] = {}
        """The instants of those wakes that a look has told; one that is over when the next look comes was served by another process."""
        self._takers: dict[str, int] = {}

    def add(self, buckets: Sequence[str], now_s: float, wait_s: float | None) -> None:
        """A taker joins the lines of these buckets, and may be served after `wait_s`, None if nobody knows."""
        at_s = now_s + (_PATIENCE_S if wait_s is None else wait_s) + _TIMER_GRAIN_S
        for bucket in buckets:
            self._takers[bucket] = self._takers.get(bucket, 0) + 1
            if not self._is_led:
                self._due_s[bucket] = min(self._due_s.get(bucket, at_s), at_s)

    def remove(self, buckets: Sequence[str]) -> None:
        """A taker has left those lines."""
        for bucket in buckets:
            self._takers[bucket] -= 1
            if not self._takers[bucket]:
                del self._takers[bucket]
                self._due_s.pop(bucket, None)
                self._wakes_s.pop(bucket, None)

    @property
    def buckets(self) -> Collection[str]:
        """All that takers wait for."""
        return self._takers.keys()

    @property
    def next_s(self) -> float:
        """When the next look is due; infinite while none is."""
        return min(self._due_s.values(), default=float("inf"))

    def due(self, now_s: float) -> list[str]:
        """The buckets for one look now."""
        return list(islice((bucket for bucket, due_s in self._due_s.items() if due_s <= now_s), MOST_NAMES))

    def note(self, buckets: Sequence[str], seen: Tended, began_s: float, now_s: float) -> None:
        """What a look at these buckets found that began at one instant and ended at the other."""
        self._is_led = seen.is_led
        if self._is_led:
            self._due_s.clear()
            self._wakes_s.clear()
            return
        if seen.late_us > (0 if self._is_first else _MISSED_US):
            self._is_first = True
        elif any(self._wakes_s.get(bucket, began_s) < began_s for bucket in buckets):
            self._is_first = False
        for bucket, wait_us in zip(buckets, seen.waits_us, strict=True):
            self._due_s.pop(bucket, None)
            self._wakes_s.pop(bucket, None)
            if bucket in self._takers and wait_us >= 0:
                self._wakes_s[bucket] = now_s + wait_us / MICROSECONDS
                self._due_s[bucket] = now_s + self._pause_s(wait_us / MICROSECONDS, served=seen.served > 0)

    def _pause_s(self, wait_s: float, *, served: bool) -> float:
        if wait_s == 0 and not served:
            return _PATIENCE_S
        late_s = _TIMER_GRAIN_S if self._is_first else _PATIENCE_S * (1 + random.random() / 2)
        return max(wait_s + late_s, _LEAST_PAUSE_S)
