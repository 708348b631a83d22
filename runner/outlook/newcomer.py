"""Newcomer: the lines of some buckets as they would be with one more job, submitted at this instant."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from runner.limits import Need
from runner.outlook.estimate import Wait
from runner.outlook.view import BucketView, LineView, SeveralView
from runner.simulation import LineName, score_of

_CLOCKS = 4
"""Of each class, and the number of insertions."""


def with_newcomer(line: str, length: int, needs: Sequence[Need], views: Mapping[str, BucketView]) -> tuple[Wait, dict[str, BucketView]]:
    """The job at its place in its line, which has `length` others, and the buckets with it."""
    needed = {need.bucket: need for need in needs}
    found = {name: _with_one_more(view, line, length, needed[name]) if name in needed else view for name, view in views.items()}
    if len(needed) > 1:
        for name in needed:
            if name in found:
                found[name] = replace(found[name], several=_several(found[name], line, length, needs))
    return Wait(line, length, needs), found


def _with_one_more(view: BucketView, line: str, length: int, need: Need) -> BucketView:
    known = view.asked.get(line)
    if known is None and length:
        return view  # it has had its turn here
    own = _joining(view, line, need.cost) if known is None else _longer(known, need.cost)
    others = [other for other in view.lines if other.name != line]
    at_rest = not view.lines and view.wake_us is None
    lines = sorted([*others, own], key=lambda other: other.score)
    return replace(view, lines=lines, asked={**view.asked, line: own}, wake_us=view.now_us if at_rest else view.wake_us)


def _joining(view: BucketView, line: str, cost: int) -> LineView:
    name = LineName.of(line)
    *clocks, insertions = (*view.clocks, 0, 0, 0, 0)[:_CLOCKS]
    return LineView.of(line, score_of(name.class_, clocks[name.class_] + name.stride, insertions + 1), 1, [cost])


def _longer(known: LineView, cost: int) -> LineView:
    costs = [*known.costs, cost] if len(known.costs) == known.length else known.costs
    return known._replace(length=known.length + 1, costs=costs)


def _several(view: BucketView, line: str, length: int, needs: Sequence[Need]) -> list[SeveralView]:
    known = next((one for one in view.several if one.name == line), None)
    own = SeveralView(line, length + 1, (), needs, view.now_us) if known is None else known._replace(length=length + 1)
    return [*(one for one in view.several if one.name != line), own]
