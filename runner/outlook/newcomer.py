"""Newcomers: the lines of some buckets as they would be with more jobs, submitted at this instant, one after the other."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from runner.limits import Need
from runner.outlook.estimate import MOST_COSTS, Wait
from runner.outlook.view import BucketView, LineView, SeveralView
from runner.simulation import LineName, score_of

_CLOCKS = 4
"""Of each class, and the number of insertions."""


class Newcomer(NamedTuple):
    """A job that is not there yet: its line, how many jobs wait there now, and what it needs."""

    line: str
    length: int
    needs: Sequence[Need]


def with_newcomers(jobs: Sequence[Newcomer], views: Mapping[str, BucketView]) -> tuple[list[Wait], dict[str, BucketView]]:
    """Each job at its place in its line, behind those of `jobs` before it there, and the buckets with all of them."""
    lines: dict[str, list[Newcomer]] = {}
    waits: list[Wait] = []
    for job in jobs:
        own = lines.setdefault(job.line, [])
        waits.append(Wait(job.line, job.length + len(own), job.needs))
        own.append(job)
    found = dict(views)
    for line, own in lines.items():
        length, buckets = own[0].length, dict.fromkeys(need.bucket for job in own for need in job.needs)
        for name in buckets:
            if name in found:
                costs = [need.cost for job in islice(own, MOST_COSTS) for need in job.needs if need.bucket == name]
                found[name] = _with_more(found[name], line, length, len(own), costs)
                if len(buckets) > 1:
                    found[name] = replace(found[name], several=_several(found[name], line, length + len(own), own[0].needs))
    return waits, found


def _with_more(view: BucketView, line: str, length: int, count: int, costs: Sequence[int]) -> BucketView:
    known = view.asked.get(line)
    if known is None and length:
        return view  # it has had its turn here
    own = _joining(view, line, count, costs) if known is None else _longer(known, count, costs)
    others = [other for other in view.lines if other.name != line]
    at_rest = not view.lines and view.wake_us is None
    lines = sorted([*others, own], key=lambda other: other.score)
    clocks = (*(*view.clocks, 0, 0, 0, 0)[: _CLOCKS - 1], _insertions(view) + (known is None))
    asked, wake_us = {**view.asked, line: own}, view.now_us if at_rest else view.wake_us
    return replace(view, lines=lines, asked=asked, wake_us=wake_us, clocks=clocks)


def _insertions(view: BucketView) -> int:
    return view.clocks[_CLOCKS - 1] if len(view.clocks) >= _CLOCKS else 0


def _joining(view: BucketView, line: str, count: int, costs: Sequence[int]) -> LineView:
    name = LineName.of(line)
    clocks = (*view.clocks, 0, 0, 0)
    return LineView.of(line, score_of(name.class_, clocks[name.class_] + name.stride, _insertions(view) + 1), count, costs)


def _longer(known: LineView, count: int, costs: Sequence[int]) -> LineView:
    told = [*known.costs, *costs] if len(known.costs) == known.length else known.costs
    return known._replace(length=known.length + count, costs=told)


def _several(view: BucketView, line: str, length: int, needs: Sequence[Need]) -> list[SeveralView]:
    known = next((one for one in view.several if one.name == line), None)
    own = SeveralView(line, length, (), needs, view.now_us) if known is None else known._replace(length=length)
    return [*(one for one in view.several if one.name != line), own]
