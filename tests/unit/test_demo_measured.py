"""The summary of the demonstration finds whatever is off: each finding fails when what it measures is wrong."""

from dataclasses import replace

import pytest

from runner.cli.demo.measured import MOST_LATE_S, Run, findings, most_within, shortest_s, windows_over
from runner.clock import MICROSECONDS
from runner.limits import TokenBucket

LIMIT = TokenBucket("metered", capacity=10, refill=2, every=0.5)
STARTS_US = [0] * 10 + [instant_us for step in range(1, 26) for instant_us in [step * 500_000] * 2]
GOOD = Run(starts_us=STARTS_US, submitted=60, done=60, lost=0, calls=60, refused=0, price_eur=0.12)


def wrong(run: Run) -> list[str]:
    return [finding.name for finding in findings(run, LIMIT) if not finding.is_right]


def test_a_run_exactly_at_the_limit_is_good() -> None:
    assert wrong(GOOD) == []


@pytest.mark.parametrize(
    ("run", "names"),
    [
        (replace(GOOD, done=59), ["jobs done"]),
        (replace(GOOD, lost=1), ["jobs lost"]),
        (replace(GOOD, refused=1), ["429s by the service"]),
        (replace(GOOD, starts_us=[*STARTS_US[:-1], STARTS_US[-1] + round((MOST_LATE_S + 0.1) * MICROSECONDS)]), ["first to last start"]),
        (replace(GOOD, starts_us=[*STARTS_US[:-2], 11_999_999, 11_999_999]), ["first to last start", "windows over the limit"]),
        (replace(GOOD, starts_us=[*([0] * 15), *STARTS_US[15:]]), ["most starts in any 1 s", "windows over the limit"]),
    ],
)
def test_whatever_is_off_is_found(run: Run, names: list[str]) -> None:
    assert wrong(run) == names


def test_a_run_without_a_start_is_not_good() -> None:
    assert "jobs done" in wrong(replace(GOOD, starts_us=[], done=0, lost=60))


def test_the_shortest_time_counts_whole_intervals_after_the_full_bucket() -> None:
    assert [shortest_s(LIMIT, starts) for starts in (0, 10, 11, 12, 13, 60)] == [0, 0, 0.5, 0.5, 1, 12.5]


def test_windows_are_closed() -> None:
    assert most_within([0, 1_000_000, 2_000_001], 1.0) == 2
    assert windows_over([0] * 10 + [499_999] * 2, LIMIT) == 1
    assert windows_over([0] * 10 + [500_000] * 2, LIMIT) == 0
