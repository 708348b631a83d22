"""How long a line waits among others, in turns: bounds that hold for every line, whatever the names, the weights and who comes later."""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence

import pytest

from runner.jobs.job import Priority
from runner.limits import TokenBucket
from tests.store.virtual.mixtures import Line, Mixture
from tests.store.virtual.play import Play, S, Service

RATE = 10
"""Starts a second."""
Player = Callable[[Sequence[Line]], Play]


@pytest.fixture
def played(direct_url: str) -> Iterator[Player]:
    """Plays lines at one limit `x`, and the limits of their own that some have, until nobody waits or comes any more."""
    plays = list[Play]()

    def play(lines: Sequence[Line], *, seconds: int = 60) -> Play:
        names = dict.fromkeys(limit for line in lines for limit, _ in line.needs)
        limits = {name: TokenBucket(name, rate=f"{RATE if name == 'x' else 100 * RATE}/s", burst=1) for name in names}
        plays.append(Play(direct_url, Mixture(limits, lines)))
        plays[0].run(seconds * S)
        return plays[0]

    yield play
    for one in plays:
        one.close()


def alone(name: str, at_s: float = 0, **fields: object) -> Line:
    """A line of one job."""
    return Line(name, (("x", 1),), joins_us=int(at_s * S), jobs=1, **fields)  # type: ignore[arg-type]


def waited(play: Play, name: str) -> float:
    """Seconds until the only job of a line started."""
    (at,) = [at for at, line in enumerate(play.mixture.lines) if line.name == name]
    ((_, wait_us),) = [row for row in play.waits_us if row[0] == at]
    return wait_us / S


def turns_before(play: Play, place: int) -> tuple[int, int]:
    """Starts of the same priority that a line saw while it waited for the start at this place, and the most lines of it that waited then."""
    lines = play.mixture.lines
    start = play.order[place]
    priority = lines[start.line].priority
    seen = play.order[start.since : place]
    return sum(lines[one.line].priority is priority for one in seen), max(one.lines[priority] for one in [*seen, start])


def random_lines(seed: int, *, weights: Sequence[int] = (1,), priorities: Sequence[Priority] = (Priority.normal,)) -> list[Line]:
    """Busy lines, lines that come and go, and newcomers at the full rate whose names come first in the alphabet."""
    r = random.Random(seed)

    def line(name: str, at_s: float, jobs: int | None) -> Line:
        gap = r.choice([None, lambda r: r.expovariate(1 / (2 * S))]) if jobs is None else None
        return Line(name, (("x", 1),), r.choice(weights), r.choice(priorities), gap, int(at_s * S), jobs)

    busy = [line(r.choice("bmz") + str(at), r.uniform(0, 3), None) for at in range(r.randrange(3, 9))]
    passing = [line(r.choice("bmz") + f"p{at}", r.uniform(0, 20), r.randrange(1, 5)) for at in range(15)]
    return [*busy, *passing, *(line(f"a{900 - at}", at / RATE, 1) for at in range(200))]


@pytest.mark.parametrize("own_limits", [False, True])
def test_a_line_late_in_the_alphabet_starts_though_newcomers_come_at_the_full_rate(played: Player, own_limits: bool) -> None:
    lines = [*(alone(f"m{at:02}") for at in range(20)), alone("zzz", 0.01), *(alone(f"a{at:03}", 0.05 + at / RATE) for at in range(100))]
    if own_limits:
        lines = [Line(line.name, (("x", 1), (f"own-{line.name}", 1)), joins_us=line.joins_us, jobs=1) for line in lines]

    assert waited(played(lines), "zzz") <= 2.2


@pytest.mark.parametrize("seed", range(3))
def test_no_line_sees_more_turns_than_lines_wait(played: Player, seed: int) -> None:
    play = played(random_lines(seed))

    for place in range(len(play.order)):
        turns, lines = turns_before(play, place)
        assert turns <= lines, play.order[place]


@pytest.mark.parametrize("seed", range(3))
def test_with_weights_a_line_sees_no_more_turns_than_its_part_allows(played: Player, seed: int) -> None:
    play = played(random_lines(seed, weights=(1, 1, 2, 3, 7, 20)))
    heaviest = max(line.weight for line in play.mixture.lines)

    for place, start in enumerate(play.order):
        turns, lines = turns_before(play, place)
        assert turns <= lines * (heaviest / play.mixture.lines[start.line].weight + 1), start


@pytest.mark.parametrize("seed", range(2))
def test_with_priorities_a_line_sees_no_more_turns_of_its_own_than_lines_wait(played: Player, seed: int) -> None:
    play = played(random_lines(seed, priorities=tuple(Priority)))

    for place in range(len(play.order)):
        turns, lines = turns_before(play, place)
        assert turns <= lines, play.order[place]


def test_one_high_job_starts_before_hundreds_of_low_ones_of_others(played: Player) -> None:
    low = [alone(f"a{at}", priority=Priority.low) for at in range(299)]

    assert waited(played([*low, alone("zzz", 0.55, priority=Priority.high)]), "zzz") <= 2 / RATE


def test_lower_priorities_of_other_lines_have_their_least_share_evenly(played: Player) -> None:
    lines = [Line(f"{priority.name}{at}", (("x", 1),), priority=priority) for priority in Priority for at in range(3)]

    play = played(lines)
    order = [lines[start.line].priority for start in play.order[20:]]

    for priority in (Priority.normal, Priority.low):
        places = [place for place, one in enumerate(order) if one is priority]
        assert 0.045 <= len(places) / len(order) <= 0.055
        assert max(after - before for before, after in itertools.pairwise(places)) <= 34
    assert order.count(Priority.high) / len(order) > 0.88


def test_busy_lines_get_turns_by_their_weights(played: Player) -> None:
    weights = {"z": 1, "m": 2, "b": 5, "a": 12}
    play = played([Line(name, (("x", 1),), weight) for name, weight in weights.items()])

    first = [play.mixture.lines[start.line].name for start in play.order[-400:]]
    for name, weight in weights.items():
        assert abs(first.count(name) - 20 * weight) <= 2


def starts_of(play: Play, name: str) -> list[Service]:
    return [start for start in play.order if play.mixture.lines[start.line].name == name]


def test_a_line_that_gets_one_job_at_a_time_waits_for_one_round(played: Player) -> None:
    busy = [Line(f"b{at}", (("x", 1),)) for at in range(10)]
    play = played([*busy, Line("a", (("x", 1),), gap=lambda r: 2 * S, joins_us=S)])

    quiet = starts_of(play, "a")
    assert len(quiet) > 25
    assert max(play.order.index(start) - start.since for start in quiet) <= 11
