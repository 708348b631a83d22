"""UntilIdle: when a worker that was started for what there is to do can leave, and what it says then."""

import asyncio
from collections.abc import Callable

from runner.clock import MICROSECONDS, monotonic_s
from runner.errors import StoreUnavailable
from runner.jobs import span
from runner.store import JobStore, Remaining

_LOOK_S = 1.0
_HORIZON_S = 600.0
"""What is due within this time is waited for: the waits between retries are shorter as a rule, and their jobs are scheduled like delayed ones."""
_PATIENCE_S = 30.0
"""So long Redis may be away before the command gives up."""


async def until_idle(store: JobStore, has_attempts: Callable[[], bool]) -> Remaining:
    """Until nothing of the queue is left to do. `has_attempts`: whether the worker here is busy, so that Redis need not be asked.

    Raises `StoreUnavailable` if Redis stays away.
    """
    since_us, away_since_s = -1, monotonic_s()
    while True:
        try:
            if since_us < 0:
                since_us = (await store.remaining(_HORIZON_S)).now_us
            elif not has_attempts():
                remaining = await store.remaining(_HORIZON_S, since_us)
                if remaining.soon == 0:
                    return remaining
            away_since_s = monotonic_s()
        except StoreUnavailable:
            if monotonic_s() - away_since_s > _PATIENCE_S:
                raise
        await asyncio.sleep(_LOOK_S)


def in_words(remaining: Remaining) -> str:
    """What is left all the same."""
    parts = ["idle"]
    if remaining.later:
        first = span(remaining.first_later_us / MICROSECONDS)
        parts.append(f"{remaining.later} jobs are due later, the first in {first}")
    if remaining.unserved:
        parts.append(f"{remaining.unserved} jobs wait for a worker that serves their task")
    if remaining.failed:
        parts.append(f"{remaining.failed} jobs have failed for good meanwhile")
    return "; ".join(parts)
