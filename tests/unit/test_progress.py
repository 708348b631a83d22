"""Progress: what is slow arrives, what is silent is noticed as fast as a small command that gets no answer."""

import pytest

from runner.connection.progress import FIRST_BYTES, LOOKS, Progress, TooSlow

TIMEOUT_S = 1.0
SIZE = 10_000_000
TICK_S = TIMEOUT_S / LOOKS


def lasts(progress: Progress, left_at: list[int], came_at: list[int] | None = None) -> float:
    """Seconds until an exchange is given up, if it is looked at as often as it asks for; it stays as it was at the last of these ticks."""
    now_s: float = TICK_S
    came_at = came_at or [0]
    while True:
        tick = round(now_s / TICK_S)
        left, came = left_at[min(tick, len(left_at) - 1)], came_at[min(tick, len(came_at) - 1)]
        came_s = TICK_S * min(tick, len(came_at) - 1)
        next_s = progress.next_look_s(now_s, left, came, came_s)
        if next_s is None:
            return now_s
        assert next_s > now_s
        now_s = next_s


def going(bytes_per_s: float, seconds: float, size: int = SIZE) -> list[int]:
    """What is left at each tick of so many seconds."""
    return [max(size - int(bytes_per_s * TICK_S * tick), 0) for tick in range(round(seconds / TICK_S) + 1)]


def test_a_command_that_goes_out_slowly_has_a_time_out_after_its_last_byte() -> None:
    assert lasts(Progress(0.0, TIMEOUT_S, SIZE, is_seen=True), going(2_000_000, 5)) == pytest.approx(5 + TIMEOUT_S)


def test_a_command_that_stops_on_its_way_is_given_up_a_time_out_later() -> None:
    assert lasts(Progress(0.0, TIMEOUT_S, SIZE, is_seen=True), going(1_000_000, 1)) == pytest.approx(1 + TIMEOUT_S)


def test_a_command_that_never_leaves_is_given_up_after_one_time_out() -> None:
    assert lasts(Progress(0.0, TIMEOUT_S, SIZE, is_seen=True), [SIZE]) == pytest.approx(TIMEOUT_S)


def test_a_small_command_without_an_answer_has_one_time_out_and_no_more() -> None:
    progress = Progress(0.0, TIMEOUT_S, 500, is_seen=True)

    assert progress.next_look_s(TIMEOUT_S, 0, 0, 0.0) is None
    assert type(progress.end(TIMEOUT_S, 0, 0)) is TimeoutError


def test_an_answer_that_hangs_in_its_first_bytes_has_one_time_out_and_no_more() -> None:
    progress = Progress(0.0, TIMEOUT_S, 500, is_seen=True)

    assert progress.next_look_s(TIMEOUT_S, 0, FIRST_BYTES, TIMEOUT_S / 2) is None


def test_an_answer_that_comes_slowly_has_a_time_out_after_its_last_byte() -> None:
    came = [int(1_000_000 * TICK_S * tick) for tick in range(21)]

    assert lasts(Progress(0.0, TIMEOUT_S, 500, is_seen=True), [0], came) == pytest.approx(5 + TIMEOUT_S)


def test_what_is_slower_than_the_slowest_line_is_given_up_with_the_numbers() -> None:
    progress = Progress(0.0, TIMEOUT_S, SIZE, is_seen=True)

    ended_s = lasts(progress, left := going(40_000, 100))

    assert 2 * TIMEOUT_S < ended_s < 3 * TIMEOUT_S
    error = progress.end(ended_s, left[round(ended_s / TICK_S)], 0)
    assert isinstance(error, TooSlow)
    assert "of 10000000 to send" in str(error)


def test_where_nobody_sees_what_leaves_a_megabyte_a_second_is_assumed() -> None:
    assert lasts(Progress(0.0, TIMEOUT_S, 3_000_000, is_seen=False), [0]) == pytest.approx(TIMEOUT_S + 3.0, abs=2 * TICK_S)
