"""Everybody in line starts: a line of several limits beside lines of one limit each, for all pairs and triples of kinds, and mixtures."""

import statistics
from collections.abc import Callable, Sequence

import pytest

from tests.store.virtual.figures import Row, percentile, played
from tests.store.virtual.mixtures import Mixture, ShortQuota, beside, matrix, mixture, tenants, wide
from tests.store.virtual.play import S

Case = tuple[tuple[str, ...], tuple[int, ...]]

PAIRS, TRIPLES = matrix(2), matrix(3)
SOME_PAIRS = [PAIRS[at * 5 + at % 3] for at in range(len(PAIRS) // 5)][::2]
SOME_TRIPLES = TRIPLES[5::60]
LEAST_PART = 0.25
LOWEST = (("window", "window", "quota"), (60, 23, 41))
LOWEST_PART = 0.2
"""Two windows and a quota whose bursts hardly ever meet: its part is 0.24."""


def cases(some: Sequence[Case], every: Sequence[Case]) -> list[object]:
    """All of them, those that are not among some as slow tests."""
    marks = {True: (), False: (pytest.mark.slow,)}
    return [
        pytest.param(*case, marks=marks[case in some], id="+".join(f"{kind}-{speed}" for kind, speed in zip(*case, strict=True)))
        for case in every
    ]


def long_enough(mixed: Mixture) -> int:
    """So long that every line has had its part many times, and every burst has come and gone."""
    periods = [limit.length_us if isinstance(limit, ShortQuota) else (limit.window_us or 0) for limit in mixed.limits.values()]
    return max(120 * S, int(20 * S / min(mixed.ideal())), 10 * max(periods))


def check(row: Row) -> None:
    assert not row.trouble
    assert not row.zero


@pytest.mark.parametrize(("kinds", "speeds"), [*cases(SOME_PAIRS, PAIRS), *cases(SOME_TRIPLES, TRIPLES)])
def test_a_line_of_several_limits_gets_its_part_beside_lines_of_one(
    direct_url: str, kinds: tuple[str, ...], speeds: tuple[int, ...]
) -> None:
    mixed = beside(kinds, speeds)
    row = played(direct_url, "", mixed, long_enough(mixed))

    check(row)
    assert min(row.multi) >= (LOWEST_PART if (kinds, speeds) == LOWEST else LEAST_PART), row
    assert min(row.single) >= 0.75, row


@pytest.mark.parametrize("seed", [1, 2])
def test_lines_of_several_limits_that_overlap_all_start(direct_url: str, seed: int) -> None:
    row = played(direct_url, "", mixture(seed), 200 * S)

    check(row)


@pytest.mark.slow
def test_in_many_mixtures_nobody_gets_nothing_and_most_get_their_part(direct_url: str) -> None:
    rows = [played(direct_url, f"seed {seed}", mixture(seed), 600 * S) for seed in range(1, 41)]

    for row in rows:
        check(row)
    assert statistics.median(min(row.multi) for row in rows) >= LEAST_PART
    assert statistics.mean(use for row in rows for use in row.use) >= 0.88
    assert percentile([part for row in rows for part in row.single], 0.01) >= 0.75


@pytest.mark.slow
@pytest.mark.parametrize("make", [wide, tenants])
@pytest.mark.parametrize("hold", ["fixed", "exponential"])
def test_in_large_mixtures_nobody_gets_nothing(direct_url: str, make: Callable[[int], Mixture], hold: str) -> None:
    options = {} if hold == "fixed" else {"hold": lambda r: r.expovariate(1), "late_us": 20_000}
    for seed in range(1, 7):
        check(played(direct_url, f"seed {seed}", make(seed), 600 * S, **options))
