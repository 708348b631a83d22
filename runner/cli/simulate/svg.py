"""The picture of a course as one SVG file: starts over time with their bound, waits of each tenant, and how far each limit was used."""

from collections import Counter
from collections.abc import Iterator, Sequence
from math import ceil, log10

from runner.cli.simulate.chart import Chart, chart_of, headline, in_words, limit_words, longest_waiting, tick_width, within_words
from runner.cli.simulate.shapes import BOUND, LINE, OTHERS, QUIET, SERIES, TRACK, document, line, rect, shortened, text, width_of
from runner.simulation import Drain, TenantReport

_WIDTH, _LEFT, _RIGHT = 960, 56, 32
_PLOT_HEIGHT = 230
_ROW = 30
_MOST_BARS = 96
_MOST_TENANTS = 12
_NAMES = 168
"""Pixels for the names before the bars of waits and limits."""
_FACTS = 280
"""Pixels for the words after them."""


def draw(drain: Drain) -> str:
    """The whole picture, as text."""
    colours = _colours(drain)
    body = [text(_LEFT, 48, headline(drain), size=22, weight=600), text(_LEFT, 72, _setting(drain), paint=QUIET)]
    y = 112
    if drain.starts:
        body += _starts(chart_of(drain, _MOST_BARS), colours, y)
        y += _PLOT_HEIGHT + 102
    body += _waits(longest_waiting(drain.tenants, _MOST_TENANTS), len(drain.tenants), colours, y)
    y += _ROW * (min(len(drain.tenants), _MOST_TENANTS) + (len(drain.tenants) > _MOST_TENANTS)) + 64
    body += _limits(drain, y)
    height = y + _ROW * (len(drain.limits) + 1) + 36
    return document(_WIDTH, height, headline(drain), body)


def _setting(drain: Drain) -> str:
    tenants = f"{len(drain.tenants):,} tenant{'' if len(drain.tenants) == 1 else 's'}"
    return f"{tenants} · {len(drain.limits)} limit{'' if len(drain.limits) == 1 else 's'} · {drain.slots:,} slots"


def _colours(drain: Drain) -> dict[str, str]:
    """A colour for each tenant, or for the largest, while the others share one. No colours if the others would be most of the picture."""
    coloured = drain.tenants if len(drain.tenants) <= len(SERIES) else drain.tenants[: len(SERIES) - 1]
    if 2 * sum(report.jobs for report in coloured) < drain.jobs:
        return {}
    return {report.tenant: colour for report, colour in zip(coloured, SERIES, strict=False)}


def _colour_of(tenant: str, colours: dict[str, str]) -> str:
    return colours.get(tenant, OTHERS) if colours else SERIES[0]


def _starts(chart: Chart, colours: dict[str, str], top: int) -> Iterator[str]:
    """Stacked bars on a grid, and the bound as a dashed line."""
    yield _heading(top, f"Starts in each {in_words(chart.width_us)}")
    yield from _legend(chart, colours, top)
    base, step = top + 38 + _PLOT_HEIGHT, _nice_step(chart.top / 4)
    scale = _PLOT_HEIGHT / (ceil(chart.top / step) * step)
    for value in range(0, ceil(chart.top / step) * step + 1, step):
        y = base - value * scale
        yield line(_LEFT, y, _WIDTH - _RIGHT, y, LINE if value else QUIET)
        yield text(_LEFT - 8, y + 4, f"{value:,}", anchor="end", paint=QUIET, size=12)
    across = (_WIDTH - _RIGHT - _LEFT) / len(chart.bars)
    gap = 1.5 if across > 5 else 0.0
    for place, bar in enumerate(chart.bars):
        y = float(base)
        for colour, count in _stack(bar, colours):
            y -= count * scale
            yield rect(_LEFT + place * across + gap / 2, y, across - gap, count * scale, colour)
    every_us = tick_width(len(chart.bars) * chart.width_us, 8)
    for at_us in range(0, len(chart.bars) * chart.width_us + 1, every_us):
        x = _LEFT + at_us / chart.width_us * across
        yield line(x, base, x, base + 5, QUIET)
        yield text(x, base + 20, in_words(at_us) if at_us else "0", anchor="middle", paint=QUIET, size=12)
    if chart.bound is not None and chart.bound <= chart.top:
        y = base - chart.bound * scale
        yield line(_LEFT, y, _WIDTH - _RIGHT, y, BOUND, dash="6 4")
        label = f"{chart.bound_by} allows at most {chart.bound:,} in any {in_words(chart.width_us)}"
        yield text(_WIDTH - _RIGHT, y - 7, label, anchor="end", paint=BOUND, size=12, halo=True)


def _stack(bar: dict[str, int], colours: dict[str, str]) -> list[tuple[str, int]]:
    """(colour, starts) from the bottom up, always in the same order."""
    by_colour: Counter[str] = Counter()
    for tenant, count in bar.items():
        by_colour[_colour_of(tenant, colours)] += count
    return [(colour, by_colour[colour]) for colour in (*SERIES, OTHERS) if by_colour[colour]]


def _legend(chart: Chart, colours: dict[str, str], top: int) -> Iterator[str]:
    """Drawn from the right, because names differ in length. One tenant needs no legend."""
    tenants = {tenant for bar in chart.bars for tenant in bar}
    entries = [(shortened(tenant, 18), colour) for tenant, colour in colours.items() if tenant in tenants]
    others = len(tenants) - len(entries)
    if entries and others:
        entries.append((f"{others:,} others", OTHERS))
    x = float(_WIDTH - _RIGHT)
    for name, colour in reversed(entries if len(entries) > 1 else []):
        x -= width_of(name)
        yield text(x, top, name, size=12, paint=QUIET)
        x -= 16
        yield rect(x, top - 9, 10, 10, colour, radius=2)
        x -= 16


def _waits(shown: Sequence[TenantReport], total: int, colours: dict[str, str], top: int) -> Iterator[str]:
    """For each tenant a bar to the median, a paler one to 95 in 100, a line to the longest wait."""
    yield _heading(top, "Wait of each tenant")
    yield text(_WIDTH - _RIGHT, top, "solid: half of its jobs · pale: 95 of 100 · line: the longest", anchor="end", size=12, paint=QUIET)
    left, most = _LEFT + _NAMES, max((report.wait_max_us or 0 for report in shown), default=0)
    scale = (_WIDTH - _RIGHT - _FACTS - left) / (most or 1)
    for place, report in enumerate(shown):
        y = top + 32 + place * _ROW
        colour = _colour_of(report.tenant, colours)
        yield text(_LEFT, y, shortened(report.tenant, 22))
        if report.wait_max_us is None:
            yield text(left, y, f"none of {report.jobs:,} jobs started", paint=QUIET)
            continue
        p50, p95 = report.wait_p50_us or 0, report.wait_p95_us or 0
        yield rect(left, y - 12, p95 * scale, 16, colour, radius=2, opacity=0.35)
        yield rect(left, y - 12, max(p50 * scale, 2), 16, colour, radius=2)
        yield line(left + p95 * scale, y - 4, left + report.wait_max_us * scale, y - 4, colour, width=2)
        words = " · ".join(in_words(wait, brief=True) for wait in (p50, p95, report.wait_max_us))
        yield text(_WIDTH - _RIGHT, y, words, anchor="end", paint=QUIET)
    if total > len(shown):
        yield text(_LEFT, top + 32 + len(shown) * _ROW, f"and {total - len(shown):,} more, which waited less", paint=QUIET)


def _limits(drain: Drain, top: int) -> Iterator[str]:
    """How much of each limit was used, and its worst window next to what it allows."""
    yield _heading(top, "Use of each limit")
    yield text(_WIDTH - _RIGHT, top, "bar: used of what it could let through · words: worst window", anchor="end", size=12, paint=QUIET)
    rows = [
        (report.limit.name, limit_words(report.limit), report.utilisation, f"{report.worst:,} of {report.bound:,} {within_words(report)}")
        for report in drain.limits
    ]
    rows.append(("slots", "", drain.slot_utilisation, f"{drain.most_running:,} of {drain.slots:,} at once"))
    left = _LEFT + _NAMES + 196
    across = _WIDTH - _RIGHT - _FACTS - left
    for place, (name, policy, used, words) in enumerate(rows):
        y = top + 32 + place * _ROW
        yield text(_LEFT, y, shortened(name, 14), weight=600)
        yield text(_LEFT + 108, y, shortened(policy, 38), paint=QUIET, size=12)
        yield rect(left, y - 10, across, 12, TRACK, radius=6)
        yield rect(left, y - 10, max(across * min(used, 1.0), 2), 12, SERIES[0], radius=6 if across * used > 12 else 2)
        yield text(left + across + 10, y, f"{used:.0%}")
        yield text(_WIDTH - _RIGHT, y, words, anchor="end", paint=QUIET)


def _nice_step(least: float) -> int:
    """The next of 1, 2, 5, 10, 20, 50, ..."""
    power = int(10 ** max(int(log10(max(least, 1))), 0))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def _heading(y: float, words: str) -> str:
    return text(_LEFT, y, words, size=15, weight=600)
