"""Deadlines: time-outs of many short waits that share one timer. Almost none is ever reached, so keeping one must cost next to nothing."""

import asyncio
from types import TracebackType
from typing import Any, Protocol, Self

_EARLY_S = 0.001
"""An event loop may round its timers to milliseconds and so be early by one."""
_NEVER = float("inf")
_LOOP_BLOCKED_S = 0.05
"""A timer this late means that the loop stood still: what it waits for may have come meanwhile."""
_TAKE_IN_S = 0.01


class Bounded(Protocol):
    """What can be late: `expire` is called once `at_s` is over, by the loop's clock."""

    at_s: float

    def expire(self) -> None: ...


class Deadline:
    """`with deadlines.within(seconds):` cancels what is awaited inside and raises TimeoutError once the time is over.

    As with asyncio.timeout a cancellation from outside stays one: the task's count of requests tells them apart.
    """

    __slots__ = ("_cancelling", "_deadlines", "_task", "at_s", "expired")

    def __init__(self, deadlines: "Deadlines", at_s: float, task: asyncio.Task[Any] | None = None) -> None:
        self._deadlines = deadlines
        self._task = task
        self._cancelling = 0
        self.at_s = at_s
        self.expired = False

    def __enter__(self) -> Self:
        self._task = task = self._task or asyncio.current_task()
        assert task is not None, "a deadline needs a task that it can cancel"
        self._cancelling = task.cancelling()
        self._deadlines.watch(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._deadlines.unwatch(self)
        if self.expired and self._task is not None:
            self._deadlines.overdue.discard(self._task)
            nobody_else = self._task.uncancel() <= self._cancelling
            if nobody_else and kind is asyncio.CancelledError:
                raise TimeoutError from error
        self._task = None

    def expire(self) -> None:
        """The time is over."""
        self.expired = True
        if self._task is not None:
            self._deadlines.overdue.add(self._task)
            self._task.cancel()


class Deadlines:
    """The deadlines that are open in one event loop. The timer stands at the earliest it has seen; when it fires, all are looked at."""

    def __init__(self) -> None:
        self._open: set[Bounded] = set()
        self.overdue: set[asyncio.Task[Any]] = set()
        """Tasks that are past their deadline, and go on."""
        self._armed_s = _NEVER
        self._has_forgiven = False
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def within(self, seconds: float, task: asyncio.Task[Any] | None = None) -> Deadline:
        """A deadline so many seconds from now. Use it at once, in the task that awaits, which is `task` if that is given."""
        loop = asyncio.get_running_loop()
        return self._of(loop, loop.time() + seconds, task)

    def until(self, at_s: float) -> Deadline:
        """The same, at an instant of the loop's clock."""
        return self._of(asyncio.get_running_loop(), at_s, None)

    def _of(self, loop: asyncio.AbstractEventLoop, at_s: float, task: asyncio.Task[Any] | None) -> Deadline:
        if loop is not self._loop:
            self._loop, self._armed_s, self._timer = loop, _NEVER, None
        return Deadline(self, at_s, task)

    def watch(self, deadline: Bounded) -> None:
        """Expire it once its time is over, unless `unwatch` comes first."""
        self._open.add(deadline)
        if deadline.at_s < self._armed_s:
            self._arm(deadline.at_s)

    def unwatch(self, deadline: Bounded) -> None:
        self._open.discard(deadline)

    def _arm(self, at_s: float) -> None:
        assert self._loop is not None
        if self._timer is not None:
            self._timer.cancel()
        self._armed_s, self._timer = at_s, self._loop.call_at(at_s, self._sweep)

    def _sweep(self) -> None:
        assert self._loop is not None
        now_s = self._loop.time()
        if now_s - self._armed_s > _LOOP_BLOCKED_S and not self._has_forgiven:
            # A handler has blocked the loop. Replies that lie in the sockets are taken in before anything is given up.
            self._has_forgiven = True
            self._arm(now_s + _TAKE_IN_S)
            return
        self._armed_s, self._timer, self._has_forgiven = _NEVER, None, False
        due_s = now_s + _EARLY_S
        for deadline in [deadline for deadline in self._open if deadline.at_s <= due_s]:
            self._open.discard(deadline)
            deadline.expire()
        if self._open:
            self._arm(min(deadline.at_s for deadline in self._open))
