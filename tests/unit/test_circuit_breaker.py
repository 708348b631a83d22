"""Who asks while Redis is away: nobody but a probe now and then."""

from runner.asgi.circuit_breaker import FAILURES_TO_OPEN, FIRST_PAUSE_S, LONGEST_PAUSE_S, CircuitBreaker


def opened(now_s: float) -> CircuitBreaker:
    breaker = CircuitBreaker()
    for _ in range(FAILURES_TO_OPEN):
        asked = breaker.try_ask(now_s)
        assert asked is not None
        breaker.failed(asked, now_s)
    assert breaker.is_open
    return breaker


def test_failures_in_a_row_open_it_and_a_success_between_them_does_not() -> None:
    breaker = CircuitBreaker()
    for _ in range(FAILURES_TO_OPEN - 1):
        assert not breaker.failed(0, 0.0)
    breaker.succeeded()
    for _ in range(FAILURES_TO_OPEN - 1):
        assert not breaker.failed(0, 0.0)

    assert breaker.failed(0, 0.0)
    assert breaker.try_ask(0.0) is None


def test_after_a_pause_one_asks_and_only_one() -> None:
    breaker = opened(5.0)

    assert breaker.try_ask(5.0 + FIRST_PAUSE_S * 0.99) is None
    assert breaker.try_ask(5.0 + FIRST_PAUSE_S) is not None
    assert breaker.try_ask(5.0 + FIRST_PAUSE_S) is None


def test_a_probe_that_is_given_up_is_followed_by_another() -> None:
    breaker = opened(5.0)
    assert breaker.try_ask(5.0 + FIRST_PAUSE_S) is not None

    assert breaker.try_ask(5.0 + 2 * FIRST_PAUSE_S) is not None


def test_the_pause_grows_with_each_failed_probe_up_to_its_longest() -> None:
    now_s, pauses = 5.0, []
    breaker = opened(now_s)
    for _ in range(8):
        pauses.append(round(breaker.next_probe_s - now_s, 6))
        now_s = breaker.next_probe_s
        asked = breaker.try_ask(now_s)
        assert asked is not None
        assert not breaker.failed(asked, now_s)

    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]
    assert pauses[-1] == LONGEST_PAUSE_S


def test_a_probe_that_succeeds_closes_it() -> None:
    breaker = opened(5.0)
    assert breaker.try_ask(6.0) is not None

    assert breaker.succeeded()
    assert not breaker.succeeded()
    assert breaker.try_ask(6.0) is not None
    assert not breaker.is_open


def test_the_stragglers_of_a_wave_do_not_lengthen_the_pause() -> None:
    breaker = CircuitBreaker()
    wave = [breaker.try_ask(0.0) for _ in range(1000)]
    for asked in wave:
        assert asked is not None
        breaker.failed(asked, 0.05)

    assert breaker.pause_s == FIRST_PAUSE_S
