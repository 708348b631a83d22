"""When the process of takers looks at their buckets: with each token, never while a worker leads, later if another process was quicker."""

import pytest

from runner.client.look_times import LookTimes
from runner.store import MOST_NAMES, Tended

MS = 1_000


def seen(*waits_us: int, served: int = 0, late_us: int = 0) -> Tended:
    return Tended(False, served, late_us, list(waits_us))


def looked(times: LookTimes, now_s: float, found: Tended) -> None:
    """A look at all that is due then, which took no time."""
    times.note(times.due(now_s), found, now_s, now_s)


@pytest.fixture
def times() -> LookTimes:
    """Of a process with a taker in line for `x`, whose token lands at 11 s; nothing was known at 10 s."""
    times = LookTimes()
    times.add(["x"], 10.0, 1.0)
    return times


def test_a_look_comes_with_the_token_and_the_next_with_the_next(times: LookTimes) -> None:
    assert 11.0 < times.next_s < 11.01
    assert times.due(10.9) == []

    looked(times, times.next_s, seen(500 * MS, served=1, late_us=2 * MS))

    assert 11.5 < times.next_s < 11.51


def test_nothing_is_due_while_a_worker_leads(times: LookTimes) -> None:
    times.note(["x"], Tended(True, 0, 0, [0]), 10.0, 10.0)
    times.add(["y"], 10.0, 0.1)

    assert times.next_s == float("inf")
    assert set(times.buckets) == {"x", "y"}

    times.note(["x", "y"], seen(500 * MS, -1), 12.0, 12.0)
    assert times.due(12.6) == ["x"]


def test_who_comes_too_late_looks_later_until_the_other_one_is_gone(times: LookTimes) -> None:
    looked(times, times.next_s, seen(500 * MS, served=1, late_us=1 * MS))
    looked(times, times.next_s, seen(500 * MS))
    second_s = times.next_s
    assert 12.0 + 0.25 < second_s < 12.0 + 0.4

    looked(times, second_s, seen(200 * MS))
    assert second_s + 0.45 < times.next_s < second_s + 0.6

    third_s = times.next_s
    looked(times, third_s, seen(500 * MS, served=1, late_us=300 * MS))
    assert third_s + 0.5 < times.next_s < third_s + 0.51


def test_a_look_before_the_token_says_nothing_of_other_processes(times: LookTimes) -> None:
    times.note(["x"], seen(900 * MS), 10.1, 10.1)
    times.note(["x"], seen(500 * MS), 10.5, 10.5)

    assert 11.0 < times.next_s < 11.01


def test_what_is_due_and_cannot_be_served_is_looked_at_a_few_times_a_second(times: LookTimes) -> None:
    at_s = times.next_s
    looked(times, at_s, seen(0, late_us=3 * MS))

    assert times.next_s == at_s + 0.25


def test_a_bucket_is_forgotten_with_its_last_taker(times: LookTimes) -> None:
    times.add(["x", "y"], 10.0, None)
    times.remove(["x"])
    assert set(times.buckets) == {"x", "y"}

    times.remove(["x", "y"])
    assert (set(times.buckets), times.next_s) == (set(), float("inf"))
    times.note(["x"], seen(500 * MS), 10.0, 10.0)
    assert times.next_s == float("inf")


def test_one_look_is_at_so_many_buckets_at_most() -> None:
    times = LookTimes()
    for number in range(250):
        times.add([f"x{number}"], 10.0, 0.0)

    assert len(times.due(11.0)) == MOST_NAMES
