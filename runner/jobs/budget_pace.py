"""BudgetPace: when a budget ends if as much is spent of it as lately."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from runner.clock import MICROSECONDS
from runner.jobs.history import HistoryRow, HistoryStep
from runner.jobs.words import span
from runner.limits import LimitStatus, Quota, Unit, instant_document, part_in_words, period_of

_HOUR_S, _DAY_S = 3_600, 86_400


class Lately(NamedTuple):
    """By which rows of the history a pace is told, and of how many seconds it is the mean: whole days, where days are not alike."""

    step: HistoryStep
    mean_s: int
    known_s: int
    """How far back it is looked whether it began to be spent later than that."""


LATELY = {
    "hour": Lately(HistoryStep.minute, 600, 2_400),
    "day": Lately(HistoryStep.minute, 3 * _HOUR_S, 12 * _HOUR_S),
    "week": Lately(HistoryStep.hour, _DAY_S, 4 * _DAY_S),
    "month": Lately(HistoryStep.hour, 7 * _DAY_S, 28 * _DAY_S),
    "year": Lately(HistoryStep.hour, 28 * _DAY_S, 30 * _DAY_S),
}
"""By the period of the budget."""


@dataclass(frozen=True, slots=True)
class BudgetPace:
    """A budget without a key, and what becomes of it if as much is spent as lately.

    That is the mean of the last 10 minutes of a budget of an hour, 3 hours of a day, day of a week, 7 days of a month, 28 of a year; less, if it was
    first spent after that.
    left, capacity: tokens. pace: tokens a second. ends_at: when nothing is left, now if nothing is; None if that is not before `period_ends`.
    share_at_end: the part of the capacity that is spent by then, above 1 where the pace is more than the budget.
    """

    limit: str
    unit: Unit
    per: str
    tz: str
    left: int
    capacity: int
    pace: float
    ends_at: datetime | None
    period_ends: datetime
    share_at_end: float

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "limit": self.limit,
            **self.unit.fields(),
            "left": self.left,
            "capacity": self.capacity,
            "pace_s": self.pace,
            "ends_at": self.ends_at and instant_document(self.ends_at),
            "period_ends": instant_document(self.period_ends),
            "share_at_end": round(self.share_at_end, 4),
        }

    @property
    def spent_words(self) -> str:
        """How much of it is spent."""
        return f"{part_in_words(self.capacity - self.left, self.capacity, self.unit)} spent"

    def __str__(self) -> str:
        if self.left == 0:
            return f"the budget is spent; the next {self.per} begins on {self._at(self.period_ends)}"
        every_s, each = (_HOUR_S, "an hour") if self.per in ("hour", "day") else (_DAY_S, "a day")
        pace = f"at the present pace ({self.unit.words(round(self.pace * every_s))} {each})"
        if self.ends_at is None:
            return f"{pace} {self.share_at_end:.0%} of the budget are spent when the {self.per} ends"
        before = span((self.period_ends - self.ends_at).total_seconds())
        return f"{pace} the budget ends on {self._at(self.ends_at)}, {before} before the {self.per}"

    def _at(self, instant: datetime) -> str:
        return f"{instant.astimezone(ZoneInfo(self.tz)):%Y-%m-%d %H:%M} ({self.tz})"


def pace_of(status: LimitStatus, rows: Sequence[HistoryRow], now_s: float) -> BudgetPace | None:
    """The pace of a budget by what its history has of `LATELY`. None for a limit that is none, has a key, or cannot be told: it is paused or frozen."""
    limit = status.policy
    if not isinstance(limit, Quota) or limit.unit is None or limit.key is not None or not status.buckets:
        return None
    if status.paused is not None or status.frozen_s or status.buckets[0].frozen_s:
        return None
    lately = LATELY[limit.per]
    begin_s = math.ceil((now_s - lately.mean_s) / lately.step.seconds) * lately.step.seconds
    began_s = next((row.at for row in rows if row.started), now_s)
    from_s = max(begin_s, began_s)
    pace = max(sum(row.spent for row in rows if row.at >= from_s), 0) / max(now_s - from_s, 1)
    left = status.buckets[0].tokens
    now = datetime.fromtimestamp(now_s, UTC)
    ends = datetime.fromtimestamp(period_of(limit.per, limit.tz, round(now_s * MICROSECONDS))[1] / MICROSECONDS, UTC)
    left_s = (ends - now).total_seconds()
    lasts_s = 0.0 if left == 0 else left / pace if pace else math.inf
    ends_at = now + timedelta(seconds=lasts_s) if lasts_s < left_s else None
    share = (limit.capacity - left + pace * left_s) / limit.capacity
    return BudgetPace(limit.name, limit.unit, limit.per, limit.tz, left, limit.capacity, pace, ends_at, ends, share)
