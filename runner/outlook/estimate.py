"""Estimate: the place of a waiting job and when it starts, by the bucket that lets it wait longest."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from runner.limits import Need, QueuePace
from runner.outlook import pace
from runner.outlook.several import has_several, snapshot
from runner.outlook.turns import Ahead, ahead_of
from runner.outlook.view import BucketView, LineView
from runner.simulation import foresee

MOST_COSTS = 1_000
"""Jobs ahead that are played one by one: some 2 ms."""
MOST_WORKED_OUT, MOST_PLAYED = 12, 4


class Wait(NamedTuple):
    """A job at a place in its line (0 is the head)."""

    line: str
    place: int
    needs: Sequence[Need]


class Estimate(NamedTuple):
    """Why the job waits and at which bucket, its place there (1 is next), and µs until it starts; None: unknown. pace: of a limit of several queues."""

    reason: str
    bucket: str
    position: int
    eta_us: int | None
    pace: QueuePace | None = None


class _Answer(NamedTuple):
    """Of one need: jobs and tokens ahead, and µs until the tokens are there."""

    jobs: float
    tokens: float
    eta_us: int | None


def estimates(waits: Sequence[Wait], views: Mapping[str, BucketView], least_share: float, most_played: int = MOST_PLAYED) -> list[Estimate]:
    """Of each job: by the one of its buckets that lets it wait longest. One of which nothing can be known comes before all others.

    most_played: of how many of those that need several limits, the first ones, the time is played, which takes up to 0.1 s.
    """
    groups: dict[tuple[str, int], list[_Asked]] = {}
    for at, wait in enumerate(waits):
        for need in wait.needs:
            line = views[need.bucket].asked.get(wait.line)
            turn = (line.tag + wait.place * line.stride, line.score) if line else (wait.place, 0)
            groups.setdefault((need.bucket, line.priority_class if line else 0), []).append(_Asked(turn, at, wait, need, line))
    worst: dict[int, tuple[tuple[bool, int], Estimate]] = {}
    for (bucket, _), asked in groups.items():
        view = views[bucket]
        for one, (jobs, _, eta_us) in zip(asked, _answers(view, asked, least_share), strict=True):
            weight = (eta_us is None, eta_us or 0)
            if one.at not in worst or weight > worst[one.at][0]:
                worst[one.at] = weight, Estimate(view.reason, view.name, round(jobs) + 1, eta_us, view.pace)
    return _played(waits, [worst[at][1] for at in range(len(waits))], views, least_share, most_played)


def _played(waits: Sequence[Wait], found: list[Estimate], views: Mapping[str, BucketView], least_share: float, most: int) -> list[Estimate]:
    """The times of jobs that need several limits, or wait with such, by playing what is near them forward."""
    among = [at for at, wait in enumerate(waits) if any(has_several(views[need.bucket]) for need in wait.needs)]
    near = snapshot(views, least_share) if among else None
    if near is None:
        return found
    for at in [at for at in among if found[at].eta_us is not None][:most]:
        foreseen = foresee(near, waits[at].line, waits[at].place, MOST_COSTS)
        if foreseen is not None:
            found[at] = found[at]._replace(eta_us=max(foreseen.at_us - near.now_us, 0))
    return found


class _Asked(NamedTuple):
    """A job in the order of the turns of its class at one of its buckets."""

    turn: tuple[int, int]
    at: int
    wait: Wait
    need: Need
    line: LineView | None


def _answers(view: BucketView, asked: list[_Asked], least_share: float) -> list[_Answer]:
    """Of many jobs that wait at one bucket some are worked out, and the others lie between those whose turns are before and after theirs."""

    def worked_out(one: _Asked, cost: int) -> _Answer:
        ahead = _ahead(view, one, least_share)
        tokens = sum(ahead.costs) * ahead.jobs / max(len(ahead.costs), 1)
        return _Answer(ahead.jobs, tokens, _eta_us(view, ahead, cost))

    if len(asked) <= MOST_WORKED_OUT:
        return [worked_out(one, one.need.cost) for one in asked]
    order = sorted(range(len(asked)), key=lambda at: asked[at].turn)
    answers: dict[int, _Answer] = {}
    known = _nodes(len(order))
    nodes = {at: worked_out(asked[order[at]], 1) for at in known}
    for low, high in pairwise(known):
        first, last = nodes[low], nodes[high]
        span = max(asked[order[high]].turn[0] - asked[order[low]].turn[0], 1)
        for at in range(low, high + 1):
            one = asked[order[at]]
            part = (one.turn[0] - asked[order[low]].turn[0]) / span if low < at < high else float(at == high)
            answers[order[at]] = _between(first, last, part, one.need.cost)
    return [answers[at] for at in range(len(asked))]


def _between(first: _Answer, last: _Answer, part: float, cost: int) -> _Answer:
    jobs, tokens = (low + (high - low) * part for low, high in zip(first[:2], last[:2], strict=True))
    if first.eta_us is None or last.eta_us is None:
        return _Answer(jobs, tokens, None)
    span_us = last.eta_us - first.eta_us
    own_us = (cost - 1) * span_us / max(last.tokens - first.tokens, 1)
    return _Answer(jobs, tokens, round(first.eta_us + span_us * part + own_us))


def _nodes(count: int) -> list[int]:
    """Places up to `count`: all of the first ones, and then ever fewer."""
    nodes, at = [0], 1
    while at < count - 1:
        nodes.append(at)
        at = max(at + 1, at * 4 // 3)
    return [*nodes, count - 1]


def _ahead(view: BucketView, one: _Asked, least_share: float) -> Ahead:
    place = one.wait.place
    if one.line is None:
        # Its line does not wait here: it had its turn, or will have it first of all.
        return Ahead(place, [one.need.cost] * min(place, MOST_COSTS))
    return ahead_of(one.line, place, view.lines, view.turns, least_share, MOST_COSTS)


def _eta_us(view: BucketView, ahead: Ahead, cost: int) -> int | None:
    """µs until the job's tokens are there, once the reserved ones are taken and all jobs ahead have started."""
    starts_us = pace.start_us(view, pace.Ahead(ahead.costs, ahead.jobs / len(ahead.costs) if ahead.costs else 1.0, cost))
    return None if starts_us is None else max(starts_us - view.now_us, 0)
