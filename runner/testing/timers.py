"""VirtualTimers: what handlers sleep, and their time-outs, by the clock of a `TestQueue`. All other timers of the event loop stay real."""

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from types import TracebackType
from typing import Any, Self

from runner.clock import MICROSECONDS
from runner.errors import ConfigurationError
from runner.jobs import Attempt, current_attempt
from runner.store import is_sending
from runner.testing.clock import VirtualClock, key_of

_OF_A_SLEEP = "_set_result_unless_cancelled"
"""What `asyncio.sleep` has a timer call."""
_SHADOWED = ("time", "call_at", "call_later")


class VirtualTimer(asyncio.TimerHandle):
    """A timer of a handler. It is none of the event loop's until its time has come."""

    def __init__(self, timers: "VirtualTimers", when: float, call: Callable[[], object], *, attempt: Attempt, is_sleep: bool) -> None:
        super().__init__(when, call, (), timers.loop)
        self.call = call
        self.attempt = attempt
        self.is_sleep = is_sleep
        self._timers = timers

    def cancel(self) -> None:
        """It never comes."""
        super().cancel()
        self._timers.open.discard(self)


class VirtualTimers:
    """In a `with`: shadows the clock of the running event loop for whatever the handlers of attempts, and the tasks they start, call there.

    Raises `ConfigurationError` for a loop that does not let itself be shadowed, as uvloop.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self.loop = asyncio.get_running_loop()
        self.open: set[VirtualTimer] = set()
        self._clock = clock
        self._real_time = self.loop.time
        self._real_call_at = self.loop.call_at
        self._begin_s = self.loop.time()

    def __enter__(self) -> Self:
        if not isinstance(self.loop, asyncio.BaseEventLoop):
            raise ConfigurationError(
                f"virtual_sleep needs asyncio's own event loop, and this one is {type(self.loop).__name__} of uvloop or alike"
            )
        vars(self.loop).update(time=self._time, call_at=self._call_at, call_later=self._call_later)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for name in _SHADOWED:
            vars(self.loop).pop(name, None)

    @property
    def next_us(self) -> float:
        """When the next timer is due; infinite if there is none."""
        return min((self._us_of(timer) for timer in self.open), default=float("inf"))

    @property
    def sleeping(self) -> set[tuple[str, int]]:
        """The attempts whose handlers sleep: id of the job and number."""
        return {key_of(timer.attempt) for timer in self.open if timer.is_sleep}

    def fire_due(self) -> None:
        """Let the loop call what is due by the clock, in order."""
        for timer in sorted((timer for timer in self.open if self._us_of(timer) <= self._clock.us), key=VirtualTimer.when):
            self.open.discard(timer)
            self.loop.call_soon(timer.call)

    def _us_of(self, timer: VirtualTimer) -> int:
        return self._clock.start_us + round((timer.when() - self._begin_s) * MICROSECONDS)

    def _time(self) -> float:
        return self._real_time() if _handler() is None else self._begin_s + self._clock.seconds()

    def _call_later(self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.TimerHandle:
        return self._call_at(self._time() + delay, callback, *args, context=context)

    def _call_at(self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.TimerHandle:
        attempt = _handler()
        if attempt is None:
            return self._real_call_at(when, callback, *args, context=context)
        is_sleep = getattr(callback, "__name__", "") == _OF_A_SLEEP
        within = context or copy_context()
        timer = VirtualTimer(self, when, lambda: within.run(callback, *args), attempt=attempt, is_sleep=is_sleep)
        self.open.add(timer)
        self._clock.on_change()
        return timer


def _handler() -> Attempt | None:
    """The attempt whose code calls; None for the rest of the program, and for the connections of this library."""
    return None if is_sending() else current_attempt()
