"""What a provider says in an answer is left of the account behind a bucket: read, and what cannot be read is logged."""

import logging
from typing import NamedTuple

from runner.clock import MICROSECONDS, microseconds, monotonic_s, wall_us
from runner.limits import count_in
from runner.log_throttle import A_MINUTE_S, LogThrottle

log = logging.getLogger("runner")

_odd_counts = LogThrottle(A_MINUTE_S)


class ProviderSays(NamedTuple):
    """Of a bucket: tokens that are left of its account, and the instant (µs, by the clock of this machine) at which the count is set back.

    resets_us: None if the provider does not say.
    """

    left: int
    resets_us: int | None = None


def said_of(bucket: str, said: object, counter: str | None, to_whom: str) -> ProviderSays | None:
    """What is left, from a response, its headers, or an error that has a response; None if it does not say. Never raises."""
    now_us = wall_us()
    left, unreadable, reset_s = count_in(said, now_us / MICROSECONDS, counter)
    if unreadable is not None and _odd_counts.is_due(monotonic_s()):
        log.warning(
            "%s: its provider says that %r is left behind %s, which is no number and counts as nothing", to_whom, unreadable, bucket
        )
    if left is None:
        return None
    return ProviderSays(left, None if reset_s is None else now_us + microseconds(reset_s))
