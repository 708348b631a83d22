"""Turns: which jobs start before one that waits at a bucket, and in which order. The order of lua/include/order.lua, worked out ahead."""

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from runner.outlook.view import CLASSES, LineView
from runner.simulation import GOLDEN, class_owed

_MOST_PLAYED = 1_000
"""Turns between classes that are played one by one; beyond, each class has its part of them."""
_HALVINGS = 32
_NEARLY = 0.005
"""How much of a number of turns may be left out, where they are of many lines."""


class Ahead(NamedTuple):
    """How many jobs start before one at its bucket, and their costs in the order of their starts.

    Of very many, the costs are those of some, spread evenly.
    """

    jobs: int
    costs: Sequence[int]


def ahead_of(line: LineView, place: int, lines: Sequence[LineView], turns: int, least_share: float, most: int) -> Ahead:
    """The jobs before the one at this place (0 is the head) of a line; `most` bounds how many costs are told."""
    others = [other for other in lines if other.name != line.name]
    if not others:
        return Ahead(place, _spread([line], [place], most))
    own = line.priority_class
    classes = {one: [other for other in others if other.priority_class == one] for one in CLASSES}
    before = {own: [*_before(line, place, classes[own]), float(place)]}
    classes[own].append(line)
    lengths = {one: sum(other.length * other.stands_for for other in classes[one]) for one in CLASSES}
    wanted = sum(count * other.stands_for for count, other in zip(before[own], classes[own], strict=True)) + 1
    done, picks = _class_turns(lengths, own, wanted, turns, least_share)
    done[own] -= 1
    for one in CLASSES:
        if one != own:
            before[one] = _first(classes[one], done[one])
    jobs = round(sum(done.values()))
    room = {one: round(most * min(done[one] / max(jobs, 1), 1)) if jobs > most else round(done[one]) for one in CLASSES}
    costs = {one: iter(_spread(classes[one], before[one], room[one])) for one in CLASSES}
    ordered = [cost for one in picks if (cost := next(costs[one], None)) is not None] if jobs <= most else []
    ordered += _interleaved([list(costs[one]) for one in CLASSES])
    return Ahead(jobs, ordered)


def _before(line: LineView, place: int, others: Sequence[LineView]) -> list[float]:
    """How many jobs of each other line of its class have their turn before it.

    Of equal tags the one that was put there first: at the turn before, or, for the next turn of each line, in the order of the scores.
    """
    tag, counts = line.tag + place * line.stride, []
    put = (tag - line.stride if place else -1, line.score)
    for other in others:
        whole, rest = divmod(tag - other.tag, other.stride)
        if whole < 0:
            counts.append(0.0)
            continue
        its = (tag - other.stride if whole else -1, other.score)
        counts.append(float(min(other.length, whole + (1 if rest or its < put else 0))))
    return counts


def _class_turns(lengths: dict[int, float], own: int, wanted: float, turns: int, least_share: float) -> tuple[dict[int, float], list[int]]:
    """How many jobs of each class have started when `wanted` of one have, and whose turns the first of these are."""
    done, picks = dict.fromkeys(CLASSES, 0.0), list[int]()
    while done[own] < wanted and len(picks) < _MOST_PLAYED:
        head = next(one for one in CLASSES if lengths[one] - done[one] > 0.5 or one == own)
        owed = CLASSES[class_owed(turns + len(picks), least_share)]
        one = owed if owed > head and lengths[owed] - done[owed] > 0.5 else head
        done[one] += 1
        picks.append(one)
    while done[own] < wanted:
        waiting = [one for one in CLASSES if lengths[one] - done[one] > 0.5 or one == own]
        rates = dict.fromkeys(waiting[1:], least_share)
        rates[waiting[0]] = 1 - least_share * (len(waiting) - 1)
        if rates[own] <= 0:
            rates[own] = 1e-9
        ends = [(lengths[one] - done[one]) / rate for one, rate in rates.items() if one != own and rate > 0]
        span = min([(wanted - done[own]) / rates[own], *ends])
        for one, rate in rates.items():
            done[one] += rate * span
        if span <= 0:
            break
    return done, picks


def _first(lines: Sequence[LineView], count: float) -> list[float]:
    """How many jobs of each line are among the first `count` of their class."""
    if not lines or count < 0.5:
        return [0.0] * len(lines)
    if count >= sum(line.length * line.stands_for for line in lines):
        return [float(line.length) for line in lines]
    low, high = min(line.tag for line in lines) - 1, max(line.tag + line.length * line.stride for line in lines)
    counts, found = [0] * len(lines), 0.0
    for _ in range(_HALVINGS):
        if high - low <= 1:
            break
        middle = (low + high) // 2
        turns = _turns_until(lines, middle)
        total = sum(turn * line.stands_for for turn, line in zip(turns, lines, strict=True))
        if total >= count:
            high = middle
        else:
            low, counts, found = middle, turns, total
            if count - found <= _NEARLY * count:
                break
    # Up to `low` there are a few too few: the rest is of those that follow, in the order of the scores.
    missing = count - found
    more = _turns_until(lines, high) if missing > 0.5 else []
    for at in sorted(range(len(more)), key=lambda at: lines[at].score):
        if missing > 0.5 and more[at] > counts[at]:
            counts[at] += 1
            missing -= lines[at].stands_for
    return [float(turn) for turn in counts]


def _turns_until(lines: Sequence[LineView], tag: int) -> list[int]:
    return [
        0 if tag < line.tag else turns if (turns := (tag - line.tag) // line.stride + 1) < line.length else line.length for line in lines
    ]


def _spread(lines: Sequence[LineView], counts: Sequence[float], most: int) -> list[int]:
    """The costs of so many jobs of each line, in the order of their turns; `most` of them if there are more."""
    total = sum(count * line.stands_for for count, line in zip(counts, lines, strict=True))
    if total < 0.5 or most <= 0:
        return []
    step = max(sum(counts) / max(most, 1), 1.0)
    rows: list[tuple[int, int, int, int]] = []
    for count, line in zip(counts, lines, strict=True):
        tag, stride, score = line.tag, line.stride, line.score
        places = range(int(count)) if step == 1 else _every(step, count, score)
        rows += [(tag + place * stride, tag + (place - 1) * stride if place else -1, score, line.cost(place)) for place in places]
    rows.sort()
    wanted = min(round(total), most)
    if len(rows) == wanted or not rows:
        return [row[-1] for row in rows]
    return [rows[at * len(rows) // wanted][-1] for at in range(wanted)]


def _every(step: float, count: float, seed: int) -> Iterator[int]:
    """Places `step` apart, from one that differs from line to line."""
    at = seed * GOLDEN % 1 * step
    while at < count:
        yield int(at)
        at += step


def _interleaved(rows: Sequence[list[int]]) -> list[int]:
    """Of several lists one, in which each is spread evenly."""
    placed = [((at + 0.5) / len(row), cost) for row in rows for at, cost in enumerate(row)]
    placed.sort(key=itemgetter(0))
    return [cost for _, cost in placed]
