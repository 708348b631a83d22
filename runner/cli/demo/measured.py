"""The result of a run, computed from what was recorded while it ran. Pure functions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from runner.clock import MICROSECONDS
from runner.limits import TokenBucket

MOST_LATE_S = 2.0
"""The killed worker may have led the refill loop: waiting jobs then start up to this much later."""

_SHOWN_WINDOW_S = 1.0


@dataclass(frozen=True, slots=True)
class Run:
    """One run: when tokens were taken, by Redis's clock; how the jobs ended; what the upstream saw."""

    starts_us: Sequence[int]
    submitted: int
    done: int
    lost: int
    calls: int
    refused: int
    price_eur: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the summary: what was measured, and what was expected."""

    name: str
    measured: str
    expected: str
    is_right: bool


def findings(run: Run, limit: TokenBucket) -> list[Finding]:
    """The summary of a run under `limit`. The run kept the promises if each finding is right."""
    starts = len(run.starts_us)
    taken_s, permitted_s = span_s(run.starts_us), shortest_s(limit, starts)
    most, bound = most_within(run.starts_us, _SHOWN_WINDOW_S), limit.bound(_SHOWN_WINDOW_S)
    over = windows_over(run.starts_us, limit)
    return [
        Finding("jobs done", f"{run.done}", f"of {run.submitted}", run.done == run.submitted),
        Finding("jobs lost", f"{run.lost}", "of those the API accepted", run.lost == 0),
        Finding(
            "first to last start",
            f"{taken_s:.3f} s",
            f"the limit permits {starts} starts in {permitted_s:.3f} s",
            permitted_s <= taken_s <= permitted_s + MOST_LATE_S,
        ),
        Finding(f"most starts in any {_SHOWN_WINDOW_S:g} s", f"{most}", f"the limit permits {bound}", most <= bound),
        Finding("windows over the limit", f"{over}", f"of {math.comb(starts, 2)}, of every length", over == 0),
        Finding("429s by the service", f"{run.refused}", f"of {run.calls} calls, for {run.price_eur:.3f} EUR", run.refused == 0),
    ]


def span_s(instants_us: Sequence[int]) -> float:
    """Seconds from the first to the last."""
    return (max(instants_us) - min(instants_us)) / MICROSECONDS if instants_us else 0.0


def shortest_s(limit: TokenBucket, starts: int) -> float:
    """The least time that `limit` permits from the first to the last of so many starts, if the bucket is full at first."""
    return max(math.ceil((starts - limit.capacity) / limit.refill), 0) * limit.every_us / MICROSECONDS


def most_within(instants_us: Sequence[int], window_s: float) -> int:
    """The most instants in any closed window of this length."""
    instants, window_us = sorted(instants_us), round(window_s * MICROSECONDS)
    return max((sum(first <= instant <= first + window_us for instant in instants) for first in instants), default=0)


def windows_over(instants_us: Sequence[int], limit: TokenBucket) -> int:
    """How many of the windows from one instant to a later one hold more than `limit` permits in their length."""
    instants = sorted(instants_us)
    return sum(
        last - first + 1 > limit.bound((instants[last] - instants[first]) / MICROSECONDS)
        for last in range(len(instants))
        for first in range(last)
    )
