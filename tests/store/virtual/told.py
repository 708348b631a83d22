"""What waiting jobs are told of their start, against when they start: random lines at limits of all kinds, played by the scripts.

.venv/bin/python -m tests.store.virtual.told --mixtures 20
"""

import argparse
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from runner.clock import MICROSECONDS as S
from runner.jobs.job import Priority
from runner.limits import Limit, Need, Quota, SlidingWindow, TokenBucket
from runner.store.claims import ClaimRequest, Look
from tests.servers import VALKEY, Server
from tests.store.builders import Clock, job, make_store, succeeded
from tests.store.virtual.direct import DirectRedis, done
from tests.topologies import queue_name

KINDS: dict[str, Callable[[], Limit]] = {
    "smooth": lambda: TokenBucket("b", rate="10/s", burst=20),
    "interval": lambda: TokenBucket("b", capacity=40, refill=40, every=4),
    "window": lambda: SlidingWindow("b", 60, per=6),
    "quota": lambda: Quota("b", 60, per="hour"),
}
_MOST_PER_CALL = 400
_MOST_LOOKS = 200_000


class Line(NamedTuple):
    """Jobs of one tenant and priority, with their costs."""

    priority: Priority
    weight: int
    costs: list[int]


class Told(NamedTuple):
    """Of one job: the place and the time (µs) that it was told, and those that came true: of all that started at the same instant the places."""

    place: int
    eta_us: int
    first_place: int
    last_place: int
    real_us: int

    def is_placed(self, part: float, least: int) -> bool:
        """Whether its place was right but for this part of it."""
        off = max(self.first_place - self.place, self.place - self.last_place, 0)
        return off <= max(part * self.last_place, least)

    @property
    def is_right(self) -> bool:
        return abs(self.eta_us - self.real_us) <= max(self.real_us // 5, S)


def lines_of(r: random.Random, count: int, dear: int = 20) -> list[Line]:
    """Lines of 1 to 60 jobs, half of them cheap, in all priorities."""
    priorities = [Priority.high, Priority.high, Priority.normal, Priority.normal, Priority.normal, Priority.low]
    return [
        Line(
            r.choice(priorities),
            r.choice([1, 1, 1, 2, 5]),
            [r.choice([1, 1, 1, r.randint(1, dear)]) for _ in range(r.choice([1, 2, 5, 20, 60]))],
        )
        for _ in range(count)
    ]


class Answer(NamedTuple):
    """What a status said at an instant."""

    at_us: int
    place: int
    eta_us: int


class Player:
    """A queue of its own whose jobs all come at the beginning, in turns of the lines."""

    def __init__(self, url: str, limit: Limit, lines: Sequence[Line]) -> None:
        self.clock, self.redis, self.limit, self.lines = Clock(), DirectRedis(url), limit, lines
        self.store = make_store(url, queue_name(), self.clock, history_length=0, lease_s=3_600)
        self.store.redis = self.redis  # type: ignore[assignment] # as much of a client as the scripts need
        done(self.store.publish({}, [limit]))
        done(self.store.enlist("w", "{}"))
        self.started: dict[str, tuple[int, int]] = {}
        self.ask_us: list[float] = []

    def submit(self) -> None:
        wanted = []
        for place in range(max(len(line.costs) for line in self.lines)):
            for number, line in enumerate(self.lines):
                if place < len(line.costs):
                    need = Need("b", min(line.costs[place], self.limit.capacity))
                    wanted.append(job(f"{number}-{place}", needs=[need], share=f"t{number}", weight=line.weight, priority=line.priority))
        for at in range(0, len(wanted), _MOST_PER_CALL):
            done(self.store.submit(wanted[at : at + _MOST_PER_CALL]))

    def ask(self, ids: Sequence[str]) -> dict[str, Answer]:
        began = time.perf_counter()
        statuses = done(self.store.get(ids))
        self.ask_us.append((time.perf_counter() - began) / max(len(ids), 1) * S)
        return {
            status.id: Answer(self.clock.now_us, status.position, round(status.eta_s * S))
            for status in statuses
            if status is not None and status.position is not None and status.eta_s is not None
        }

    def play(self, until: Callable[[], bool]) -> None:
        """Start what can start, from wake to wake."""
        for _ in range(_MOST_LOOKS):
            _, wake_us = done(self.store.refill(check_clock=False))
            claimed = done(self.store.claim("w", ClaimRequest(500, look=Look.no, read_more=True, alone=True))).jobs
            for one in claimed:
                self.started[one.id] = (len(self.started), self.clock.now_us)
            if claimed:
                done(self.store.finish("w", [succeeded(one, ttl_ms=1_000) for one in claimed]))
            elif wake_us != 0:
                if wake_us < 0 or until():
                    return
                self.clock.now_us += wake_us
                if self.limit.calendar:
                    done(self.store.extend_calendar(self.limit.calendar))
        raise AssertionError("it never ends")

    def close(self) -> None:
        cursor = b"0"
        while True:
            cursor, page = self.redis.ask("SCAN", cursor, "MATCH", f"{self.store.keys.prefix}*", "COUNT", 1000)
            if page:
                self.redis.ask("DEL", *page)
            if cursor == b"0":
                break
        self.redis.close()


def told(url: str, kind: str, lines: Sequence[Line], r: random.Random, most: int = 12) -> Iterator[Told]:
    """Ask of some jobs at the beginning and again after a tenth of all has started, then see."""
    player = Player(url, KINDS[kind](), lines)
    try:
        player.submit()
        total = sum(len(line.costs) for line in lines)
        asked: list[tuple[str, Answer, int]] = []
        for share in (0.0, 0.1):
            player.play(lambda share=share: len(player.started) >= share * total)  # type: ignore[misc] # the value of now
            rest = [
                f"{number}-{place}"
                for number, line in enumerate(lines)
                for place in range(len(line.costs))
                if f"{number}-{place}" not in player.started
            ]
            chosen = r.sample(rest, min(most, len(rest)))
            asked += [(one, at, len(player.started)) for one, at in player.ask(chosen).items()]
        player.play(lambda: False)
        together: dict[int, list[int]] = {}
        for place, at_us in player.started.values():
            together.setdefault(at_us, []).append(place)
        for one, at, before in asked:
            _, real_us = player.started[one]
            places = together[real_us]
            yield Told(at.place, at.eta_us, min(places) - before + 1, max(places) - before + 1, real_us - at.at_us)
        assert len(player.started) == total
    finally:
        player.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mixtures", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lines", type=int, nargs="+", default=[1, 3, 30, 300])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--asked", type=int, default=12, help="jobs asked about at a time")
    arguments = parser.parse_args()
    with Server(VALKEY) as server:
        for kind in arguments.kinds:
            for count in arguments.lines:
                rows: list[Told] = []
                for seed in range(arguments.seed, arguments.seed + arguments.mixtures):
                    r = random.Random(seed)
                    rows += told(server.url, kind, lines_of(r, count), r, arguments.asked)
                errors = sorted(abs(row.eta_us - row.real_us) / max(row.real_us, S) for row in rows)
                places = sum(not row.is_placed(0.05, 1) for row in rows)
                wrong = sum(not row.is_right for row in rows)
                print(
                    f"{kind:9s} {count:3d} lines: {len(rows):4d} answers, outside 20 % and 1 s {100 * wrong / len(rows):.1f} %,"
                    f" place off by more than 5 % {100 * places / len(rows):.1f} %;"
                    f" error p50 {errors[len(errors) // 2]:.3f} p90 {errors[len(errors) * 9 // 10]:.3f} max {errors[-1]:.3f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
