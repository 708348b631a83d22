"""A picture made of panels of bars, two in a row. It knows nothing of what the bars mean."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from bench.results import number
from runner.cli.simulate.shapes import INK, LINE, QUIET, SERIES, TRACK, document, line, rect, shortened, text

OURS, OTHER = SERIES[0], SERIES[5]
_WIDTH, _EDGE, _GAP, _ROW = 960, 32, 44, 26
_TOP, _HEADING = 92, 34
_NAMES, _VALUES = 128, 66
"""Pixels for the names before the bars and for the figures behind them."""
_LONGEST_NAME = 18


@dataclass(frozen=True, slots=True)
class Bar:
    """A median and its spread. A pale bar is one that is compared with."""

    name: str
    value: float
    least: float
    most: float
    paint: str = OURS


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars of one unit, on a scale from 0 to the longest, or to `full` if that is more."""

    title: str
    note: str
    bars: Sequence[Bar]
    full: float = 0.0


def picture(title: str, note: str, panels: Sequence[Panel]) -> str:
    """Panels with bars, from the left to the right and down."""
    across = (_WIDTH - 2 * _EDGE - _GAP) / 2
    body = [text(_EDGE, 42, title, size=20, weight=600), text(_EDGE, 64, note, size=12, paint=QUIET)]
    y = float(_TOP)
    for left, right in zip_longest(panels[::2], panels[1::2]):
        pair = [panel for panel in (left, right) if panel is not None]
        for place, panel in enumerate(pair):
            body += _drawn(panel, _EDGE + place * (across + _GAP), y, across)
        y += _HEADING + _ROW * max(len(panel.bars) for panel in pair) + 30
    return document(_WIDTH, y, title, body)


def _drawn(panel: Panel, left: float, top: float, across: float) -> Iterator[str]:
    yield text(left, top + 8, panel.title, size=14, weight=600)
    yield text(left + across, top + 8, panel.note, size=11, paint=QUIET, anchor="end")
    begin, room = left + _NAMES, across - _NAMES - _VALUES
    scale = room / (max([panel.full, *(bar.most for bar in panel.bars)]) or 1)
    for place, bar in enumerate(panel.bars):
        y = top + _HEADING + place * _ROW
        yield text(left, y + 4, shortened(bar.name, _LONGEST_NAME), paint=INK if bar.paint == OURS else QUIET)
        yield rect(begin, y - 8, room, 16, TRACK, radius=2)
        yield rect(begin, y - 8, max(bar.value * scale, 1.5), 16, bar.paint, radius=2)
        if bar.most > bar.least:
            yield line(begin + bar.least * scale, y, begin + bar.most * scale, y, INK, width=1.2)
            for end in (bar.least, bar.most):
                yield line(begin + end * scale, y - 4, begin + end * scale, y + 4, INK, width=1.2)
        yield text(left + across, y + 4, number(bar.value), anchor="end", weight=600 if bar.paint == OURS else 400)
    yield line(begin, top + _HEADING - 12, begin, top + _HEADING + _ROW * len(panel.bars) - 14, LINE)
