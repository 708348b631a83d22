"""The history of a limit as columns, the oldest first, as charts want it: one number for each step, null where it is unknown."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import BaseModel, Field

from runner import AuditLine, HistoryRow, HistoryStep, Limit
from runner.http.instants import utc


class Range(StrEnum):
    """How far back."""

    hour = "1h"
    day = "24h"
    month = "30d"


class Grid(NamedTuple):
    """The instants of the columns: so many steps of so many seconds, up to the present one."""

    step: HistoryStep
    steps: int

    @property
    def span_s(self) -> int:
        return self.step.seconds * self.steps


GRIDS = {Range.hour: Grid(HistoryStep.minute, 60), Range.day: Grid(HistoryStep.minute, 1_440), Range.month: Grid(HistoryStep.hour, 720)}
_MARKS = {"pause": "paused", "freeze": "frozen", "override": "overridden"}
_ENDS = {"resume": "paused", "release": "frozen", "restore": "overridden"}
_FROZEN_S = re.compile(r"(\d+) s:")

Column = list[float | None]


class Mark(BaseModel):
    """A time in which an operator held the limit up, or had other numbers in force. `to` is null as long as it lasts."""

    begins: Annotated[datetime, Field(alias="from", serialization_alias="from")]
    to: datetime | None
    what: str
    by: str


class LimitHistory(BaseModel):
    """What happened at a limit, a number for each step, the oldest first. What is null is unknown."""

    begins: Annotated[datetime, Field(alias="from", serialization_alias="from")]
    every_s: int
    started: Annotated[list[float | None], Field(description="starts a second")]
    taken: Annotated[list[float | None], Field(description="tokens a second")]
    limit: Annotated[
        list[float | None], Field(description="tokens a second that it allows now; null: of such a limit there is no such number")
    ]
    waiting: Annotated[
        list[float | None],
        Field(description="jobs at all its buckets, looked at once a minute; of an hour the mean; null: nobody has looked"),
    ]
    p50_s: Annotated[list[float | None], Field(description="how long half of those that started have waited, right within 41 %")]
    p95_s: list[float | None]
    throttled: Annotated[list[int | None], Field(description="attempts whose provider said wait")]
    marks: Annotated[list[Mark], Field(description="with the right audit:read")]


def columns_of(
    grid: Grid, now_s: float, policy: Limit, rows: Sequence[HistoryRow], looks: Iterable[HistoryRow], lines: Iterable[AuditLine]
) -> LimitHistory:
    """The rows of a limit's series, which leave out what is empty, on a grid that ends with the present step; and what operators did meanwhile.

    looks: the rows of the queue, which say when somebody has looked how many wait.
    """
    every_s = grid.step.seconds
    last_s = now_s // every_s * every_s
    first_s = last_s - (grid.steps - 1) * every_s
    at = {int(row.at): row for row in rows}
    found = [at.get(int(first_s + place * every_s)) for place in range(grid.steps)]
    samples = {int(row.at): row.samples for row in looks}
    # The present step is not over: what was counted of it is of so many seconds.
    spans_s = [every_s] * (grid.steps - 1) + [max(now_s - last_s, 1.0)]
    return LimitHistory.model_validate(
        {
            "from": utc(first_s),
            "every_s": every_s,
            "started": [round((row.started if row else 0) / span_s, 3) for row, span_s in zip(found, spans_s, strict=True)],
            "taken": [round((row.taken if row else 0) / span_s, 3) for row, span_s in zip(found, spans_s, strict=True)],
            "limit": [pace_of(policy)] * grid.steps,
            "waiting": [_waiting(row, samples.get(int(first_s + place * every_s), 0)) for place, row in enumerate(found)],
            "p50_s": [row.waited.percentile(0.5) if row else None for row in found],
            "p95_s": [row.waited.percentile(0.95) if row else None for row in found],
            "throttled": [row.throttled if row else 0 for row in found],
            "marks": [mark for mark in marks_of(lines) if mark.to is None or mark.to.timestamp() >= first_s],
        }
    )


def _waiting(row: HistoryRow | None, samples: int) -> float | None:
    return round((row.waiting_sum if row else 0) / samples, 1) if samples else None


def pace_of(policy: Limit) -> float | None:
    """Tokens a second in the long run; None for a limit without a pace of its own, and for one with a key, which has one for each."""
    numbers = policy.document()
    every_s = numbers.get("every_s") or numbers.get("window_s")
    tokens = numbers.get("refill", numbers.get("capacity"))
    return None if policy.key is not None or not every_s or tokens is None else round(tokens / every_s, 6)


def marks_of(lines: Iterable[AuditLine]) -> list[Mark]:
    """Pauses, freezes and overrides among lines of the audit, the earliest first."""
    marks: list[Mark] = []
    for line in lines:
        at = utc(line.at)
        if (ended := _ENDS.get(line.action)) is not None:
            for mark in marks:
                if mark.what == ended and (mark.to is None or mark.to > at):
                    mark.to = at
        elif (what := _MARKS.get(line.action)) is not None:
            frozen = _FROZEN_S.match(line.after) if what == "frozen" else None
            to = utc(line.at + int(frozen[1])) if frozen else None
            marks.append(Mark.model_validate({"from": at, "to": to, "what": what, "by": line.by}))
    return marks
