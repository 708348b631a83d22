"""Clocks: by which clock a queue's scripts act. It is Redis's own, unless a test has put one in its place that it moves itself."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar

from redis.exceptions import ConnectionError as RedisConnectionError

from runner.clock import microseconds

T = TypeVar("T")

_is_sending: ContextVar[bool] = ContextVar("runner_is_sending", default=False)


def is_sending() -> bool:
    """Whether this is part of a command of a store whose queue has a clock of its own: its time-outs are real all the same."""
    return _is_sending.get()


class QueueClock:
    """Stands still until `us` is set. Every store of its queues that is opened after `put` takes the time from it.

    `is_down`: what these stores send fails, as if their server were away. `sent` is what they have sent and has no reply yet.
    """

    def __init__(self, us: int) -> None:
        self.us = us
        self.is_down = False
        self.sent: set[object] = set()
        self.count = 0
        """Another number whenever a command has had its effect."""

    def now_us(self) -> int:
        """Microseconds since 1970."""
        return self.us

    def arm(self, *clients: Any) -> None:
        """Count what these asyncio clients send, and let it fail while the server is down."""
        for client in clients:
            client.execute_command = self._counted(client.execute_command)
            client.execute_pair = self._counted(client.execute_pair)

    def after(self, seconds: float | None) -> int | None:
        """The instant so many seconds from now; None for never."""
        return None if seconds is None else self.us + microseconds(seconds)

    async def wait(self, job_ids: Sequence[str], ended: asyncio.Future[Any], until_us: int | None) -> None:  # noqa: ARG002 - for a clock that moves
        """Wait for the end of one of these jobs, whose watch is `ended`; return at the latest at that instant."""
        await asyncio.wait({ended})

    async def look(self, call: Callable[[], Awaitable[T]], job_ids: Sequence[str], until_us: int | None = None) -> T:  # noqa: ARG002 - as above
        """What this call answers when something may have changed since the last, or at that instant.

        job_ids: the jobs that are followed, or what stands for them; the time of the queue goes on for them. For none it does not.
        """
        return await call()

    def _counted(self, send: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(send)
        async def counted(*words: Any, **options: Any) -> Any:
            if self.is_down:
                raise RedisConnectionError("the test has taken the server away")
            command, token = object(), _is_sending.set(True)
            self.sent.add(command)
            try:
                return await send(*words, **options)
            finally:
                self.count += 1
                self.sent.discard(command)
                _is_sending.reset(token)

        return counted


_clocks: dict[str, QueueClock] = {}


def clock_of(queue: str) -> QueueClock | None:
    """The clock that was put in the place of Redis's for this queue."""
    return _clocks.get(queue)


def put(queue: str, clock: QueueClock) -> None:
    """From now on stores of this queue take the time from `clock`."""
    _clocks[queue] = clock


def remove(queue: str) -> None:
    """Stores that are opened from now on take the time from Redis again."""
    _clocks.pop(queue, None)
