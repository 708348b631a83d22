"""What a picture of a course shows, on a terminal and in SVG: starts in each bar of time with their bound, and numbers in words."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from runner.clock import MICROSECONDS
from runner.limits import Limit
from runner.simulation import Drain, LimitReport, TenantReport

_SECOND, _MINUTE, _HOUR, _DAY = MICROSECONDS, 60 * MICROSECONDS, 3_600 * MICROSECONDS, 86_400 * MICROSECONDS
_WIDTHS_US = (
    *(count * unit for unit in (1_000, 10_000, 100_000) for count in (1, 2, 5)),
    *(count * unit for unit in (_SECOND, _MINUTE) for count in (1, 2, 5, 10, 15, 30)),
    *(count * _HOUR for count in (1, 2, 3, 6, 12)),
    *(count * _DAY for count in (1, 2, 7, 14, 28, 56, 91, 182, 365)),
)


@dataclass(frozen=True, slots=True)
class Chart:
    """Starts by tenant in each bar of `width_us`; the most that the tightest limit allows in any window of that width, if one does."""

    width_us: int
    bars: tuple[dict[str, int], ...]
    bound: int | None
    bound_by: str

    @property
    def highest(self) -> int:
        """Starts in the fullest bar."""
        return max((sum(bar.values()) for bar in self.bars), default=0)

    @property
    def top(self) -> int:
        """Where the scale ends: above the bars, and above the bound unless that is far away."""
        near = self.bound if self.bound is not None and self.bound <= 3 * self.highest else 0
        return max(self.highest, near, 1)


def chart_of(drain: Drain, most_bars: int) -> Chart:
    last_us = drain.starts[-1][0] if drain.starts else 0
    width_us = tick_width(last_us + 1, most_bars) if last_us else _SECOND
    bars: list[Counter[str]] = [Counter() for _ in range(last_us // width_us + 1)]
    for at_us, tenant in drain.starts:
        bars[at_us // width_us][tenant] += 1
    bounds = [(bound, report.limit.name) for report in drain.limits if (bound := _most_starts(report, width_us)) is not None]
    bound, bound_by = min(bounds, default=(None, ""))
    return Chart(width_us, tuple(dict(bar) for bar in bars), bound, bound_by)


def tick_width(span_us: int, most: int) -> int:
    """A round time that divides a span into at most so many parts."""
    year = _WIDTHS_US[-1]
    return next((width for width in _WIDTHS_US if -(-span_us // width) <= most), -(-span_us // (most * year)) * year)


def _most_starts(report: LimitReport, width_us: int) -> int | None:
    """Most starts that a limit allows in any window; None if it does not bound the starts of all jobs."""
    if report.least_cost == 0 or report.limit.fill_us is None:
        return None
    return report.limit.bound(width_us / MICROSECONDS) * report.buckets // report.least_cost


def in_words(microseconds: int | None, *, brief: bool = False) -> str:
    """A duration in one or two units: "0.35 s", "12.3 s", "1 min 41 s", "3 h 20 min", "2 d 4 h".

    With `brief` a duration of ten or more of a unit has no second one.
    """
    if microseconds is None:
        return "-"
    if microseconds < _MINUTE:
        seconds = microseconds / _SECOND
        return (
            f"{microseconds / 1_000:.3g} ms"
            if 0 < microseconds < 100_000
            else f"{seconds:.{1 if seconds >= 1 else 2}f}".rstrip("0").rstrip(".") + " s"
        )
    for unit_us, unit, part_us, part in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min"), (_MINUTE, "min", _SECOND, "s")):
        if microseconds >= unit_us - part_us // 2:
            if brief and microseconds >= 10 * unit_us:
                return f"{round(microseconds / unit_us)} {unit}"
            parts = round(microseconds / part_us)
            whole, rest = divmod(parts, unit_us // part_us)
            return f"{whole} {unit}" + (f" {rest} {part}" if rest else "")
    raise AssertionError(microseconds)


def limit_words(limit: Limit) -> str:
    """A policy in a few words."""
    return limit.words + (f", each {limit.key}" if limit.key else "")


def within_words(report: LimitReport) -> str:
    """The window in which a limit's worst was counted."""
    return report.limit.window_words if report.window_us is None else f"in any {in_words(report.window_us)}"


def longest_waiting(tenants: Sequence[TenantReport], most: int) -> list[TenantReport]:
    """The tenants to show: all, or those that waited longest."""
    if len(tenants) <= most:
        return list(tenants)
    return sorted(tenants, key=lambda report: report.wait_max_us or 0, reverse=True)[:most]


def headline(drain: Drain) -> str:
    jobs = f"{drain.jobs:,} job{'' if drain.jobs == 1 else 's'}"
    failed = f", {drain.failed:,} of them failed on a spent quota" if drain.failed else ""
    return f"{jobs} drained in {in_words(drain.drain_us)}{failed}"


def tightest(drain: Drain) -> str | None:
    """What holds the jobs back most: the limit, or the slots, of which at least nine tenths are used. None if no job waited."""
    used = [(report.utilisation, report.limit.name) for report in drain.limits] + [(drain.slot_utilisation, "slots")]
    most, name = max(used)
    return name if most >= 0.9 and any(report.wait_max_us for report in drain.tenants) else None
