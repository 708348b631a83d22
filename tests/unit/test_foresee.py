"""foresee: told at one instant of a course when jobs start, against what then came."""

import pytest

from runner.clock import MICROSECONDS as S
from runner.limits import Concurrency, Limit, Need, SlidingWindow, StoredBucket, TokenBucket
from runner.limits.credits import BucketState
from runner.simulation import BucketSnapshot, LineSnapshot, NeedSnapshot, Snapshot, foresee
from runner.simulation.buckets import ServedBucket
from runner.simulation.claims import FAR, look_of
from runner.simulation.line import Line
from runner.simulation.lines import Lines
from runner.simulation.work import Job, LineName, Work
from tests.store.virtual.mixtures import mixture
from tests.unit.test_simulated_mixtures import Endless

A_CLASS = 1 << 51


def snapshot_of(lines: Lines) -> Snapshot:
    """What a script would read of all lines and buckets."""
    waiting = [line for line in lines.known.values() if line.jobs]
    buckets = {need.bucket.name: need.bucket for line in waiting for need in line.needs}
    return Snapshot(
        lines.now_us,
        tuple(_bucket(bucket, lines) for bucket in buckets.values()),
        tuple(_line(line, lines) for line in waiting),
    )


def _bucket(bucket: ServedBucket, lines: Lines) -> BucketSnapshot:
    order, held = bucket.order, vars(bucket.bucket)
    return BucketSnapshot(
        bucket.name,
        bucket.limit,
        _stored(bucket.limit, held),
        lines.buckets.wakes._due.get(bucket.name),
        reserved=bucket.reserved,
        waiting=tuple((name, place + (LineName.of(name).class_ + 1) * A_CLASS) for name, place in order._places.items()),
        turns=order.turns,
        clocks=(order.clocks[0], order.clocks[1], order.clocks[2]),
        insertions=order.insertions,
        aside=bucket.aside,
        until_us=bucket.until_us,
    )


def _stored(limit: Limit, held: dict[str, object]) -> StoredBucket:
    match limit:
        case TokenBucket():
            state = held["_state"]
            assert isinstance(state, BucketState)
            return StoredBucket({"deficit": state.deficit, "time": state.time_us})
        case SlidingWindow():
            return StoredBucket({"next_at": 0, "paced_until": 0}, tuple(held["_taken"]))  # type: ignore[arg-type] # rows of two numbers
        case _:
            rows = tuple((since_us, cost) for cost, since_us in held["_held"].values())  # type: ignore[attr-defined] # a dict
            return StoredBucket({"held_us": held["_held_us"], "probe": 0}, rows)  # type: ignore[dict-item] # a number


def _line(line: Line, lines: Lines) -> LineSnapshot:
    look_us = lines.buckets.wakes._due.get(look_of(line))
    return LineSnapshot(
        line.name.name,
        len(line.jobs),
        (line.jobs[0].work.needs,),
        tuple(NeedSnapshot(need.had, need.saved, need.until_us, need.entry is not None, (need.entry or 0) >= FAR) for need in line.needs),
        line.number,
        line.due_us,
        line.missed,
        line.needs.index(line.latest),
        look_us,
    )


def told_and_come(seed: int) -> list[tuple[int, int, bool]]:
    """The waits told for several places of each line of a mixture, after five minutes of it, those that came, and whether it was played."""
    played = Endless(mixture(seed), depth=1_000)
    played.run(300 * S)
    snapshot = snapshot_of(played.lines)
    told = {(line.name, place): foresee(snapshot, line.name, place) for line in snapshot.lines for place in (0, 1, 3, 10)}
    played.log.clear()
    played.run(900 * S)
    found = []
    for (name, place), foreseen in told.items():
        starts_us = played.log.get(name, [])
        if place < len(starts_us):
            assert foreseen is not None, (name, place)
            found.append((foreseen.at_us - snapshot.now_us, starts_us[place] - snapshot.now_us, foreseen.reached))
    return found


@pytest.mark.parametrize("seed", [1, 2, 4, 7, 8])
def test_where_every_wait_can_be_computed_what_is_foreseen_comes_to_the_microsecond(seed: int) -> None:
    waits = told_and_come(seed)

    assert sum(reached for _, _, reached in waits) >= 20
    assert all(told_us == came_us for told_us, came_us, reached in waits if reached)
    assert all(abs(told_us - came_us) <= 0.2 * came_us for told_us, came_us, _ in waits)


def test_with_slots_that_are_held_for_different_times_few_answers_are_far_off() -> None:
    waits = [row for seed in (3, 5, 6, 9, 12) for row in told_and_come(seed)]

    outside = sum(abs(told_us - came_us) > max(0.2 * came_us, S) for told_us, came_us, _ in waits)
    assert outside <= 0.1 * len(waits), f"{outside} of {len(waits)} outside 20 % and 1 s"


def work(*needs: tuple[str, int]) -> tuple[Need, ...]:
    return tuple(Need(name, cost) for name, cost in needs)


def test_a_job_at_a_place_in_line_starts_when_the_tokens_for_all_before_it_have_landed() -> None:
    bucket = TokenBucket("a", rate="1/s", burst=1)
    snapshot = Snapshot(
        10 * S,
        (
            BucketSnapshot(
                "a", bucket, StoredBucket({"deficit": S, "time": 10 * S}), 11 * S, waiting=(("1|a", 2 * A_CLASS + 4096 * 2**20 + 1),)
            ),
        ),
        (LineSnapshot("1|a", 50, (work(("a", 1)),)),),
    )

    foreseen = foresee(snapshot, "1|a", 4)

    assert foreseen is not None
    assert (foreseen.at_us, foreseen.reached, foreseen.starts_played) == (15 * S, True, 5)


def test_a_place_beyond_what_is_played_is_reached_at_the_pace_of_the_line() -> None:
    bucket = TokenBucket("a", rate="1/s", burst=1)
    snapshot = Snapshot(
        0,
        (BucketSnapshot("a", bucket, StoredBucket({"deficit": S, "time": 0}), S, waiting=(("1|a", 2 * A_CLASS + 4096 * 2**20 + 1),)),),
        (LineSnapshot("1|a", 5_000, (work(("a", 1)),)),),
    )

    foreseen = foresee(snapshot, "1|a", 2_999, most_starts=100)

    assert foreseen is not None
    assert not foreseen.reached
    assert foreseen.at_us == pytest.approx(3_000 * S, rel=0.02)


def test_nothing_is_foreseen_of_a_line_at_a_limit_that_is_paused() -> None:
    slots = Concurrency("s", 1)
    lines = Lines([slots], 64, 0)
    need = (Need("s", 1, given_back=True),)
    for number in range(2):
        lines.submit(Job(str(number), Work("t", 0, 0, need, "1|s")))
    lines.start(lines.ready.popleft())
    snapshot = snapshot_of(lines)
    paused = Snapshot(snapshot.now_us, tuple(_paused(row) for row in snapshot.buckets), snapshot.lines)

    assert foresee(snapshot, "1|s", 0) is not None
    assert foresee(paused, "1|s", 0) is None


def _paused(row: BucketSnapshot) -> BucketSnapshot:
    return BucketSnapshot(row.name, row.limit, row.stored, closed_until_us=2**53 - 1, waiting=row.waiting)
