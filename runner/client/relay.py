"""Relay: brings what handlers say to Redis, for all of an event loop in few calls. What cannot be told ends no worker."""

import asyncio
from abc import ABC, abstractmethod

from runner.clock import monotonic_s
from runner.errors import RunnerError
from runner.log_throttle import A_MINUTE_S, LogThrottle


class Relay(ABC):
    """Sends what was noted, the first word at once, and then no more often than each `period_s`."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._loop = asyncio.get_running_loop()
        self._noted = asyncio.Event()
        self._refused = LogThrottle(A_MINUTE_S)

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._noted.wait()
            self._noted.clear()
            try:
                await self._send()
            except RunnerError:
                raise
            except Exception as error:  # noqa: BLE001 - what cannot be told for people ends no worker
                if self._refused.is_due(monotonic_s()):
                    self._log_refusal(error)
            await asyncio.sleep(self._period_s)

    def _wake(self) -> None:
        """Something was noted. Any thread may call it."""
        self._loop.call_soon_threadsafe(self._noted.set)

    @abstractmethod
    async def _send(self) -> None:
        """Send what was noted. What Redis refuses is logged once a minute."""

    @abstractmethod
    def _log_refusal(self, error: Exception) -> None: ...
