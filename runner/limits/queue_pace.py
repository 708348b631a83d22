"""QueuePace: at what pace one queue gets tokens of a limit that several queues share, and that pace as a limit, for plans and times."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from typing_extensions import override

from runner.clock import MICROSECONDS
from runner.limits.bucket import StoredBucket
from runner.limits.policy import Limit
from runner.limits.token_bucket import TokenBucket

_SILENT_S = 3.0
"""A home that is there answers within a second."""
_SMALL_US, _TOGETHER_US = 1_000, 100_000
"""Of tokens that come faster than that many come together, as the time of one is no whole number of µs."""


@dataclass(frozen=True, slots=True)
class QueuePace:
    """An estimate, by what came lately, or if that is too little the equal part of one of `queues`.

    per_second: tokens; None if that cannot be told: of a quota, and while the home is away. silent_s: for so long jobs have waited and it has
    not answered.
    """

    queues: int
    per_second: float | None
    silent_s: float = 0.0

    @property
    def is_away(self) -> bool:
        """Whether the home does not answer."""
        return self.silent_s > _SILENT_S

    @property
    def words(self) -> str:
        """Tokens in the smallest unit of time in which there is one; nothing if that cannot be told."""
        if self.per_second is None:
            return ""
        units = (("a second", 1), ("a minute", 60))
        unit, seconds = next((one for one in units if self.per_second * one[1] >= 1), ("an hour", 3_600))
        return f"{self.per_second * seconds:.3g} {unit}"

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


class _AtPace(TokenBucket):
    """A limit as one queue has it; the time of a token is no round number."""

    pace: QueuePace

    @property
    @override
    def words(self) -> str:
        return f"{self.pace.words}, {self.capacity} at once"


def stored_pace(numbers: Mapping[str, int]) -> QueuePace:
    """From the numbers of the bucket at the queue."""
    thousand_us, silent_s = numbers["thousand_us"], numbers["silent_us"] / MICROSECONDS
    per_second = 1_000 * MICROSECONDS / thousand_us if thousand_us and silent_s <= _SILENT_S else None
    return QueuePace(max(numbers["queues"], 1), per_second, silent_s)


def at_present(limit: Limit, numbers: Mapping[str, int], now_us: int) -> tuple[TokenBucket, StoredBucket] | None:
    """The limit as this queue has it for itself at its pace, and its bucket; None if no pace can be told.

    While jobs wait only the hand is there; else what would have come since the last start.
    """
    pace = stored_pace(numbers)
    if pace.per_second is None:
        return None
    each_us = MICROSECONDS / pace.per_second
    refill, every_us = (1, round(each_us)) if each_us >= _SMALL_US else (round(_TOGETHER_US / each_us), _TOGETHER_US)
    hand = max(numbers["seen"] - numbers["used"] - numbers["back"], 0)
    capacity = max(numbers["most"] or limit.capacity, hand)
    saved = 0 if numbers["waits_since"] else int((now_us - numbers["last"]) / each_us)
    bucket = _AtPace(limit.name, capacity=capacity, refill=refill, every=every_us / MICROSECONDS, key=limit.key)
    bucket.pace = pace
    return bucket, StoredBucket({"deficit": capacity - min(hand + max(saved, 0), capacity), "time": now_us})
