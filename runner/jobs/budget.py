"""What was spent of budgets, by task, key or day."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from runner.limits import Unit

KEPT_DAYS = 62
"""What was spent is kept for so many whole days before this one."""
_FIRST = date(1970, 1, 1)


class SpentBy(StrEnum):
    """What each row of a `Spending` is about."""

    task = "task"
    key = "key"
    day = "day"


@dataclass(frozen=True, slots=True)
class SpentRow:
    """What one task, key or day has spent, in tokens: whole numbers of the smallest part of the unit.

    name: None for code without a job, and for keys beyond the thousand that have a count of their own in a day. days: the part of each day on
    which it has spent something, the earliest first. Where less was used than had been taken it can be below 0.
    """

    name: str | None
    tokens: int
    days: Mapping[date, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spending:
    """What was spent of a budget from the day `first` to the day `last`, both of UTC. Rows by day are in their order, others the largest first."""

    limit: str
    unit: Unit
    by: SpentBy
    first: date
    last: date
    rows: tuple[SpentRow, ...]

    @property
    def total(self) -> int:
        """Tokens of all rows."""
        return sum(row.tokens for row in self.rows)

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "limit": self.limit,
            **self.unit.fields(),
            "by": self.by.value,
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "total": self.total,
            "rows": [
                {"name": row.name, "tokens": row.tokens, "days": {day.isoformat(): tokens for day, tokens in row.days.items()}}
                for row in self.rows
            ],
        }


def day_number(day: date) -> int:
    """Days since 1970."""
    return (day - _FIRST).days


def spending_of(limit: str, unit: Unit, by: SpentBy, first: date, days: Sequence[Mapping[str, int]]) -> Spending:
    """The rows of what was read of each day from the first on."""
    sums: Counter[str] = Counter()
    by_day: dict[str, dict[date, int]] = {}
    for place, spent in enumerate(days):
        day = first + timedelta(place)
        for name, tokens in spent.items():
            row = day.isoformat() if by is SpentBy.day else name
            sums[row] += tokens
            by_day.setdefault(row, {})
            by_day[row][day] = by_day[row].get(day, 0) + tokens
    order = sorted(sums) if by is SpentBy.day else sorted(sums, key=lambda name: (-sums[name], name))
    rows = tuple(SpentRow(name or None, sums[name], by_day[name]) for name in order)
    return Spending(limit, unit, by, first, first + timedelta(max(len(days) - 1, 0)), rows)
