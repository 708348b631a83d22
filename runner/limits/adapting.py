"""Adapting: between which rates a bucket may be kept whose provider says wait again and again. Values only; store/lua/adapt.lua moves the rate."""

from typing import NamedTuple

from runner.errors import ConfigurationError
from runner.limits.jitter import Pace
from runner.limits.rates import EXACT, duration_in_words, parse_rate

Adapt = bool | tuple[str, str]
WHOLE = 1_000_000
"""A share of what is declared is in millionths."""
_LEAST = 100
"""Of `adapt=True`: the rate goes down to a hundredth of what is declared."""
_SPARE = 1.01
"""What rounding to four digits adds at most, and some more."""


class Adapting(NamedTuple):
    """The rates in words, and the same as shares of what is declared, in millionths."""

    low: str
    high: str
    least: int
    most: int

    def fields(self) -> dict[str, object]:
        """As they are published."""
        return {"adapt": [self.low, self.high], "adapt_least": self.least, "adapt_most": self.most}


def adapting(what: str, adapt: object, pace: Pace) -> Adapting | None:
    """What `adapt` says of a bucket that is declared with this pace; None if its rate stays. Raises `ConfigurationError` as `TokenBucket`."""
    if adapt is False or adapt is None:
        return None
    if adapt is True:
        low, high = f"{pace.refill}/{duration_in_words(_LEAST * pace.every_us)}", f"{pace.refill}/{duration_in_words(pace.every_us)}"
    elif isinstance(adapt, (tuple, list)) and len(adapt) == 2 and all(isinstance(rate, str) for rate in adapt):
        low, high = adapt
    else:
        raise ConfigurationError(f'{what}: adapt={adapt!r:.80} must be True, or the least and the most rate, like ("5/s", "40/s")')
    least, most = _share(low, pace, up=True), _share(high, pace, up=False)
    if not 1 <= least <= most <= WHOLE:
        raise ConfigurationError(
            f"{what}: adapt={(low, high)!r} must be a rate from a millionth of the declared one on, and one that is no less than that and no more"
            " than the declared one, which is the ceiling: declare the most that the provider may permit"
        )
    if 4 * _SPARE * max(pace.capacity * pace.every_us, pace.every_us * WHOLE // least) >= EXACT:
        raise ConfigurationError(f"{what}: with adapt its numbers would be beyond exact arithmetic; use a smaller burst or a shorter time")
    return Adapting(low, high, least, most)


def _share(rate: str, pace: Pace, *, up: bool) -> int:
    tokens, every_us = parse_rate(rate)
    part, whole = tokens * pace.every_us * WHOLE, pace.refill * every_us
    return -(-part // whole) if up else part // whole
