"""What happened in a queue, minute by minute: rows of counts by task and limit, and how long attempts waited and ran."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from runner.names import SHORT_NAME, fits
from runner.plain_text import is_line

QUEUE_SERIES = "q"
"""The sum of all tasks."""
MINUTE_S = 60

_LONGEST_TASK = 200

_DIGITS = 32
_WITH_TIMES = "sfcrw"
_LETTERS = {
    "submitted": "u",
    "repeated": "d",
    "succeeded": "s",
    "failed": "f",
    "cancelled": "c",
    "expired": "x",
    "retried": "r",
    "throttled": "h",
    "started": "t",
}
_BEYOND = "k"
"""Tokens that starts have taken beyond one each: a limit whose starts take one each pays nothing for it."""
_SETTLED = "e"
"""By how many tokens what was settled differs from what was taken, and what undone starts had taken."""
_WAITING, _SAMPLES = "n", "m"
"""Sums of what was seen in each minute, and how often somebody has looked."""


def is_series(name: object) -> bool:
    """Whether it is the name of a series: of the queue, of a task or of a limit."""
    if not isinstance(name, str) or name == QUEUE_SERIES:
        return name == QUEUE_SERIES
    return is_line(name[2:], _LONGEST_TASK, least=1) if name.startswith("t:") else name.startswith("l:") and fits(SHORT_NAME, name[2:])


class HistoryStep(StrEnum):
    """The time of one row. Minutes are kept for a day, hours for thirty."""

    minute = "minute"
    hour = "hour"
    day = "day"

    @property
    def seconds(self) -> int:
        return {"minute": MINUTE_S, "hour": 3_600, "day": 86_400}[self.value]

    @property
    def kept_s(self) -> int:
        """How far back its rows go."""
        return 86_400 if self is HistoryStep.minute else 30 * 86_400


@dataclass(frozen=True, slots=True)
class Spans:
    """How long something took, by the number of cases in each octave of milliseconds: octave n is from 2^(n-1) to 2^n, and 0 below one."""

    octaves: Mapping[int, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many cases there were."""
        return sum(self.octaves.values())

    def percentile(self, part: float) -> float | None:
        """Seconds within which this part of them was, like 0.95: right within 41 %, the middle of the octave. None if there were none."""
        rank = max(math.ceil(part * self.count), 1)
        for octave in sorted(self.octaves):
            rank -= self.octaves[octave]
            if rank <= 0:
                return float(2 ** (octave - 0.5) / 1_000)
        return None

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "count": self.count,
            "p50_s": self.percentile(0.5),
            "p95_s": self.percentile(0.95),
            "p99_s": self.percentile(0.99),
            "octaves": {str(octave): number for octave, number in sorted(self.octaves.items())},
        }


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """What happened in one minute, hour or day from `at` on, seconds since 1970 by Redis's clock.

    Of tasks: jobs that were `submitted`, submissions of a job that was there (`repeated`), jobs that ended in each way, attempts that were
    `retried`, and `throttled` because their provider said wait. Of limits: `started`, whoever took tokens of it, how many they took (`taken`), by how many fewer (below 0) or more
    they have used according to `settle` (`settled`, in the minute of the start; tokens of a start that never began come back so too), and `throttled`. `waited`
    is the time from which a job was due to its start, `ran` that of its handler, of attempts that ended in this time. Once a minute it is looked
    how many jobs wait at each limit: `samples` of the queue is how often that was, and `waiting_sum` of a limit what was found, added up.
    """

    at: float
    submitted: int = 0
    repeated: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0
    retried: int = 0
    throttled: int = 0
    started: int = 0
    taken: int = 0
    settled: int = 0
    waiting_sum: int = 0
    samples: int = 0
    waited: Spans = Spans()
    ran: Spans = Spans()

    @property
    def ended(self) -> int:
        """Jobs that came to their end."""
        return self.succeeded + self.failed + self.cancelled + self.expired

    @property
    def spent(self) -> int:
        """Tokens that were used in the end: `taken` and `settled`."""
        return self.taken + self.settled

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        counts = {name: getattr(self, name) for name in (*_LETTERS, "taken", "settled", "waiting_sum", "samples")}
        return {"at": self.at, **counts, "waited": self.waited.document(), "ran": self.ran.document()}


@dataclass(frozen=True, slots=True)
class Series:
    """The rows of a task (`t:<task>`), a limit (`l:<limit>`) or the queue (`q`), the earliest first, without those in which nothing happened.

    missing_minutes: minutes that are not in them yet, as no worker has led for long, or more was counted than one call reads; 0 as a rule.
    """

    name: str
    step: HistoryStep
    rows: tuple[HistoryRow, ...] = ()
    missing_minutes: int = 0

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        rows = [row.document() for row in self.rows]
        return {"series": self.name, "step": self.step.value, "rows": rows, "missing_minutes": self.missing_minutes}


def row_of(at: float, cells: Mapping[str, int]) -> HistoryRow:
    """A row of what is kept: letters with their sums, and behind a letter the digits of those whose times are known."""
    waited, ran = Counter[int](), Counter[int]()
    for what, number in cells.items():
        letter, cell = what[0], what[1:]
        if cell and letter in _WITH_TIMES:
            waited[int(cell[0], _DIGITS)] += number
            if len(cell) > 1:
                ran[int(cell[1], _DIGITS)] += number
    counts = {name: cells.get(letter, 0) for name, letter in _LETTERS.items()}
    counts |= {
        "taken": counts["started"] + cells.get(_BEYOND, 0),
        "settled": cells.get(_SETTLED, 0),
        "waiting_sum": cells.get(_WAITING, 0),
        "samples": cells.get(_SAMPLES, 0),
    }
    return HistoryRow(at, **counts, waited=Spans(dict(waited)), ran=Spans(dict(ran)))


def rows_of(rows: Mapping[int, Mapping[str, int]], step: HistoryStep, from_s: float, to_s: float) -> Iterable[HistoryRow]:
    """The rows of each step between two instants; `rows` by the minute at which each begins."""
    sums: dict[int, Counter[str]] = {}
    for minute, cells in sorted(rows.items()):
        at = minute * MINUTE_S // step.seconds * step.seconds
        if from_s <= at < to_s:
            sums.setdefault(at, Counter()).update(cells)
    return [row_of(at, cells) for at, cells in sums.items()]
