"""The arithmetic that judges a log of starts must be able to find what is wrong with it."""

from bench.start_log import Start, latenesses_us, most_in_window, order_inversions, worst_excess
from runner import TokenBucket

LIMIT = TokenBucket("metered", rate="10/s", burst=2)  # a token each 100 ms
KEPT = [0, 0, 100_000, 200_000, 300_000]


def starts(*instants: int) -> list[Start]:
    return [Start(place, at_us, at_us + 7) for place, at_us in enumerate(instants)]


def test_a_log_that_uses_every_token_touches_the_bound() -> None:
    assert worst_excess(LIMIT, starts(*KEPT)) == 0
    assert worst_excess(LIMIT, starts(0, 100_000, 250_000)) < 0


def test_one_start_too_early_is_found() -> None:
    assert worst_excess(LIMIT, starts(*KEPT, 399_999)) > 0


def test_the_fullest_window_is_found() -> None:
    assert most_in_window(starts(*KEPT), 100_000) == 3
    assert most_in_window(starts(*KEPT), 99_999) == 2


def test_a_job_that_starts_after_its_successor_is_an_inversion() -> None:
    assert order_inversions([Start(place, 0, None) for place in (0, 2, 1, 3)]) == 1


def test_lateness_counts_from_the_landing_of_the_token() -> None:
    assert latenesses_us(LIMIT, starts(0, 0, 100_005, 200_003)) == ([5, 3], [12, 10])


def test_a_bucket_that_was_full_again_begins_a_new_count() -> None:
    assert latenesses_us(LIMIT, starts(0, 0, 5_000_000, 5_000_000, 5_100_001))[0] == [1]
