"""The player of virtual time itself: it keeps the clock, sees what is exceeded, and does not wait for what never comes."""

from collections.abc import Iterator

import pytest

from runner.limits import Concurrency, SlidingWindow, TokenBucket
from tests.starts import Starts
from tests.store.virtual.figures import use_of
from tests.store.virtual.mixtures import Line, Mixture, ShortQuota, tenants
from tests.store.virtual.play import Play, S, StalledError, excess_of


@pytest.fixture
def five(direct_url: str) -> Iterator[Play]:
    limits = [
        TokenBucket("a", rate="60/m", burst=1),
        TokenBucket("b", capacity=10, refill=10, every=10),
        SlidingWindow("c", 10, per=10),
        ShortQuota("d", 20, 20 * S),
        Concurrency("e", 2),
    ]
    lines = [Line(limit.name, ((limit.name, 1),)) for limit in limits]
    play = Play(direct_url, Mixture({limit.name: limit for limit in limits}, lines, {"e": 2 * S}))
    yield play
    play.close()


def test_a_line_that_is_alone_at_a_limit_gets_all_that_it_gives(five: Play) -> None:
    five.run(100 * S)

    assert [standing.started for standing in five.lines] == [101, 110, 100, 120, 102]
    assert [use_of(five, limit) > 0.9 for limit in five.mixture.limits] == [True] * 5
    assert five.excess() == []
    five.drain(60 * S)


def test_what_is_exceeded_is_seen_for_every_kind(five: Play) -> None:
    for limit in five.mixture.limits.values():
        few, many = Starts(), Starts()
        for at in range(limit.capacity + 1):
            if at:
                few.add(five.clock.now_us, 1, five.clock.now_us + 1)
            many.add(five.clock.now_us, 1, five.clock.now_us + 1)
        assert excess_of(limit, few) <= 0
        assert excess_of(limit, many) == 1


def test_a_line_that_nothing_will_wake_is_an_error(five: Play) -> None:
    five.run(S)
    five.redis.ask("DEL", five.store.keys.wakes)
    five._events.clear()

    with pytest.raises(StalledError, match="wait"):
        five.run(100 * S)


def test_a_claim_whose_date_is_past_is_not_looked_at_again_and_again(direct_url: str) -> None:
    play = Play(direct_url, tenants(5))
    play.run(350 * S)
    play.close()

    assert play.calls["refill"] < 10 * 350
