"""A warning that stays true is said when it begins, now and then while it lasts, and at once when it begins again."""

from runner.log_throttle import LogThrottle


def test_a_warning_that_lasts_is_said_every_ten_seconds() -> None:
    outage = LogThrottle()

    assert [now_s for now_s in range(25) if outage.is_due(now_s)] == [0, 10, 20]


def test_a_warning_that_comes_again_is_said_at_once() -> None:
    outage = LogThrottle()

    assert outage.is_due(1.0)
    outage.is_over()
    assert outage.is_due(1.2)
    assert not outage.is_due(1.4)
