"""The history: what happened by minute, hour and day, of the queue, of tasks and of limits."""

from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field

from runner import ConfigurationError, HistoryRow, HistoryStep, Scope, Spans
from runner import Series as SeriesOfQueue
from runner.http import routing
from runner.http.authorization import needs
from runner.http.dependencies import TheClient
from runner.http.forms import SERIES, Unset
from runner.http.instants import Instant, utc
from runner.http.problems import Problem, responses

MOST_SERIES = 100

router = routing.group("history", "/v1")


class Times(BaseModel):
    """How long something took. An octave n is from 2^(n-1) to 2^n milliseconds, and 0 below one; percentiles are right within 41 %."""

    count: int
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    octaves: Annotated[dict[str, int], Field(description="how many of each octave")]

    @classmethod
    def of(cls, spans: Spans) -> "Times":
        return cls(**spans.document())


class Row(BaseModel):
    """What happened in one minute, hour or day."""

    at: Annotated[datetime, Field(description="its beginning, by Redis's clock")]
    submitted: int
    repeated: Annotated[int, Field(description="submissions of a job that was there")]
    succeeded: int
    failed: int
    cancelled: int
    expired: int
    retried: Annotated[int, Field(description="attempts that failed, and were tried again")]
    throttled: Annotated[int, Field(description="attempts whose provider said wait")]
    started: Annotated[int, Field(description="of a limit: who took tokens of it")]
    taken: Annotated[int, Field(description="of a limit: tokens that they took")]
    settled: Annotated[
        int, Field(description="of a limit: tokens that these starts have used beyond what they took, by what was settled; below 0: fewer")
    ] = 0
    waiting_sum: Annotated[int, Field(description="of a limit: jobs that waited there at each look of this time, added up")] = 0
    samples: Annotated[int, Field(description="of the queue: how often somebody has looked how many wait, once a minute")] = 0
    waited: Annotated[Times, Field(description="from when a job was due to its start")]
    ran: Annotated[Times, Field(description="of handlers, in attempts that ended")]

    @classmethod
    def of(cls, row: HistoryRow) -> "Row":
        return cls(**{**row.document(), "at": utc(row.at), "waited": Times.of(row.waited), "ran": Times.of(row.ran)})


class Series(BaseModel):
    """The rows of a task, a limit or the queue, without those in which nothing happened."""

    series: str
    step: HistoryStep
    rows: list[Row]
    missing_minutes: Annotated[int, Field(description="not counted in yet: 0 unless no worker has led for long")]

    @classmethod
    def of(cls, series: SeriesOfQueue) -> "Series":
        return cls(series=series.name, step=series.step, rows=[Row.of(row) for row in series.rows], missing_minutes=series.missing_minutes)


class History(BaseModel):
    """The series that were asked for, in their order."""

    series: list[Series]


class Names(BaseModel):
    """The names of series."""

    series: list[str]


Name = Annotated[str, Field(**SERIES)]


@router.get(
    "/history",
    dependencies=[needs(Scope.stats_read)],
    summary="What happened, by minute, hour or day",
    responses=responses("validation", "store-unavailable"),
)
async def history(
    client: TheClient,
    series: Annotated[
        Annotated[list[Name], Field(max_length=MOST_SERIES)] | Unset,
        Query(description="`t:<task>`, `l:<limit>`, or `q`, the whole queue; `q` unless it is said"),
    ] = None,
    step: Annotated[HistoryStep, Query(description="the time of a row; minutes are kept for a day, hours for thirty")] = HistoryStep.minute,
    since: Annotated[str | Unset, Query(max_length=40, description='only the last of it: seconds, or like "1h"')] = None,
    start: Annotated[Instant | Unset, Query(alias="from", description="the first instant, in place of `since`")] = None,
    end: Annotated[Instant | Unset, Query(alias="to", description="the instant at which it ends; now unless it is said")] = None,
) -> History:
    """Jobs that came and ended, starts under limits, what providers threw back, and how long jobs waited and ran."""
    try:
        found = await client.history(*(series or ()), step=step, since=since, start=start, end=end)
    except ConfigurationError as error:
        raise Problem("validation", str(error)) from None
    return History(series=[Series.of(one) for one in found])


@router.get(
    "/history/series", dependencies=[needs(Scope.stats_read)], summary="The names of the series", responses=responses("store-unavailable")
)
async def names(client: TheClient) -> Names:
    """Of all tasks and limits of which something happened in the last thirty days."""
    return Names(series=await client.history_series())
