"""Lateness: how far apart attempts begin that got their tokens together, held against the jitter that their limits are declared with."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import ParamSpec

from runner.clock import MICROSECONDS, monotonic_s, monotonic_us
from runner.jobs import StartedJob
from runner.limits import Limit, decode_needs
from runner.log_throttle import A_MINUTE_S, LogThrottle

P = ParamSpec("P")

log = logging.getLogger("runner")

_MOST_NOTED = 10_000
"""Beginnings whose ends are not told: of attempts that were given back, or lost."""
_WINDOW_US = 60 * MICROSECONDS
"""Clocks drift apart; in two of these by less than calls do by themselves."""


class Lateness:
    """What one worker knows of it. limits: those with a jitter.

    Redis says by its clock when an attempt got its tokens, and this process by its own when the attempt began. The difference is the time
    between, and what is between the clocks; so the least one of the last minutes is taken for no lateness, and the others are held against it.
    """

    def __init__(self, limits: Iterable[Limit]) -> None:
        self._allowed_us = {limit.name: limit.jitter_us for limit in limits}
        self._began_us: dict[str, int] = {}
        self._least_us: int | None = None
        self._least_before_us: int | None = None
        self._turns_us = 0
        self._warnings = {name: LogThrottle(A_MINUTE_S) for name in self._allowed_us}

    def around_attempt(self, execute: Callable[P, Awaitable[None]]) -> Callable[P, Awaitable[None]]:
        """The call that runs an attempt, whose first argument is its job: its beginning is noted."""

        async def noted(*args: P.args, **kwargs: P.kwargs) -> None:
            job = args[0]
            assert isinstance(job, StartedJob), "an attempt is of a job"
            if job.limits:
                if len(self._began_us) >= _MOST_NOTED:
                    del self._began_us[next(iter(self._began_us))]
                self._began_us[job.id] = monotonic_us()
            await execute(*args, **kwargs)

        return noted

    def note_start(self, job: StartedJob, started_us: int) -> None:
        """Redis has told when an attempt got its tokens. It is told at its end, or never: the worker may lose its lease."""
        began_us = self._began_us.pop(job.id, None)
        if began_us is None:
            return
        late_us = self._beyond_the_least(began_us, began_us - started_us)
        for name in (need.limit for need in decode_needs(job.limits)):
            if late_us > self._allowed_us.get(name, late_us) and self._warnings[name].is_due(monotonic_s()):
                log.warning(
                    "job %s (%s) began %.3f s later after it had got its tokens than another of the last minute did, and limit %r allows for"
                    " jitter=%g: calls may reach its provider closer together than it permits. Declare a larger jitter, give the worker"
                    " fewer slots, or find what blocks its event loop",
                    *(job.id, job.task, late_us / MICROSECONDS, name, self._allowed_us[name] / MICROSECONDS),
                )

    def _beyond_the_least(self, now_us: int, difference_us: int) -> int:
        if now_us >= self._turns_us:
            is_next = now_us < self._turns_us + _WINDOW_US
            self._least_before_us, self._least_us = self._least_us if is_next else None, None
            self._turns_us = now_us + _WINDOW_US
        self._least_us = difference_us if self._least_us is None else min(self._least_us, difference_us)
        least_us = self._least_us if self._least_before_us is None else min(self._least_us, self._least_before_us)
        return difference_us - least_us


def lateness_of(limits: Iterable[Limit]) -> Lateness | None:
    """For the limits of an app; None if none of them has a jitter that says anything."""
    watched = [limit for limit in limits if limit.jitter_us and limit.fill_us is not None]
    return Lateness(watched) if watched else None
