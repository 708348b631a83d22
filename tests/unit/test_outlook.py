"""Place and time of a waiting job, against a brute force that plays every start one by one."""

import random
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

import pytest

from runner.clock import MICROSECONDS as S
from runner.limits import Limit, Need, Quota, SlidingWindow, StoredBucket, TokenBucket
from runner.outlook import BucketView, LineView, Wait, estimates
from runner.simulation import GOLDEN

NOW_US = 1_774_742_400 * S
LEAST = 0.05
CLASS, ROUND, INSERTIONS = 1 << 51, 4096, 1 << 20


class Line(NamedTuple):
    priority: int
    weight: int
    costs: list[int]

    def view(self, number: int, read: int) -> LineView:
        name = f"{self.priority}|b@t{number}" + (f"*{self.weight}" if self.weight > 1 else "")
        score = (self.priority + 1) * CLASS + round(ROUND / self.weight) * INSERTIONS + number
        return LineView.of(name, score, len(self.costs), self.costs[:read])


def mixture(r: random.Random, count: int, dear: int) -> list[Line]:
    def costs() -> list[int]:
        return [r.choice([1, 1, 1, r.randint(1, dear)]) for _ in range(r.choice([1, 2, 5, 20, 60]))]

    return [Line(r.choice([0, 0, 1, 1, 1, 2]), r.choice([1, 1, 1, 2, 5]), costs()) for _ in range(count)]


def in_order(lines: Sequence[Line]) -> Iterator[tuple[int, int]]:
    """(line, place) of each start, by the rules of the scripts."""
    waiting: list[list[tuple[int, int, int, int]]] = [[], [], []]
    for number, line in enumerate(lines):
        heappush(waiting[line.priority], (round(ROUND / line.weight), number, number, 0))
    inserted = len(lines)
    turn = 0
    while any(waiting):
        own = next(one for one in range(3) if waiting[one])
        share = turn * GOLDEN % 1 if turn else 0
        lower = 2 if share >= 1 - LEAST else 1 if share >= 1 - 2 * LEAST else 0
        one = lower if lower > own and waiting[lower] else own
        turn += 1
        tag, _, number, place = heappop(waiting[one])
        yield number, place
        if place + 1 < len(lines[number].costs):
            inserted += 1
            heappush(waiting[one], (tag + round(ROUND / lines[number].weight), inserted, number, place + 1))


LIMITS: dict[str, Callable[[], tuple[Limit, StoredBucket]]] = {
    "smooth": lambda: (TokenBucket("b", rate="10/s", burst=20), StoredBucket({"deficit": 20 * 100_000, "time": NOW_US})),
    "interval": lambda: (TokenBucket("b", capacity=40, refill=30, every=5), StoredBucket({"deficit": 40, "time": NOW_US})),
    "window": lambda: (SlidingWindow("b", 50, per=10), StoredBucket({"next_at": 0, "paced_until": 0}, [(NOW_US - S, 50)])),
    "quota": lambda: (Quota("b", 500, per="hour"), StoredBucket({"used": 500})),
}


def answers(kind: str, lines: list[Line], r: random.Random, most: int, read: int) -> Iterator[tuple[int, int, int, int]]:
    """(told place, real place, told µs, real µs) of some jobs."""
    limit, stored = LIMITS[kind]()
    order = list(in_order(lines))
    bucket, now_us, starts = limit.bucket_of(stored, NOW_US), NOW_US, {}
    for real, (number, place) in enumerate(order):
        cost = min(lines[number].costs[place], limit.capacity)
        now_us += bucket.wait_us(cost, now_us) or 0
        bucket.take(cost, now_us, str(real))
        starts[number, place] = real, now_us
    views = [line.view(number, read) for number, line in enumerate(lines)]
    for _ in range(most):
        number = r.randrange(len(lines))
        place = r.randrange(len(lines[number].costs))
        view = BucketView("b", "tokens", limit, stored, NOW_US, NOW_US, lines=views, asked={views[number].name: views[number]})
        (told,) = estimates([Wait(views[number].name, place, [Need("b", lines[number].costs[place])])], {"b": view}, LEAST)
        real, at_us = starts[number, place]
        assert told.eta_us is not None
        yield told.position, real + 1, told.eta_us, at_us - NOW_US


def outside(told_us: int, real_us: int) -> bool:
    return abs(told_us - real_us) > max(real_us // 5, S)


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("count", [1, 3, 30])
def test_place_and_time_are_right_where_all_is_known(kind: str, count: int) -> None:
    wrong, total = [], 0
    for seed in range(10):
        r = random.Random(seed)
        for told, real, told_us, real_us in answers(kind, mixture(r, count, 20), r, 20, read=100):
            total += 1
            if outside(told_us, real_us) or abs(told - real) > max(2, real / 50):
                wrong.append((seed, told, real, told_us / S, real_us / S))
    assert len(wrong) <= total / 100, wrong
