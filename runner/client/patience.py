"""Patience: a wait goes on while Redis is away, until its own time is over."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

from runner.clock import monotonic_s
from runner.errors import AccessRefused, InvalidOption, StillUnavailable, StoreFull, StoreUnavailable
from runner.log_throttle import A_MINUTE_S, LogThrottle
from runner.ranges import checked

T = TypeVar("T")

log = logging.getLogger("runner")

RETRY_S = 0.25
_outage = LogThrottle(A_MINUTE_S)
"""One for all waits of a process: thousands may say the same."""


def passes(error: BaseException) -> bool:
    """Whether a wait goes on after this error: Redis is away or busy. A refusal is told at once, and so is a lack of memory."""
    return isinstance(error, StoreUnavailable) and not isinstance(error, (AccessRefused, StoreFull, StillUnavailable))


def give_up(what: str, error: BaseException) -> NoReturn:
    """Raise that the time of a wait is over while Redis is away."""
    raise StillUnavailable(f"{what}: its time is over, and {error}") from error


class Patience:
    """The time of one wait. until_s: its end by the monotonic clock, None if it has none. Raises `InvalidOption`."""

    def __init__(self, wait_s: float | None) -> None:
        self.until_s = None if wait_s is None else monotonic_s() + checked("wait", wait_s, error=InvalidOption)
        self._has_none = wait_s is not None and wait_s <= 0

    @property
    def left_s(self) -> float | None:
        """Seconds, at least 0; None for ever."""
        return None if self.until_s is None else max(self.until_s - monotonic_s(), 0.0)

    async def after(self, error: Exception, what: str) -> None:
        """A call of this wait has failed: return a moment later if it should call again, else raise."""
        if self._has_none or not passes(error):
            raise error
        left_s = self.left_s
        if left_s is not None and left_s <= RETRY_S:
            give_up(what, error)
        if _outage.is_due(monotonic_s()):
            log.warning("%s goes on while Redis is away: %s", what, error)
        await asyncio.sleep(RETRY_S)

    async def through(self, call: Callable[[], Awaitable[T]], what: str) -> T:
        """The result of a call that may be repeated. Raises `StillUnavailable`, and what the call raises if waiting does not help."""
        while True:
            try:
                return await call()
            except StoreUnavailable as error:
                await self.after(error, what)
