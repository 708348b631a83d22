"""The judge of starts: it finds one start too many under every kind of limit, and nothing where a limit was used up exactly."""

import random

import pytest

from runner.limits import Concurrency, Limit, Quota, SlidingWindow, TokenBucket
from tests.history import Ending, Start, began
from tests.invariants import over_limit
from tests.starts import Starts, bound

S = 1_000_000
HOUR_US = 3_600 * S


def starts_at(*instants: int) -> Starts:
    starts = Starts()
    for at_us in instants:
        starts.add(at_us)
    return starts


@pytest.mark.parametrize(
    ("limit", "kept", "one_more"),
    [
        (TokenBucket("x", rate="1/s", burst=2), (0, 0, S, 2 * S), 2 * S),
        (TokenBucket("x", rate="1/s", burst=2), (0, 0, S), 2 * S - 1),
        (TokenBucket("x", capacity=2, refill=2, every=1), (S - 1, S, S), S),
        (SlidingWindow("x", 2, per=1), (0, S // 2, S + 1), S + S // 2),
        (Quota("x", 2, per="hour"), (HOUR_US - 1, HOUR_US - 1, HOUR_US), HOUR_US - 1),
    ],
)
def test_one_start_too_many_is_found(limit: Limit, kept: tuple[int, ...], one_more: int) -> None:
    assert starts_at(*kept).excess(limit) <= 0
    assert starts_at(*sorted((*kept, one_more))).excess(limit) == 1


def test_the_excess_of_a_cost_is_its_tokens() -> None:
    starts = Starts()
    starts.add(0, 2)
    starts.add(S, 4)

    assert starts.excess(TokenBucket("x", rate="1/s", burst=2)) == 3
    assert starts.excess(SlidingWindow("x", 3, per=2)) == 3


def test_the_quick_way_through_a_smooth_log_finds_what_the_definition_says() -> None:
    chance = random.Random(1)
    for _ in range(200):
        limit = TokenBucket("x", rate=f"{chance.randrange(1, 9)}/{chance.randrange(1, 4)}s", burst=chance.randrange(1, 6))
        starts = Starts()
        for at_us in sorted(chance.choices(range(0, 3 * S, 1000), k=chance.randrange(1, 25))):
            starts.add(at_us, chance.randrange(1, 3))
        windows = [(first, last) for last in range(len(starts.at_us)) for first in range(last + 1)]

        excess = [sum(starts.costs[a : b + 1]) - bound(limit, starts.at_us[b] - starts.at_us[a]) for a, b in windows]

        assert starts.excess(limit) == max(excess)


def test_more_at_once_than_a_concurrency_allows_is_found() -> None:
    starts = [Start(f"j{number}", number * 10, {"slots": 1}) for number in range(3)]
    apart = [Ending("j0", "succeeded", 1, 15), Ending("j1", "succeeded", 1, 100), Ending("j2", "succeeded", 1, 100)]
    together = [ending._replace(at_us=100) for ending in apart]

    assert over_limit(starts, [Concurrency("slots", 2)], endings=apart) == []
    assert over_limit(starts, [Concurrency("slots", 2)], endings=together) == ["1 tokens of slots too many in some window"]


def test_each_key_has_a_bucket_of_its_own() -> None:
    limit = TokenBucket("tenant", rate="1/s", burst=1, key="{tenant}")
    starts = [Start("a", 0, {"tenant/1": 1}), Start("b", 0, {"tenant/2": 1}), Start("c", 1, {"tenant/2": 1})]

    assert over_limit(starts, [limit]) == ["1 tokens of tenant/2 too many in some window"]


def test_of_starts_that_never_began_only_the_latest_count() -> None:
    starts = [Start("a", 0, {}), Start("b", 1, {}), Start("a", 2, {})]

    assert began(starts, {"a": 1, "b": 1}) == starts[1:]
